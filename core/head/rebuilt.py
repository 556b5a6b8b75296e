# SPDX-License-Identifier: GPL-3.0-or-later
"""Hang the rebuilt parts (eyeballs, tear lines, teeth, gums) on the source vertices they follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .anny_source import EYES, LOWER_LID, TEETH, UPPER_LID, Source, reference_adult
from .dentition import dentition
from .derived import DerivedVertices, affine_weights
from .eyeball import cornea, eyeball
from .patch import Patch, strip

Array = np.ndarray

OVERBITE = 2.0
"""Millimetres by which the upper front teeth reach below the placeholder's edge, over the lower ones."""


@dataclass
class Rebuilt:
    """Derived rows and what hangs on them."""

    derived: DerivedVertices
    patches: dict[str, tuple[int, Patch]]
    """Part name to its first row and its shape."""
    sockets: list[dict[str, Any]]
    rigid: list[list[int]]
    joints: list[tuple[int, int, str]]
    """(first row, last row, joint) that carries them."""


def rebuild(source: Source, place: Array, first_row: int) -> Rebuilt:
    """All rebuilt parts, rows counted from `first_row`. `place`: source row of each base vertex, or -1."""
    adult = reference_adult(source)
    handles = Handles()
    patches: dict[str, tuple[int, Patch]] = {}
    result = Rebuilt(DerivedVertices.none(), patches, [], [], [])
    row = first_row
    ball, clear = eyeball(), cornea()
    for side, (start, stop, joint) in EYES.items():
        unit = np.concatenate([ball.points, clear.points]).astype(np.float32)
        front = np.arange(start, stop)
        front = front[adult[front, 2] > adult[front, 2].mean()]
        handles.rigid(place[np.arange(start, stop)], len(unit))
        result.sockets.append(
            {"joint": joint, "rows": place[front].astype(np.int32), "unit": unit, "first_row": row}
        )
        result.rigid.append([row, row + len(unit)])
        result.joints.append((row, row + len(unit), joint))
        patches[f"eye_{side}"], patches[f"cornea_{side}"] = (row, ball), (row + len(ball.points), clear)
        row += len(unit)
    for side in EYES:
        count = handles.tear_line(*_lid_rows(source, adult, place, side))
        flip = side == "right"
        patches[f"tear_{side}"] = (row, strip(count // 3, flip))
        result.joints.append((row, row + count, "head"))
        row += count
    for jaw, (start, stop) in TEETH.items():
        teeth, gum = _jaw(adult[start:stop], jaw == "upper")
        for name, patch in ((f"teeth_{jaw}", teeth), (f"gums_{jaw}", gum)):
            handles.affine(place[np.arange(start, stop)], adult[start:stop], patch.points)
            patches[name] = (row, patch)
            result.joints.append((row, row + len(patch.points), "head"))
            row += len(patch.points)
    result.derived = handles.finish()
    return result


def _lid_rows(source: Source, adult: Array, place: Array, side: str) -> tuple[Array, Array, Array]:
    """Along the lower lid: where it meets the eye, the lid's front edge there, and the upper lid above,
    (n,) rows each.
    """
    edges = np.concatenate([source.body.faces[:, [i, (i + 1) % 4]] for i in range(4)])
    edges = np.concatenate([edges, edges[:, ::-1]])
    eye = adult[EYES["left"][0] : EYES["left"][1]].mean(axis=0)
    rows = []
    for inner in LOWER_LID:
        around = np.setdiff1d(edges[edges[:, 0] == inner, 1], LOWER_LID)
        front = around[np.argmax(np.linalg.norm(adult[around] - eye, axis=1))]
        above = UPPER_LID[int(np.argmin(np.abs(adult[list(UPPER_LID), 0] - adult[inner, 0])))]
        rows.append((inner, front, above))
    table = np.array(rows).T
    if side == "right":
        table = source.mirror[table]
    inner, front, above = place[table]
    return inner, front, above


def _jaw(base: Array, upper: bool) -> tuple[Patch, Patch]:
    """Teeth and gum over the placeholder arch `base` ((68, 3) mm)."""
    left = base[base[:, 0] >= -0.5]
    columns = _columns(left)
    outer = np.array([left[column][np.argmax(left[column][:, 0] + left[column][:, 2])] for column in columns])
    lowest = [
        left[column][np.argmin(left[column][:, 1] if upper else -left[column][:, 1])] for column in columns
    ]
    edge = np.polynomial.polynomial.polyfit(np.array(lowest)[:, 2], np.array(lowest)[:, 1], 2)
    along = _resampled(outer[:, [0, 2]])
    along[:, 1] -= 0.4 if upper else 2.0
    levels = np.polynomial.polynomial.polyval(along[:, 1], edge) - (OVERBITE if upper else 0.0)
    return dentition(along, levels, upper)


def _columns(points: Array) -> list[Array]:
    """Indices of the placeholder's outer wall, column by column from the midline to the back."""
    angle = np.arctan2(points[:, 0], points[:, 2] - points[:, 2].min() + 1.0)
    bins = np.clip((angle / (np.pi / 2) * 9).astype(int), 0, 8)
    columns = [np.flatnonzero(bins == b) for b in np.unique(bins)]
    wall = [np.hypot(points[c, 0], points[c, 2] - points[:, 2].min()) for c in columns]
    return [c[distance > distance.max() - 5.0] for c, distance in zip(columns, wall, strict=True)]


def _resampled(curve: Array, count: int = 60) -> Array:
    """A smooth arch through `curve` ((n, 2) x and z, from the midline back), at even arc length."""
    mirrored = np.concatenate([curve[:0:-1] * [-1, 1], curve])
    mirrored[len(curve) - 1, 0] = 0.0
    order = np.argsort(mirrored[:, 0])
    x, z = mirrored[order].T
    even = np.polynomial.polynomial.polyfit(x**2, z, 3)
    dense_x = np.linspace(0.0, x.max(), 400)
    dense = np.c_[dense_x, np.polynomial.polynomial.polyval(dense_x**2, even)]
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(dense, axis=0), axis=1))])
    at = np.linspace(0, length[-1], count)
    return np.c_[np.interp(at, length, dense[:, 0]), np.interp(at, length, dense[:, 1])]


class Handles:
    """Collects handles and the rows that hang on them."""

    def __init__(self) -> None:
        self.handle_rows: list[Array] = []
        self.handle_weights: list[Array] = []
        self.rows: list[Array] = []
        self.weights: list[Array] = []

    def affine(self, source_rows: Array, points: Array, targets: Array) -> None:
        """Hang `targets` on the affine motion of the source rows, through four handles around them."""
        size = float(np.ptp(points, axis=0).max())
        corners = points.mean(axis=0) + size * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
        first = len(self.handle_rows)
        for weights in affine_weights(points, corners):
            self.handle_rows.append(source_rows)
            self.handle_weights.append(weights)
        local = (targets - corners[0]) / size
        self.rows.append(np.tile(np.arange(first, first + 4), (len(targets), 1)))
        self.weights.append(np.c_[1 - local.sum(axis=1), local])

    def tear_line(self, inner: Array, front: Array, above: Array) -> int:
        """A meniscus between lower lid and eye: three rows per point, from on the lid to just inside the
        eyeball.

        Raised towards the upper lid by a share of the opening, so that it flattens when the eye shuts.
        """
        profile = ((0.55, 0.43, 0.02), (0.93, 0.01, 0.06), (1.32, -0.38, 0.06))
        for triple in zip(inner, front, above, strict=True):
            for weights in profile:
                self.rows.append(np.full((1, 4), len(self.handle_rows)))
                self.handle_rows.append(np.array(triple))
                self.handle_weights.append(np.array(weights))
                self.weights.append(np.array([[1.0, 0.0, 0.0, 0.0]]))
        return 3 * len(inner)

    def rigid(self, source_rows: Array, count: int) -> None:
        """Rows that another rule places; they only need to exist, at the middle of the source rows."""
        self.rows.append(np.full((count, 4), len(self.handle_rows)))
        self.handle_rows.append(source_rows)
        self.handle_weights.append(np.full(len(source_rows), 1 / len(source_rows)))
        self.weights.append(np.tile([1.0, 0.0, 0.0, 0.0], (count, 1)))

    def finish(self) -> DerivedVertices:
        """All that was hung, as arrays."""
        rows, weights = pad(self.handle_rows, self.handle_weights)
        return DerivedVertices(
            rows,
            weights.astype(np.float32),
            np.concatenate(self.rows).astype(np.int32),
            np.concatenate(self.weights).astype(np.float32),
        )


def pad(rows: list[Array], weights: list[Array]) -> tuple[Array, Array]:
    """Ragged rows and weights as rectangular arrays; padding repeats row 0 of each with weight 0."""
    width = max(len(row) for row in rows)
    padded_rows = np.array([np.pad(row, (0, width - len(row)), mode="edge") for row in rows], np.int32)
    padded_weights = np.array([np.pad(weight, (0, width - len(weight))) for weight in weights])
    return padded_rows, padded_weights
