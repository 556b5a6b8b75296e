# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a compressed object is from its original, in millimetres: per vertex, per frame, in a sentence.

The distance is that of the face in the head's coordinates: what the bones make of it against the shape keys,
with the weights as they are in the mesh. Vertices that neither move are left out of mean and percentile, or
a body would hide its face.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np

from . import bpy_compat

PROPERTY = "compression_error"
"""Of the object: largest distance of the frame, mm; keyed."""
MEAN_PROPERTY = "compression_error_mean"
WORST_ATTRIBUTE = "compression_error"
"""Point attribute (float): largest distance of each vertex over the frames, mm."""
MEAN_ATTRIBUTE = "compression_error_mean"
COLOUR_ATTRIBUTE = "Compression Error"
"""Point colours of the largest distance, `heat` from 0 to `TOP_PROPERTY`."""
TOP_PROPERTY = "compression_error_top"
"""Of the object: the distance in mm that has the last colour."""
_MILLIMETRES = 1000.0
_BLOCK = 4_000_000
"""Numbers in a block of distances."""
_HEAT = np.array(
    [[0.02, 0.03, 0.12], [0.05, 0.25, 0.55], [0.1, 0.6, 0.5], [0.9, 0.8, 0.15], [0.85, 0.1, 0.05]]
)
"""Linear RGB from nothing to the top: dark blue, blue, green, yellow, red."""


@dataclass(frozen=True)
class ErrorReport:
    """Distances in millimetres."""

    mean: float
    """Over the vertices that move, all frames."""
    p999: float
    """99.9 % of them are below."""
    worst: float
    worst_frame: float
    frames: np.ndarray
    """(T,)"""
    frame_mean: np.ndarray
    """(T,)"""
    frame_worst: np.ndarray
    """(T,)"""
    vertex_mean: np.ndarray
    """(N,) over the frames."""
    vertex_worst: np.ndarray
    """(N,)"""
    shapes: tuple[str, ...] = ()
    """Where nothing plays: the shapes, each fully on, that stand for the frames in all but `frames`,
    `frame_mean` and `frame_worst`; `worst_frame` is the number of one of them.
    """

    @property
    def sentence(self) -> str:
        """For a person."""
        mean, at = "Mean", f"frame {self.worst_frame:g}"
        if self.shapes:
            each = "its shape" if len(self.shapes) == 1 else f"each of its {len(self.shapes)} shapes"
            mean, at = f"Nothing plays yet. With {each} at 1: mean", self.shapes[int(self.worst_frame)]
        return (
            f"{mean} {_said(self.mean)} mm, 99.9 % of vertices below {_said(self.p999)} mm, "
            f"worst {_said(self.worst)} mm ({at})"
        )

    def of_shapes(self, names: tuple[str, ...], alone: ErrorReport) -> ErrorReport:
        """The same where nothing plays, with the distances of each shape alone, whose "frames" are their
        numbers.
        """
        return replace(
            alone, frames=self.frames, frame_mean=self.frame_mean, frame_worst=self.frame_worst, shapes=names
        )


def _said(value: float) -> str:
    return f"{value:.1f}" if value >= 10.0 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def measure(
    frames: np.ndarray,
    matrices: np.ndarray,
    weights: np.ndarray,
    points: np.ndarray,
    deltas: np.ndarray,
    values: np.ndarray,
    to_mm: np.ndarray,
    posed: Callable[[slice, np.ndarray], np.ndarray] | None = None,
) -> ErrorReport:
    """Distances between bones and shapes.

    matrices (T, B, 3, 4), weights (N, B), points (N, 3) and deltas (S, N, 3) are in one coordinate system,
    which `to_mm` (3, 3) takes to millimetres of the world; values (T, S). `posed` gives what corrective keys
    add (t, 3, n) in a block of frames to some vertices (n,).
    """
    rows = np.flatnonzero(
        (weights > 0.0).any(axis=1) | np.abs(deltas).max(axis=(0, 2), initial=0.0).astype(bool)
    )
    influence = np.ones((len(rows), weights.shape[1], 4), np.float32)
    influence[:, :, :3] = points[rows, None, :]
    influence *= weights[rows, :, None]
    spread = influence.reshape(len(rows), -1).T
    apart = np.array(matrices, np.float64)
    apart[..., :3] -= np.eye(3)
    bones = np.einsum("ij,tbjk->tibk", to_mm, apart).reshape(len(frames), 3, -1).astype(np.float32)
    wanted = np.ascontiguousarray((deltas[:, rows] @ to_mm.T.astype(np.float32)).transpose(0, 2, 1))
    wanted = wanted.reshape(len(deltas), -1)
    table = _Table(len(frames), len(rows))
    step = max(1, _BLOCK // max(3 * len(rows), 1))
    for start in range(0, len(frames), step):
        block = slice(start, start + step)
        there = (bones[block].reshape(-1, spread.shape[0]) @ spread).reshape(-1, 3, len(rows))
        there -= (values[block].astype(np.float32) @ wanted).reshape(-1, 3, len(rows))
        if posed is not None:
            there += to_mm.astype(np.float32) @ posed(block, rows)
        table.add(block, np.sqrt(np.square(there).sum(axis=1)))
    return table.report(frames, rows, len(points))


class _Table:
    """Gathers distances block by block."""

    def __init__(self, frames: int, vertices: int) -> None:
        self.frame_mean, self.frame_worst = np.zeros(frames), np.zeros(frames)
        self.total, self.most = np.zeros(vertices), np.zeros(vertices)
        self.keep = max(1, int(frames * vertices * 0.001))
        self.largest = np.zeros(0, np.float32)

    def add(self, block: slice, distances: np.ndarray) -> None:
        """Distances (t, n) of some frames."""
        if not distances.size:
            return
        self.frame_mean[block] = distances.mean(axis=1, dtype=np.float64)
        self.frame_worst[block] = distances.max(axis=1)
        self.total += distances.sum(axis=0, dtype=np.float64)
        np.maximum(self.most, distances.max(axis=0), out=self.most)
        both = np.concatenate([self.largest, distances.ravel()])
        self.largest = np.partition(both, max(len(both) - self.keep, 0))[-self.keep :]

    def report(self, frames: np.ndarray, rows: np.ndarray, vertices: int) -> ErrorReport:
        """Everything, with zeros for the other vertices."""
        mean, most = np.zeros(vertices), np.zeros(vertices)
        mean[rows], most[rows] = self.total / max(len(frames), 1), self.most
        at = int(np.argmax(self.frame_worst)) if len(frames) else 0
        return ErrorReport(
            mean=float(self.frame_mean.mean()) if len(frames) else 0.0,
            p999=float(self.largest.min(initial=np.inf)) if self.largest.size else 0.0,
            worst=float(self.frame_worst.max(initial=0.0)),
            worst_frame=float(frames[at]) if len(frames) else 0.0,
            frames=frames,
            frame_mean=self.frame_mean,
            frame_worst=self.frame_worst,
            vertex_mean=mean,
            vertex_worst=most,
        )


def write_error(obj: bpy.types.Object, bag: Any, report: ErrorReport) -> list[str]:
    """Store a report with the object: attributes, colours and curves in `bag`; the data paths keyed."""
    mesh: Any = obj.data
    for name, values in ((WORST_ATTRIBUTE, report.vertex_worst), (MEAN_ATTRIBUTE, report.vertex_mean)):
        attribute = mesh.attributes.get(name) or mesh.attributes.new(name, "FLOAT", "POINT")
        attribute.data.foreach_set("value", values.astype(np.float32))
    holder: Any = obj
    texts = {PROPERTY: "Largest distance from the original in this frame, millimetres"}
    texts[MEAN_PROPERTY] = "Mean distance from the original in this frame, millimetres"
    for name, text in texts.items():
        holder[name] = 0.0
        holder.id_properties_ui(name).update(min=0.0, description=text)
    for name, values in ((PROPERTY, report.frame_worst), (MEAN_PROPERTY, report.frame_mean)):
        bpy_compat.write_fcurve(bag, f'["{name}"]', 0, report.frames, values)
    colour(obj, _rounded_up(float(np.quantile(report.vertex_worst, 0.999))))
    return [f'["{name}"]' for name in texts]


def _rounded_up(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    if value <= 1e-9:
        return 0.001
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= value * 0.999999))


def heat(amounts: np.ndarray) -> np.ndarray:
    """(n, 4) linear RGBA of amounts 0..1."""
    stops = np.linspace(0.0, 1.0, len(_HEAT))
    colours = [np.interp(amounts, stops, channel) for channel in _HEAT.T]
    return np.stack([*colours, np.ones(len(amounts))], axis=1).astype(np.float32)


def colour(obj: bpy.types.Object, top: float) -> None:
    """Colour the vertices by their largest distance, the last colour at `top` mm."""
    mesh: Any = obj.data
    values = np.empty(len(mesh.vertices), np.float32)
    mesh.attributes[WORST_ATTRIBUTE].data.foreach_get("value", values)
    layer = mesh.color_attributes.get(COLOUR_ATTRIBUTE)
    layer = layer or mesh.color_attributes.new(COLOUR_ATTRIBUTE, "FLOAT_COLOR", "POINT")
    layer.data.foreach_set("color", heat(np.clip(values / top, 0.0, 1.0)).ravel())
    holder: Any = obj
    holder[TOP_PROPERTY] = top
    text = "Distance from the original that has the last colour, millimetres"
    holder.id_properties_ui(TOP_PROPERTY).update(min=0.0, description=text)
    mesh.update()
