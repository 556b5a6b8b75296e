# SPDX-License-Identifier: GPL-3.0-or-later
"""The texture stage of an avatar: still, relief, colours, face track and predicted texture, in files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..capture import Capture
from ..head import HeadModel, Rest
from ..head.atlas import HeadAtlas, load_atlas
from ..performance import Performance
from ..progress import Progress, silent, subrange
from .face_track import make_face_track
from .measure import measure
from .portrait_layers import Portraits
from .portraits import portraits
from .posed import PosedHead
from .relief import make_relief
from .still import Still, make_still

Array = np.ndarray
Stage = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class TextureSettings:
    """What is to be made."""

    size: int = 0
    """Side of the still in px; 0 chooses by how large the face is in the footage."""
    face_track: bool = True
    """Whether a movie is made of the face, one picture per sample, and a predicted texture from it."""


@dataclass
class Textures:
    """What was made; the names are files in the folder it was made in."""

    files: dict[str, str] = field(default_factory=dict)
    """Role (`core.avatar.TEXTURE_ROLES`) to file name."""
    face_track: str = ""
    """File name of the movie, empty where there is none."""
    colours: dict[str, list[float]] = field(default_factory=dict)
    appearance: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    """For the report."""
    warnings: list[str] = field(default_factory=list)


def make_textures(
    folder: Path,
    capture: Capture,
    model: HeadModel,
    rest: Rest,
    performance: Performance,
    *,
    melanin: float | None,
    stage: Stage,
    settings: TextureSettings | None = None,
    coefficients: Array | None = None,
    track_file: str = "face.mp4",
    progress: Progress = silent,
) -> Textures:
    """Texture the person of `rest` from the footage that `performance` was solved in, into `folder`.

    coefficients: (K,) of the person's identity; with them photos beside a movie are used as well.
    melanin: pigment of the skin as it was measured (0..1), which fixes the albedo's level. stage: measures
    the time of a named stage. Needs av and cv2. CaptureError when the footage cannot be read any more.
    """
    settings = settings or TextureSettings()
    folder.mkdir(parents=True, exist_ok=True)
    atlas, head = load_atlas(model), PosedHead(model, rest, performance)
    made = Textures()
    progress(0.0, "texture", "Taking the face from the footage")
    with stage("portrait"):
        photos = _portraits(capture, head, atlas, coefficients)
    with stage("texture"):
        still = make_still(
            head,
            capture,
            atlas,
            size=settings.size,
            melanin=melanin,
            portraits=photos,
            progress=subrange(progress, 0.0, 0.45),
        )
        _write_still(made, folder, still, atlas, head)
    with stage("measure"):
        measured = measure(head, capture, atlas, still)
        made.colours = measured.colours()
        # The body meets the still where it ends in its plain skin, whatever the cheeks are like.
        made.colours["skin"] = [round(float(value), 4) for value in still.skin]
        made.appearance = measured.appearance()
    in_time = capture.movie is not None or capture.kind == "frames"
    if settings.face_track and performance.frame_count > 1 and in_time:
        with stage("face track"):
            _make_track(made, folder / track_file, head, capture, atlas, still, subrange(progress, 0.5, 1.0))
    return made


def _portraits(
    capture: Capture, head: PosedHead, atlas: HeadAtlas, coefficients: Array | None
) -> Portraits | None:
    found = None if coefficients is None else portraits(capture, head.model, head.rest, coefficients)
    if found is None:
        return None
    photos, performance = found
    return Portraits.of(PosedHead(head.model, head.rest, performance), photos, atlas)


def _write_still(made: Textures, folder: Path, still: Still, atlas: HeadAtlas, head: PosedHead) -> None:
    from .picture_file import write_picture

    made.figures |= {f"still_{key}": value for key, value in still.figures.items()}
    relief = _relief(still, atlas, head)
    for role, picture in (("albedo", still.albedo), ("coverage", still.coverage), ("normal", relief)):
        write_picture(folder / f"{role}.png", picture)
        made.files[role] = f"{role}.png"


def _relief(still: Still, atlas: HeadAtlas, head: PosedHead) -> Array:
    """The normal map, no larger than the footage is fine."""
    import cv2

    detail = min(int(still.figures["detail"]), len(still.albedo))
    albedo, coverage = (
        picture
        if detail == len(picture)
        else cv2.resize(picture, (detail, detail), interpolation=cv2.INTER_AREA)
        for picture in (still.albedo, still.coverage)
    )
    px = 1024 * still.figures["density"]
    return make_relief(albedo, coverage, atlas, head.model, head.rest.vertices, footage_px=px)


def _make_track(
    made: Textures,
    path: Path,
    head: PosedHead,
    capture: Capture,
    atlas: HeadAtlas,
    still: Still,
    progress: Progress,
) -> None:
    from .picture_file import write_picture

    track = make_face_track(head, capture, atlas, still, path, progress=progress)
    made.face_track = path.name
    made.figures |= {f"track_{key}": value for key, value in track.figures.items()}
    write_picture(path.parent / "scalp.png", track.scalp)
    made.files["scalp"] = "scalp.png"
    if track.predicted is not None:
        track.predicted.save(path.parent / "predicted.npz")
        made.files["predicted"] = "predicted.npz"
