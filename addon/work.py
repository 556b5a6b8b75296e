# SPDX-License-Identifier: GPL-3.0-or-later
"""Worker jobs as operators and the command line order them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.avatar import SUFFIX, Avatar, safe_file_name
from ..core.capture import Capture
from ..core.capture.person import read_person
from ..core.errors import AvatarError
from ..core.job import Job
from . import preferences
from .tracking import PACKAGES, has_pictures, needs_tracking


@dataclass(frozen=True)
class AvatarOrder:
    """Everything the worker needs to make an avatar, taken out of the context before it starts."""

    capture: Path
    """The file or folder."""
    name: str
    """Name of the person."""
    gender: str
    """FEMALE, MALE or empty for what the capture says or shows, else the model's default."""
    age: float | None
    """0..1, None for what the capture says or shows, else the model's default."""
    python: str
    """Interpreter of the worker."""
    folder: Path
    """Where avatars are kept; the avatar gets a folder of its own in it."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the worker, over our own."""
    tracking: str = "auto"
    """`on` insists on tracking the footage, `off` leaves it out, `auto` tracks where the worker can."""
    texture: str = "TRACK"
    """One of OFF, STILL and TRACK: what is taken from the footage for the face's texture."""
    preview: str = ""
    """A picture or movie of the capture, to show meanwhile."""

    def target(self) -> Path:
        """The avatar's folder: that of an earlier import of the same capture, else one that is free.

        Raises AvatarError when the folder of avatars cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AvatarError(
                f"The folder of avatars {self.folder} cannot be made: {error.strerror}.",
                "Choose another in the preferences.",
            ) from error
        stem, n = safe_file_name(self.name), 1
        target = self.folder / f"{stem}{SUFFIX}"
        while target.exists() and not self._made(target):
            n += 1
            target = self.folder / f"{stem} {n}{SUFFIX}"
        return target.resolve()

    def _made(self, target: Path) -> bool:
        """Whether `target` is the avatar of this very capture."""
        try:
            source = Avatar.load(target).provenance.get("capture", {})
        except AvatarError:
            return False
        return isinstance(source, dict) and source.get("path") == str(self.capture.absolute())

    def arguments(self) -> list[str]:
        """The worker's command line."""
        arguments = ["avatar", str(self.capture.absolute()), "-o", str(self.target()), f"--name={self.name}"]
        arguments += ["--tracking", self.tracking, "--texture", self.texture.lower()]
        if self.gender:
            arguments += ["--gender", self.gender.lower()]
        if self.age is not None:
            arguments += ["--age", f"{self.age:.4f}"]
        return arguments


def tracking_of(capture: Capture, wanted: bool = True) -> str:
    """How to order this capture: pictures alone must be tracked, others as far as the worker can."""
    if not wanted:
        return "off"
    return "on" if needs_tracking(capture) else "auto"


def preview_of(capture: Capture) -> str:
    """Path of the capture's movie or first picture, where it lies on disk as it is."""
    pictures = [*filter(None, [capture.movie]), *capture.photos[:1]]
    return next((str(member.path) for member in pictures if member.path is not None), "")


def python_for(tracking: str) -> str:
    """The worker's interpreter; EnvironmentMissing when it cannot track and must."""
    return preferences.job_python(PACKAGES if tracking == "on" else ())


def gender_of(capture: Capture, preferred: str, tracking: str) -> str:
    """The gender to ask for when nobody chose one: none where the capture says it or its pictures will be
    looked at, else the preferred one.
    """
    looked_at = tracking == "on" or (
        tracking == "auto" and has_pictures(capture) and preferences.has_packages(PACKAGES)
    )
    return "" if looked_at or read_person(capture).gender else preferred


_STAGES = {"track": "Tracking", "fit": "Fitting", "texture": "Texturing"}
"""Stages that are long enough to be named beside what is done in them."""


def phrase(stage: str, text: str) -> str:
    """What the panel shows of a report of progress."""
    return f"{_STAGES[stage]}: {text}" if stage in _STAGES else text


class WorkerJob:
    """The worker doing one verb. `result()` is what it gave."""

    def __init__(
        self, arguments: Sequence[str], python: str, environ: Mapping[str, str], preview: str = ""
    ) -> None:
        """Start it; raises WorkerError when that is not possible. `preview`: a picture or movie to show until
        the worker names one.
        """
        self.progress, self.text, self.preview = 0.0, "Starting", preview
        self._job = Job(arguments, python=python, environ=environ)

    def poll(self) -> bool:
        """Read what the worker says, without waiting; True when it is over."""
        for event in self._job.poll():
            self.progress, self.text = event.progress, phrase(event.stage, event.text)
            self.preview = event.preview or self.preview
        return self._job.done

    def result(self) -> Any:
        """What the worker gave; raises the worker's error."""
        if self._job.error is not None:
            raise self._job.error
        return self._job.result or {}

    def cancel(self) -> None:
        """Stop the worker and wait until it is gone; at most its grace."""
        self._job.stop()


class AvatarJob(WorkerJob):
    """The worker making an avatar. `result()` is the avatar's folder."""

    def __init__(self, order: AvatarOrder) -> None:
        """Start it; raises AvatarError or WorkerError when that is not possible."""
        super().__init__(order.arguments(), order.python, order.environ, order.preview)

    def result(self) -> Path:
        """The avatar's folder; raises the worker's error."""
        return Path(str(super().result()["avatar"]))
