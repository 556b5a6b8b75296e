# SPDX-License-Identifier: GPL-3.0-or-later
"""A movie from rendered frames: by Blender's own encoder, or by an installed ffmpeg with Leap's settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ...core.errors import SettingsError
from ...core.progress import Progress, silent
from . import ffmpeg, png
from .bpy_compat import set_movie_format, set_strip_length
from .sound import has_sound
from .timing import set_rate

CODECS = ("H265", "H264")
"""H265 is written with 10 bits, H264 with 8, which plays everywhere."""
ENCODERS = ("BLENDER", "FFMPEG")


@dataclass(frozen=True)
class Reel:
    """What goes into a movie."""

    pictures: tuple[Path, ...]
    size: tuple[int, int]
    fps: float
    sound: Path | None
    sound_start: float
    """Seconds into the sound at the first picture."""


def encode_movie(
    folder: Path,
    out: Path,
    fps: float,
    sound: Path | None = None,
    codec: str = "H265",
    encoder: str = "BLENDER",
    sound_start: float = 0.0,
    pictures: Iterable[Path] | None = None,
    progress: Progress = silent,
) -> Path:
    """Make a movie of the frames in `folder` (or of `pictures`, in order), shown at `fps`; its path.

    The suffix of `out` may be .mp4, .mov or .mkv. The movie appears under its name only when it is complete.
    Raises SettingsError for missing frames, unequal sizes, an unknown codec, a missing ffmpeg or a failure
    of the encoder.
    """
    if codec not in CODECS:
        raise SettingsError(f"The codec {codec!r} is not known.", f"Choose one of {', '.join(CODECS)}.")
    if encoder not in ENCODERS:
        raise SettingsError(f"The encoder {encoder!r} is not known.", f"Choose one of {', '.join(ENCODERS)}.")
    if out.suffix.lower() not in _CONTAINERS:
        raise SettingsError(f"A movie cannot be called {out.name}.", f"End it in {', '.join(_CONTAINERS)}.")
    reel = _reel(folder, pictures, fps, sound, sound_start)
    progress(0.0, "encode", f"{len(reel.pictures)} frames to {out.name}")
    part = out.with_name(f".{out.stem}.part{out.suffix}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if encoder == "FFMPEG":
            ffmpeg.encode(
                reel.pictures, reel.size, reel.fps, reel.sound, reel.sound_start, codec, part, progress
            )
        else:
            _encode_in_blender(reel, codec, part)
        part.replace(out)
    except OSError as problem:
        raise SettingsError(
            f"The movie cannot be written to {out}: {problem.strerror or problem}."
        ) from problem
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    progress(1.0, "encode", out.name)
    return out


_CONTAINERS = {".mp4": "MPEG4", ".mov": "QUICKTIME", ".mkv": "MKV"}


def _reel(
    folder: Path, pictures: Iterable[Path] | None, fps: float, sound: Path | None, start: float
) -> Reel:
    paths = tuple(sorted(folder.glob("frame_*.png")) if pictures is None else pictures)
    if not paths:
        raise SettingsError(f"There are no frames in {folder}.", "Render some first.")
    if not 0.01 <= fps <= 1000.0:
        raise SettingsError(f"The frame rate is {fps:g}; it must be within 0.01 and 1000.")
    sizes = {path: png.size_of(path) for path in paths}
    first = sizes[paths[0]]
    for path, size in sizes.items():
        if size is None:
            raise SettingsError(f"{path} is missing or incomplete.", "Render that frame again.")
        if size != first:
            raise SettingsError(
                f"{path.name} is of another size than {paths[0].name}.", "Render all frames alike."
            )
    assert first is not None
    if sound is not None and not sound.is_file():
        raise SettingsError(f"The sound {sound} is missing.")
    return Reel(paths, first, fps, sound, start)


def _encode_in_blender(reel: Reel, codec: str, out: Path) -> None:
    """Lay the pictures into the sequencer of a scene of their own and render that."""
    with _temporary_scene() as scene:
        sounding = _lay_out(scene, reel)
        _set_format(scene, reel, codec, out, sounding)
        try:
            bpy.ops.render.render(animation=True, scene=scene.name)
        except RuntimeError as problem:
            reason = str(problem).strip().removeprefix("Error: ").rstrip(".")
            raise SettingsError(f"Blender could not encode the movie: {reason}.") from problem
    if not out.is_file() or out.stat().st_size == 0:
        raise SettingsError(
            f"Blender could not encode {codec} to {out.suffix}.", "Try another codec or ffmpeg."
        )


@contextmanager
def _temporary_scene() -> Iterator[bpy.types.Scene]:
    scene = bpy.data.scenes.new("Likeness Encoding")
    before = {kind: set(getattr(bpy.data, kind)) for kind in ("images", "sounds")}
    try:
        yield scene
    finally:
        bpy.data.scenes.remove(scene)
        for kind, known in before.items():
            collection: Any = getattr(bpy.data, kind)
            for datablock in set(collection) - known:
                collection.remove(datablock)


def _lay_out(scene: bpy.types.Scene, reel: Reel) -> bool:
    """Put the strips; whether there is sound."""
    set_rate(scene, reel.fps)
    scene.frame_start, scene.frame_end = 1, len(reel.pictures)
    # Before the strip: it is stretched once, to the size that the scene has when it is made.
    scene.render.resolution_x, scene.render.resolution_y = (side - side % 2 for side in reel.size)
    scene.render.resolution_percentage = 100
    strips: Any = scene.sequence_editor_create().strips
    images = strips.new_image("Frames", str(reel.pictures[0]), 1, 1, fit_method="STRETCH")
    for path in reel.pictures[1:]:
        if path.parent != reel.pictures[0].parent:
            raise SettingsError(f"{path.name} lies in another folder than {reel.pictures[0].name}.")
        images.elements.append(path.name)
    set_strip_length(images, len(reel.pictures))
    images.colorspace_settings.name = "sRGB"
    if reel.sound is None:
        return False
    strip = strips.new_sound("Sound", str(reel.sound), 2, 1 - round(reel.sound_start * reel.fps))
    return has_sound(strip.sound)


def _set_format(scene: Any, reel: Reel, codec: str, out: Path, sounding: bool) -> None:
    render, view = scene.render, scene.view_settings
    # The pictures are finished: no second view transform.
    scene.display_settings.display_device = "sRGB"
    scene.sequencer_colorspace_settings.name = "sRGB"
    view.view_transform, view.look, view.exposure, view.gamma = "Standard", "None", 0.0, 1.0
    render.use_sequencer, render.use_compositing = True, False
    render.use_file_extension, render.filepath = True, str(out)
    settings: Any = render.image_settings
    set_movie_format(settings)
    movie: Any = render.ffmpeg
    movie.format, movie.codec = _CONTAINERS[out.suffix.lower()], codec
    settings.color_mode, settings.color_depth = "RGB", "10" if codec == "H265" else "8"
    movie.constant_rate_factor, movie.ffmpeg_preset = "PERC_LOSSLESS", "GOOD"
    movie.audio_codec = "AAC" if sounding else "NONE"
    movie.audio_bitrate, movie.audio_mixrate = 192, 48000
