# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a reference folder that CAP4D takes: the fit, its pictures, mattes and the list of references."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ..errors import SettingsError, WorkerError
from ..files import atomic_folder, write_json
from .fit_npz import FlameFit, write_fit

Array = np.ndarray
Picture = Path | Array
"""A file, or (H, W, 3) uint8 RGB; a matte is (H, W) uint8."""


def write_reference_folder(
    target: Path,
    fit: FlameFit,
    pictures: Iterable[Picture],
    *,
    mattes: Iterable[Picture] = (),
    references: Sequence[int] | None = None,
) -> None:
    """Write the folder of a fit with one camera, beside and renamed.

    `pictures`: one per frame, in order; PNG files are copied, others are converted. `references`: frames that
    identity and view are taken from, the most frontal one first; by default the most frontal one, then the
    others in order. SettingsError where the numbers do not fit; WorkerError where Pillow is needed and not
    there.
    """
    if len(fit.camera_order) != 1:
        raise SettingsError("A reference folder is written for one camera.", "Choose one camera's frames.")
    chosen = list(frontal_first(fit) if references is None else references)
    if not chosen or any(not 0 <= frame < fit.frame_count for frame in chosen):
        raise SettingsError("The references name frames that are not there.")
    camera = fit.camera_order[0]
    with atomic_folder(target) as folder:
        write_fit(folder / "fit.npz", fit)
        count = _write_all(folder / "images" / camera, pictures)
        if count != fit.frame_count:
            raise SettingsError(f"There are {count} pictures for {fit.frame_count} frames.")
        covered = _write_all(folder / "bg" / camera, mattes)
        if covered not in (0, count):
            raise SettingsError(f"There are {covered} mattes for {count} pictures.")
        write_json(folder / "reference_images.json", [[camera, int(frame)] for frame in chosen])


def frontal_first(fit: FlameFit) -> list[int]:
    """All frames, the one whose face looks most straight into the camera first."""
    turn, _ = fit.head_in_view()
    first = int(turn[:, 2, 2].argmax())
    return [first, *(frame for frame in range(fit.frame_count) if frame != first)]


def _write_all(folder: Path, pictures: Iterable[Picture]) -> int:
    count = 0
    for count, picture in enumerate(pictures, 1):
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / f"{count - 1:05d}.png", picture)
    return count


def _write(path: Path, picture: Picture) -> None:
    if isinstance(picture, Path) and picture.suffix.lower() == ".png":
        shutil.copyfile(picture, path)
        return
    try:
        from PIL import Image
    except ImportError as problem:
        raise WorkerError(
            "Pictures are converted with Pillow, which is not here.", "Run build.py setup."
        ) from problem
    if isinstance(picture, Path):
        with Image.open(picture) as opened:
            opened.save(path)
    else:
        Image.fromarray(picture).save(path)
