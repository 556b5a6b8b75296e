# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames as a PNG sequence that can be stopped and resumed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import bpy

from ...core.errors import SettingsError
from ...core.progress import Progress, silent
from . import png
from .bpy_compat import set_png_format
from .presets import safe_engine
from .workspace import alive


@dataclass(frozen=True)
class Rendered:
    """What `render_frames` did."""

    paths: tuple[Path, ...]
    """Of every frame asked for, in order, skipped ones included."""
    rendered: int
    skipped: int
    seconds: float
    notes: tuple[str, ...] = ()
    """What could not be done as asked, a sentence each."""


SPLATS = "splats"
"""Note in frames that hold Gaussian heads, so that none takes one kind for the other."""


def scene_frames(scene: bpy.types.Scene) -> range:
    """The frames of the scene's range and step."""
    return range(scene.frame_start, scene.frame_end + 1, max(1, scene.frame_step))


def frame_path(folder: Path, frame: int) -> Path:
    """Where a frame goes. Five digits, so that names sort as numbers for half an hour at 60 frames/s."""
    return folder / f"frame_{frame:05d}.png"


def picture_size(scene: bpy.types.Scene) -> tuple[int, int]:
    """Width and height in pixels of what the scene renders."""
    render = scene.render
    percent = render.resolution_percentage
    return render.resolution_x * percent // 100, render.resolution_y * percent // 100


def is_finished(scene: bpy.types.Scene, path: Path) -> bool:
    """Whether a frame is there, complete, of the size that the scene renders, and without Gaussian heads."""
    return png.size_of(path) == picture_size(scene) and not png.has_note(path, SPLATS)


def render_frames(
    scene: bpy.types.Scene,
    folder: Path,
    frames: Iterable[int] | None = None,
    resume: bool = True,
    progress: Progress = silent,
    depth: str = "8",
) -> Rendered:
    """Render frames (by default the scene's range) to `folder`; with `resume` finished ones are skipped.

    A frame appears under its name only when it is complete. Output settings and current frame come back
    afterwards. `depth`: bits per channel, "8" or "16". Raises SettingsError for a missing camera or an
    unwritable folder, and lets through what `progress` raises.
    """
    numbers = checked_frames(scene, frames)
    make_folder(folder)
    note = safe_engine(scene)
    start, done = perf_counter(), 0
    todo = [n for n in numbers if not (resume and is_finished(scene, frame_path(folder, n)))]
    with png_output(scene, depth):
        for count, number in enumerate(todo):
            progress(count / len(todo), "render", f"Frame {number} ({count + 1} of {len(todo)})")
            render_frame(scene, number, frame_path(folder, number))
            done += 1
    progress(1.0, "render", f"{done} frames rendered, {len(numbers) - done} were finished")
    paths = tuple(frame_path(folder, n) for n in numbers)
    return Rendered(paths, done, len(numbers) - done, perf_counter() - start, (note,) if note else ())


def render_frame(scene: bpy.types.Scene, frame: int, path: Path) -> None:
    """Render one frame beside its place and move it there. The scene's image settings must say PNG."""
    part = path.with_name(f".{path.stem}.part.png")
    scene.frame_set(frame)
    scene.render.filepath = str(part)
    try:
        bpy.ops.render.render(write_still=True, scene=scene.name)
        if png.size_of(part) is None:
            raise SettingsError(f"Frame {frame} could not be written to {path.parent}.", "Is the disk full?")
        part.replace(path)
    except RuntimeError as problem:
        reason = str(problem).strip().removeprefix("Error: ").rstrip(".")
        raise SettingsError(f"Frame {frame} could not be rendered: {reason}.") from problem
    except OSError as problem:
        raise SettingsError(
            f"Frame {frame} could not be written: {problem.strerror or problem}."
        ) from problem
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def checked_frames(scene: bpy.types.Scene, frames: Iterable[int] | None) -> Sequence[int]:
    """The frames to render, by default the scene's range; SettingsError without a camera or a frame."""
    if scene.camera is None:
        raise SettingsError("The scene has no camera.", "Add one, or build the double again.")
    numbers = list(scene_frames(scene)) if frames is None else sorted(set(frames))
    if not numbers:
        raise SettingsError("There is no frame to render.", "Choose a range that holds at least one frame.")
    if numbers[0] < 0:
        raise SettingsError(f"Frame {numbers[0]} is before the start.", "Frames are numbered from 0.")
    return numbers


def make_folder(folder: Path) -> None:
    """Make sure that frames can be written to `folder`, else SettingsError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".likeness"
        probe.touch()
        probe.unlink()
    except OSError as problem:
        raise SettingsError(
            f"Frames cannot be written to {folder}: {problem.strerror or problem}."
        ) from problem


_RENDER_SETTINGS = ("filepath", "use_file_extension", "use_overwrite", "use_placeholder")
_IMAGE_SETTINGS = ("media_type", "file_format", "color_mode", "color_depth", "compression")


@contextmanager
def png_output(scene: bpy.types.Scene, depth: str) -> Iterator[None]:
    """PNG output for the time of rendering."""
    render, image = scene.render, scene.render.image_settings
    frame, subframe = scene.frame_current, scene.frame_subframe
    kept = [(render, name, getattr(render, name)) for name in _RENDER_SETTINGS]
    kept += [(image, name, getattr(image, name)) for name in _IMAGE_SETTINGS if hasattr(image, name)]
    try:
        set_png_format(image, depth)
        render.use_file_extension, render.use_overwrite, render.use_placeholder = True, True, False
        yield
    finally:
        if alive(scene):
            _restore(kept)
            scene.frame_set(frame, subframe=subframe)


def _restore(kept: list[tuple[Any, str, Any]]) -> None:
    for owner, name, value in kept:
        setattr(owner, name, value)
