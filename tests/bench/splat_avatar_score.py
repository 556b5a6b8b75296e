# SPDX-License-Identifier: GPL-3.0-or-later
"""Held-out pictures of a head by its Gaussians and by its mesh: scores in one mask, and a contact sheet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from core.splat.shot_levels import on_background
from core.splat.trainer import BACKGROUND
from core.texture.picture_file import write_picture
from tests.bench.fidelity_compare import Seen
from tests.bench.fidelity_metrics import Lpips, psnr, ssim, ssim_map

Array = np.ndarray

KINDS = ("mesh", "splats")
LPIPS_STEP = 6
"""Of the pictures, one in so many goes through the slow network."""
CELL, TITLE = 360, 26
INK, DIM, GREY = (235, 235, 235), (160, 160, 160), (52, 52, 56)


@dataclass(frozen=True)
class Row:
    """One held-out sample, cut to the head; pictures (h, w, 3) uint8 over one background."""

    sample: int
    footage: Array
    mesh: Array
    splats: Array
    head: Array
    """(h, w) bool: head, hair and neck, where the picture counts."""
    face: Array
    """(h, w) bool: the part of it that the mesh says is face."""

    @staticmethod
    def of(arrays: dict[str, Array], seen: Seen) -> Row:
        """arrays: what `splat_avatar_run` wrote."""
        n = seen.index
        image, matte, weight = (arrays[f"{name}_{n}"] for name in ("image", "matte", "weight"))
        x, y = arrays["corners"][arrays["samples"].tolist().index(n)]
        cut = slice(y, y + image.shape[0]), slice(x, x + image.shape[1])
        back = np.rint(255 * np.array(BACKGROUND)).astype(np.uint8)
        mesh = np.where((seen.region > 0)[..., None], seen.pictures["track"], back)[cut]
        head = (matte > 127) & (weight > 127)
        footage = on_background(image, matte.astype(np.float32) / 255, BACKGROUND)
        return Row(n, footage, mesh, arrays[f"splats_{n}"], head, head & seen.face[cut])


def figures(rows: Iterable[Row], lpips: Lpips) -> dict[str, float]:
    """Means over the rows of PSNR, SSIM and LPIPS, by what is drawn and in which mask."""
    values: dict[str, list[float]] = defaultdict(list)
    for number, row in enumerate(rows):
        for kind in KINDS:
            for where in ("head", "face"):
                mask = getattr(row, where)
                shown = np.where(mask[..., None], getattr(row, kind), row.footage)
                values[f"{kind}_{where}_psnr_db"].append(psnr(shown, row.footage, mask))
                values[f"{kind}_{where}_ssim"].append(ssim(ssim_map(shown, row.footage), mask))
                if number % LPIPS_STEP == 0 and not lpips.missing:
                    values[f"{kind}_{where}_lpips"].append(lpips.distance(shown, row.footage, mask))
    return {name: float(np.nanmean(found)) for name, found in values.items()}


def sheet(rows: Sequence[Row], path: Path) -> Path:
    """Footage, mesh with track and Gaussians, one line per sample."""
    lines = [
        np.hstack([_title(text) for text in ("footage (held out)", "mesh with texture track", "Gaussians")])
    ]
    for row in rows:
        cells = [_cell(row.footage, f"{row.sample}")]
        for kind in KINDS:
            picture = getattr(row, kind)
            told = [
                f"{where} {psnr(picture, row.footage, getattr(row, where)):.1f}" for where in ("head", "face")
            ]
            cells.append(_cell(picture, " ".join([*told, "dB"])))
        lines.append(np.hstack(cells))
    write_picture(path, np.vstack(lines))
    return path


def _cell(picture: Array, text: str) -> Array:
    height, width = picture.shape[:2]
    scale = CELL / max(height, width)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=way)
    cell = np.full((CELL, CELL, 3), np.rint(255 * np.array(BACKGROUND)), np.uint8)
    top, left = ((CELL - side) // 2 for side in small.shape[:2])
    cell[top : top + small.shape[0], left : left + small.shape[1]] = small
    for colour, thickness in (((0, 0, 0), 3), (INK, 1)):
        cv2.putText(cell, text, (6, CELL - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, thickness, cv2.LINE_AA)
    return cell


def _title(text: str) -> Array:
    band = np.full((TITLE, CELL, 3), GREY, np.uint8)
    cv2.putText(band, text, (6, TITLE - 9), cv2.FONT_HERSHEY_SIMPLEX, 0.5, DIM, 1, cv2.LINE_AA)
    return band
