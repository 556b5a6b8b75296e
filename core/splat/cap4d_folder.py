# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in CAP4D's folders: references with their fit and mattes, and generated pictures, each with the
parameters of its head and its camera (formats-cap4d 1.4, 1.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..capture import Member, open_capture
from ..capture.reference_folder import reference_folder
from ..errors import CaptureError
from ..fit.fit_npz import FlameFit, read_arrays, read_fit

_GENERATED, _REFERENCES = "generated_images", "reference_images"
_LARGEST_BOX = 1 << 20


@dataclass(frozen=True, eq=False)
class Source:
    """One picture with the parameters of its head and its camera."""

    picture: Member
    matte: Member | None
    fit: FlameFit
    frame: int
    camera: int
    box: tuple[int, int, int, int] | None = None
    """Left, top, right, bottom px of the full picture that it shows; None: all."""


def sources_in(folder: Path) -> list[Source]:
    """References first; CAP4D's own copies of them only where the originals are not there. CaptureError for
    another folder, and for damaged files.
    """
    places = [place for place in (folder, folder / "mmdm") if place.is_dir()]
    found: list[Source] = []
    if (folder / "fit.npz").is_file():
        found += _references(folder)
    for place in places:
        for name in (_GENERATED,) if found else (_REFERENCES, _GENERATED):
            found += _made(place / name)
    if not found:
        raise CaptureError(
            f"{folder.name} is no folder of CAP4D: it has neither fit.npz nor {_GENERATED}.",
            "Choose a reference folder, or the folder mmdm of a run.",
        )
    return found


def _references(folder: Path) -> list[Source]:
    capture = open_capture(folder)
    parts = reference_folder(capture)
    if parts is None:
        raise CaptureError(f"{folder.name} has no fit.npz that can be read.", "Track the pictures again.")
    fit = read_fit(parts.fit)
    found = []
    for camera, frame in parts.references:
        if camera not in fit.camera_order or frame >= fit.frame_count:
            raise CaptureError(f"fit.npz of {folder.name} has no picture {frame} of {camera[:40]}.")
        if camera not in parts.images:
            raise CaptureError(
                f"The pictures of {camera[:40]} in {folder.name} are a movie.", "Save its frames as PNG."
            )
        mattes = parts.mattes.get(camera, ())
        matte = mattes[frame] if len(mattes) == len(parts.images[camera]) else None
        number = fit.camera_order.index(camera)
        found.append(Source(parts.images[camera][frame], matte, fit, frame, number))
    return found


def _made(folder: Path) -> list[Source]:
    """Pictures of `images`, each with its file in `flame`."""
    found = []
    for file in sorted((folder / "flame").glob("*.npz")) if folder.is_dir() else ():
        picture = folder / "images" / f"{file.stem}.png"
        if not picture.is_file():
            raise CaptureError(f"{picture.name} is missing in {picture.parent}.", "Generate it again.")
        member = Member(picture.name, picture.stat().st_size, picture)
        found.append(Source(member, None, read_fit(file), 0, 0, _box(file)))
    return found


def _box(file: Path) -> tuple[int, int, int, int]:
    box = np.ravel(np.asarray(read_arrays(file).get("crop_box", ())))
    if box.shape != (4,) or box.dtype.kind not in "fiu" or np.abs(box).max() > _LARGEST_BOX:
        raise CaptureError(f"{file.name} has no crop_box of four numbers.", "Generate it again.")
    x0, y0, x1, y1 = (int(value) for value in box)
    if x1 <= x0 or y1 <= y0:
        raise CaptureError(f"The crop_box of {file.name} is empty.", "Generate it again.")
    return x0, y0, x1, y1
