# SPDX-License-Identifier: GPL-3.0-or-later
"""The texture stage of the way to an avatar, and the same again for an avatar that is there."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .avatar import Avatar
from .capture import Capture, open_capture
from .errors import AvatarError, Cancelled, CaptureError, LikenessError, WorkerError
from .files import read_json, write_json
from .head import HeadModel, load_model
from .person import rest_of
from .progress import Progress, silent, subrange
from .report import Report

if TYPE_CHECKING:
    from .texture.make import Textures, TextureSettings

TEXTURES = ("off", "still", "track")
"""How much is taken from the footage: nothing, one texture, or that and a movie of the face."""
OF_TRACK = ("scalp", "predicted")
"""Roles that are made of the face track."""
NO_TEXTURE = "The face has no texture from the footage"
"""How a warning of a capture without textures begins."""
FRAMES_OFF = 2
"""Pictures by which the same footage, written again, may differ."""
PLACE_OFF = 0.08
"""Share of the face's size by which a face may be elsewhere in the same footage, written again."""


@dataclass(frozen=True)
class TextureRequest:
    """What to texture, and how."""

    performance: str
    """The performance that was solved in the footage."""
    texture: str = "track"
    """One of `TEXTURES`."""
    size: int = 0
    """px; 0 chooses by the footage."""


def texture_or_warn(
    avatar: Avatar,
    capture: Capture,
    model: HeadModel,
    request: TextureRequest,
    report: Report,
    progress: Progress = silent,
) -> None:
    """As `texture_avatar`; what keeps a texture from being made is a warning, as head and performance are of
    use without.
    """
    try:
        texture_avatar(avatar, capture, model, request, report, progress)
    except LikenessError as problem:
        if isinstance(problem, Cancelled):
            raise
        report.warnings.append(f"{NO_TEXTURE}: {problem.message}")


def texture_avatar(
    avatar: Avatar,
    capture: Capture,
    model: HeadModel,
    request: TextureRequest,
    report: Report,
    progress: Progress = silent,
) -> None:
    """Make the textures of an avatar in its folder and save it.

    AvatarError for a performance that was not solved in footage, CaptureError for footage that cannot be
    read, WorkerError where a library is missing.
    """
    performance = avatar.load_performance(request.performance)
    if performance.camera is None:
        raise AvatarError(
            f"The performance {request.performance!r} of {avatar.name} was not solved in footage.",
            "Choose one that was tracked.",
        )
    make_textures, settings = _worker(request)
    with _beside(avatar.texture_folder) as folder:
        made = make_textures(
            folder,
            capture,
            model,
            rest_of(model, avatar),
            performance,
            melanin=avatar.appearance.get("melanin"),
            stage=report.stage,
            settings=settings,
            coefficients=avatar.coefficients,
            track_file=f"{Path(avatar.performance_files[request.performance]).stem}.mp4",
            progress=progress,
        )
    for role in OF_TRACK:  # what was made of an earlier track lies on an earlier still
        avatar.textures.pop(role, None)
    avatar.face_tracks.pop(request.performance, None)
    avatar.textures |= made.files
    if made.face_track:
        avatar.face_tracks[request.performance] = made.face_track
    avatar.colours |= made.colours
    avatar.appearance |= made.appearance
    avatar.provenance["texture"] = f"{request.texture} from {capture.name}"
    report.texture = made.figures
    report.warnings += made.warnings
    avatar.save()


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A folder to fill, whose files take their places in `folder` when all are there, else are gone."""
    scratch = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}.part")
    scratch.mkdir(parents=True)
    try:
        yield scratch
        folder.mkdir(exist_ok=True)
        for path in scratch.iterdir():
            path.replace(folder / path.name)
    except OSError as problem:
        raise AvatarError(f"{folder} cannot be written: {problem.strerror or problem}.") from problem
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _worker(request: TextureRequest) -> tuple[Callable[..., Textures], TextureSettings]:
    try:
        from .texture.make import TextureSettings, make_textures
    except ImportError as problem:
        raise WorkerError(
            f"Textures need {problem.name}, which this Python lacks.",
            "Make the worker environment in the preferences, or run build.py setup.",
        ) from problem
    return make_textures, TextureSettings(request.size, request.texture == "track")


def retexture(
    folder: Path | str,
    texture: str = "track",
    size: int = 0,
    performance: str = "",
    capture: Path | None = None,
    progress: Progress = silent,
) -> Avatar:
    """Make the textures of an avatar again from its footage, which may lie elsewhere now (`capture`).

    performance: by default the first that was solved in footage. AvatarError where there is none,
    CaptureError where the footage cannot be opened.
    """
    avatar = Avatar.load(folder)
    report = Report()
    request = TextureRequest(performance or solved_in_footage(avatar), texture, size)
    footage = footage_of(avatar, capture)
    if capture is not None:
        check_same_footage(avatar, request.performance, footage, subrange(progress, 0.0, 0.3))
        progress = subrange(progress, 0.3, 1.0)
    texture_avatar(avatar, footage, load_model(avatar.model), request, report, progress)
    kept = [warning for warning in avatar.warnings if not warning.startswith(NO_TEXTURE)]
    avatar.warnings = [*kept, *(warning for warning in report.warnings if warning not in kept)]
    avatar.save()
    path = avatar.folder / "report.json"
    if path.is_file():
        write_json(path, {**read_json(path, AvatarError), "texture": report.texture})
    return avatar


def check_same_footage(
    avatar: Avatar, performance: str, footage: Capture, progress: Progress = silent
) -> None:
    """CaptureError unless the face is in `footage` where it was in what the performance was solved in."""
    from .track import Track, track_capture

    path = avatar.track_path(performance)
    if not path.is_file():
        return
    before, now = Track.load(path), track_capture(footage, progress)
    other = f"{footage.path.name} is not the footage that {performance!r} was solved in"
    hint = "Choose that footage, or import this one as a capture of its own."
    if abs(before.frame_count - now.frame_count) > FRAMES_OFF:
        counts = f"{now.frame_count} pictures and not {before.frame_count}"
        raise CaptureError(f"{other}: it has {counts}.", hint)
    count = min(before.frame_count, now.frame_count)
    both = before.tracked[:count] & now.tracked[:count]
    places = [
        track.landmarks[:count][both][:, :, :2] / track.size[:count][both][:, None] for track in (before, now)
    ]
    face = np.ptp(places[0], axis=1).mean(axis=1)
    off = np.linalg.norm(places[0] - places[1], axis=2).mean(axis=1) / face
    if not len(off) or np.median(off) > PLACE_OFF:
        raise CaptureError(f"{other}: the face is elsewhere in it.", hint)


def solved_in_footage(avatar: Avatar) -> str:
    """The first performance that was solved in footage; AvatarError where there is none."""
    for name in avatar.performances:
        if avatar.load_performance(name).camera is not None:
            return name
    raise AvatarError(
        f"The avatar {avatar.name!r} has no performance that was solved in footage.",
        "Make it of a movie or photos with tracking on.",
    )


def footage_of(
    avatar: Avatar, told: Path | None, say: str = "python -m core texture NAME.avatar --capture CAPTURE"
) -> Capture:
    """The capture the avatar was made of, else the movie it keeps; `say`: the command that can be told where
    it is. AvatarError where it is gone, CaptureError where it cannot be opened.
    """
    if told is not None:
        return open_capture(told)
    noted = avatar.provenance.get("capture")
    source = noted.get("path") if isinstance(noted, dict) else ""
    source = source if isinstance(source, str) else ""
    kept = avatar.media_path("movie")
    for path in (Path(source) if source else None, kept):
        if path is not None and path.exists():
            return open_capture(path)
    raise AvatarError(
        f"The footage of {avatar.name!r} is no longer at {source or kept}.",
        f"Put it back, or import it again; on the command line say where it is: {say}.",
    )
