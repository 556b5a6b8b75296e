# SPDX-License-Identifier: GPL-3.0-or-later
"""Worker jobs as operators and the command line order them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core.avatar import SUFFIX, Avatar, safe_file_name
from ..core.capture import Capture
from ..core.capture.person import read_person
from ..core.errors import AvatarError
from ..core.job import Job


@dataclass(frozen=True)
class AvatarOrder:
    """Everything the worker needs to make an avatar, taken out of the context before it starts."""

    capture: Path
    """The file or folder."""
    name: str
    """Name of the person."""
    gender: str
    """FEMALE, MALE or empty for the model's default."""
    age: float | None
    """0..1, None for the model's default."""
    python: str
    """Interpreter of the worker."""
    folder: Path
    """Where avatars are kept; the avatar gets a folder of its own in it."""

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
        if self.gender:
            arguments += ["--gender", self.gender.lower()]
        if self.age is not None:
            arguments += ["--age", f"{self.age:.4f}"]
        return arguments


def gender_of(capture: Capture, preferred: str) -> str:
    """The gender to ask for when nobody chose one: the preferred one, unless the capture itself says."""
    return "" if read_person(capture).gender else preferred


class AvatarJob:
    """The worker making an avatar. `result()` is the avatar's folder."""

    def __init__(self, order: AvatarOrder) -> None:
        """Start it; raises AvatarError or WorkerError when that is not possible."""
        self.progress, self.text = 0.0, "Starting"
        self._job = Job(order.arguments(), python=order.python)

    def poll(self) -> bool:
        """Read what the worker says, without waiting; True when it is over."""
        for event in self._job.poll():
            self.progress, self.text = event.progress, event.text
        return self._job.done

    def result(self) -> Path:
        """The avatar's folder; raises the worker's error."""
        if self._job.error is not None:
            raise self._job.error
        return Path(str((self._job.result or {})["avatar"]))

    def cancel(self) -> None:
        """Stop the worker and wait until it is gone; at most its grace."""
        self._job.stop()
