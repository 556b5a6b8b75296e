# SPDX-License-Identifier: GPL-3.0-or-later
"""The texture stage of the way to an avatar, and the same again for an avatar that is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .avatar import Avatar
from .capture import Capture, open_capture
from .errors import AvatarError, Cancelled, LikenessError, WorkerError
from .files import read_json, write_json
from .head import HeadModel, load_model
from .person import rest_of
from .progress import Progress, silent
from .report import Report

if TYPE_CHECKING:
    from .texture.make import Textures, TextureSettings

TEXTURES = ("off", "still", "track")
"""How much is taken from the footage: nothing, one texture, or that and a movie of the face."""


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
        report.warnings.append(f"The face has no texture from the footage: {problem.message}")


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
    made = make_textures(
        avatar.texture_folder,
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
    avatar.textures |= made.files
    if made.face_track:
        avatar.face_tracks[request.performance] = made.face_track
    avatar.colours |= made.colours
    avatar.appearance |= made.appearance
    avatar.provenance["texture"] = f"{request.texture} from {capture.name}"
    report.texture = made.figures
    report.warnings += made.warnings
    avatar.save()


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
    request = TextureRequest(performance or _solved_in_footage(avatar), texture, size)
    texture_avatar(avatar, _footage(avatar, capture), load_model(avatar.model), request, report, progress)
    avatar.warnings = [*avatar.warnings, *(w for w in report.warnings if w not in avatar.warnings)]
    avatar.save()
    path = avatar.folder / "report.json"
    if path.is_file():
        write_json(path, {**read_json(path, AvatarError), "texture": report.texture})
    return avatar


def _solved_in_footage(avatar: Avatar) -> str:
    for name in avatar.performances:
        if avatar.load_performance(name).camera is not None:
            return name
    raise AvatarError(
        f"The avatar {avatar.name!r} has no performance that was solved in footage.",
        "Make it of a movie or photos with tracking on.",
    )


def _footage(avatar: Avatar, told: Path | None) -> Capture:
    """The capture the avatar was made of, else the movie it keeps."""
    if told is not None:
        return open_capture(told)
    source = avatar.provenance.get("capture", {}).get("path", "")
    kept = avatar.media_path("movie")
    for path in (Path(source) if source else None, kept):
        if path is not None and path.exists():
            return open_capture(path)
    raise AvatarError(
        f"The footage of {avatar.name!r} is no longer at {source or kept}.", "Say where it is with --capture."
    )
