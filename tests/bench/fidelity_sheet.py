# SPDX-License-Identifier: GPL-3.0-or-later
"""Contact sheets: footage, fitted mesh, and the double in each of its textures, one row per moment."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from core.head.atlas import HeadAtlas
from core.texture.picture_file import write_picture
from tests.bench.fidelity_compare import Seen
from tests.bench.fidelity_metrics import psnr

Array = np.ndarray

CELL = 300
"""px of a cell's side."""
TITLE = 26
GREY, INK, DIM = (52, 52, 56), (235, 235, 235), (160, 160, 160)
MARGIN = 0.22
"""Of the face's height, around it."""
KINDS = ("still", "track", "predicted")


def sheet(rows: list[tuple[Seen, Array]], atlas: HeadAtlas, path: Path) -> Path:
    """Write one: samples, each with the px of its head in its footage, (V, 2)."""
    kinds = [kind for kind in KINDS if any(kind in row.pictures for row, _ in rows)]
    lines = [np.hstack([_title(text) for text in ("footage", "overlay", *kinds)])]
    lines += [_row(row, pixels, atlas, kinds) for row, pixels in rows]
    write_picture(path, np.vstack(lines))
    return path


def _row(row: Seen, pixels: Array, atlas: HeadAtlas, kinds: list[str]) -> Array:
    box = _box(row)
    cells = [_cell(row.footage, box, f"{row.index}" + ("" if row.held else " (shown)"))]
    cells.append(_cell(overlay(row, pixels, atlas), box, ""))
    for kind in kinds:
        if kind in row.pictures:
            shown = on_grey(row.pictures[kind], row.region > 0)
            cells.append(_cell(shown, box, f"{psnr(row.pictures[kind], row.footage, row.face):.1f} dB"))
        else:
            cells.append(np.full((CELL, CELL, 3), GREY, np.uint8))
    return np.hstack(cells)


def overlay(row: Seen, pixels: Array, atlas: HeadAtlas) -> Array:
    """The footage under the wires of the triangles that are seen."""
    scale = 2
    large = cv2.resize(row.footage, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    wires = large.copy()
    seen = np.unique(row.view.triangle)
    corners = np.rint(16 * scale * pixels[atlas.triangles[seen[seen >= 0]]]).astype(np.int32)
    cv2.polylines(wires, list(corners), isClosed=True, color=(90, 230, 255), lineType=cv2.LINE_AA, shift=4)
    return cv2.resize(cv2.addWeighted(large, 0.6, wires, 0.4, 0), row.footage.shape[1::-1])


def on_grey(picture: Array, inside: Array) -> Array:
    """The picture before plain grey."""
    return np.where(inside[..., None], picture, np.array(GREY, np.uint8))


def _box(row: Seen) -> tuple[int, int, int]:
    """(x, y, side) of the square that holds the face and what is around it."""
    y, x = np.nonzero(row.face)
    side = round(max(np.ptp(x), np.ptp(y)) * (1 + 2 * MARGIN))
    return int(x.min() + x.max() - side) // 2, int(y.min() + y.max() - side) // 2, side


def _cell(picture: Array, box: tuple[int, int, int], text: str) -> Array:
    x, y, side = box
    wide = ((side, side), (side, side), (0, 0))
    padded = np.where(
        np.pad(np.ones((*picture.shape[:2], 1), bool), wide), np.pad(picture, wide), np.uint8(GREY)
    )
    cut = padded[y + side : y + 2 * side, x + side : x + 2 * side]
    way = cv2.INTER_AREA if side > CELL else cv2.INTER_CUBIC
    cell = cv2.resize(cut, (CELL, CELL), interpolation=way)
    cv2.putText(cell, text, (6, CELL - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(cell, text, (6, CELL - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
    return cell


def _title(text: str) -> Array:
    band = np.full((TITLE, CELL, 3), GREY, np.uint8)
    cv2.putText(band, text, (6, TITLE - 9), cv2.FONT_HERSHEY_SIMPLEX, 0.5, DIM, 1, cv2.LINE_AA)
    return band
