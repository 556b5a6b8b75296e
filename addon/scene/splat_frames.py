# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian heads as the worker draws them for final frames: what it is told, and what it gives back.

Read every frame, begin, and ask for pictures until they are there: one job of the worker per head, `splat
frames JOB.npz -o FOLDER`, draws all frames that were read.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import bpy
import numpy as np

from ...core.errors import LikenessError, SettingsError, WorkerError
from ...core.splat.composite import Picture
from ...core.splat.thinning import thinned
from ...core.splat.view import View
from .splat_composite import read_picture
from .splat_frames_camera import view_of
from .splat_object import shows_splats
from .splat_state import heads, path_of, problem_of, settings_of, splats_of, state_of

Array = np.ndarray


class RunningJob(Protocol):
    """A worker at work, such as `core.job.Job`."""

    done: bool
    error: LikenessError | None

    def poll(self) -> Any:
        """Look without waiting."""
        ...

    def stop(self) -> None:
        """End it."""
        ...


_STEM = "head"
"""What the worker's files begin with."""
Start = Callable[[list[str]], RunningJob]
"""Starts the worker with these arguments."""


def rendered_heads(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The Gaussian heads that final frames show: those that show splats and are not disabled in renders.

    A head that should be seen and cannot be drawn is a SettingsError: frames without it would be wrong.
    """
    found = [head for head in heads(scene) if shows_splats(head) and _renders(scene, head)]
    for head in found:
        problem = problem_of(head)
        if problem:
            raise SettingsError(f"{head.name}: {problem}", "Show its mesh instead, or train it again.")
    return found


def has_rendered_heads(scene: bpy.types.Scene) -> bool:
    """Whether final frames show Gaussian heads. Cheap."""
    return any(shows_splats(head) and _renders(scene, head) for head in heads(scene))


def _renders(scene: bpy.types.Scene, head: Any) -> bool:
    if head.hide_render:
        return False
    used = [layer.layer_collection for layer in scene.view_layers if layer.use]
    return any(_reaches(collection, head) for collection in used)


def _reaches(layer: Any, head: Any) -> bool:
    """Whether an object is in what a view layer renders of this collection."""
    if layer.collection.hide_render:
        return False
    if not layer.exclude and head.name in layer.collection.objects:
        return True
    return any(_reaches(child, head) for child in layer.children)


@dataclass
class _Track:
    """What the worker is told of one head."""

    head: str
    """Name of the object."""
    vertices: list[Array] = field(default_factory=list)
    latent: list[Array] = field(default_factory=list)
    job: RunningJob | None = None


class SplatDrawing:
    """The worker drawing some frames of all Gaussian heads of a scene."""

    def __init__(self, chosen: Sequence[bpy.types.Object], scratch: Path, start: Start) -> None:
        """`scratch`: a folder of our own; it is removed at the end."""
        self._tracks = [_Track(head.name) for head in chosen]
        self._scratch, self._start = scratch.absolute(), start  # the worker runs in another folder
        self._numbers: list[int] = []
        self._views: list[View] = []

    def read(self, scene: bpy.types.Scene, graph: bpy.types.Depsgraph, number: int) -> None:
        """Take down where the heads and the camera are. The scene stands on this frame."""
        view = view_of(scene, graph)
        for track in self._tracks:
            state = state_of(graph, _named(track.head))
            if state is None:
                raise SettingsError(f"{track.head} has no splats to draw in frame {number}.")
            track.vertices.append(state.vertices)
            track.latent.append(state.latent)
        self._numbers.append(number)
        self._views.append(view)

    def begin(self) -> None:
        """Hand everything that was read to the worker."""
        for index, track in enumerate(self._tracks):
            folder = self._folder(index)
            folder.mkdir(parents=True, exist_ok=True)
            order = folder.with_suffix(".npz")
            self._write(order, track, self._splats(index, track))
            track.vertices, track.latent = [], []
            track.job = self._start(["splat", "frames", str(order), "-o", str(folder)])

    def pictures(self, number: int) -> list[Picture] | None:
        """The heads in a frame; None while they are not drawn. Raises what went wrong with the worker."""
        found = []
        for index, track in enumerate(self._tracks):
            job = track.job
            assert job is not None
            job.poll()
            paths = self._paths(index, number)
            if not all(path.is_file() for path in paths):
                if job.done:
                    raise job.error or WorkerError(f"The worker did not draw frame {number} of {track.head}.")
                return None
            found.append(Picture(read_picture(paths[0]), np.load(paths[1], allow_pickle=False)))
        return found

    def drop(self, number: int) -> None:
        """Remove what was drawn of a frame."""
        for index in range(len(self._tracks)):
            for path in self._paths(index, number):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop the worker and remove everything."""
        for track in self._tracks:
            if track.job is not None and not track.job.done:
                track.job.stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _folder(self, index: int) -> Path:
        return self._scratch / f"head_{index}"

    def _paths(self, index: int, number: int) -> tuple[Path, Path]:
        """The picture, and the depth, which the worker writes first."""
        stem = self._folder(index) / f"{_STEM}_{number:05d}"
        return stem.with_suffix(".png"), stem.with_suffix(".depth.npy")

    def _splats(self, index: int, track: _Track) -> Path:
        """The file of the splats; a copy where they are to be drawn in another size. Quality is the
        viewport's: final frames show all of them.
        """
        head = _named(track.head)
        path, size, avatar = path_of(head), settings_of(head).size, splats_of(head)
        if avatar is None:
            raise SettingsError(f"{head.name}: {problem_of(head)}")
        if abs(size - 1.0) < 1e-4:
            return path.absolute()
        copy = self._folder(index).with_name(f"splats_{index}.npz")
        thinned(avatar, 1.0, size).save(copy)
        return copy

    def _write(self, order: Path, track: _Track, splats: Path) -> None:
        lens = np.array([(v.fx, v.fy, v.cx, v.cy) for v in self._views], np.float64).T
        view = self._views[0]
        values: dict[str, Any] = {
            "splats": str(splats),
            "vertices": np.stack(track.vertices),
            "latent": np.stack(track.latent),
            "T_view_world": np.stack([v.T_view_world for v in self._views]),
            **dict(zip(("fx", "fy", "cx", "cy"), lens, strict=True)),
            "size": np.array([view.width, view.height], np.int64),
            "numbers": np.array(self._numbers, np.int64),
            "near": np.array([v.near for v in self._views]),
            "name": np.array(_STEM),
        }
        with suppress(FileNotFoundError):
            order.unlink()
        try:
            np.savez(order, **values)
        except OSError as problem:
            raise SettingsError(
                f"{order.name} cannot be written to {order.parent}: {problem.strerror or problem}.",
                "Is the disk full?",
            ) from problem


def _named(name: str) -> Any:
    head = bpy.data.objects.get(name)
    if head is None:
        raise SettingsError(f"{name} was removed while frames were rendered.", "Render again.")
    return head
