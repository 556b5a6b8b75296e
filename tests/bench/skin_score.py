# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of linear blend skinning against its shapes, whoever made it: over shapes, and over frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.skin.measure import laplacian, laplacian_pairs, spread, transform_rows
from tests.bench.skin_inputs import DATA, STORED, Subject

Array = np.ndarray

BLOCK = 100
"""Frames at a time."""


@dataclass(frozen=True)
class Outcome:
    """Weights and transforms of a solver, and what they took."""

    weights: Array
    """(N, P)."""
    rows: Array
    """(3S, 4P): row 3k + c, column 4j + d is entry (c, d) of shape k's motion of bone j, less identity."""
    coefficients: int
    """Numbers that hold the transforms: those that are not zero, or six of each rigid motion."""
    costs: dict[str, float] = field(default_factory=dict)


def of_solution(weights: Array, transforms: Array, costs: dict[str, float]) -> Outcome:
    """Of transforms (S, P, 6)."""
    return Outcome(weights, transform_rows(transforms), int(np.count_nonzero(transforms)), costs)


def stored(name: str) -> Outcome:
    """The published algorithm's result that lies in ../shared; each number of it stands twice in a matrix."""
    with np.load(DATA / STORED[name]) as file:
        rows = file["shapeXform"]
        blocks = rows.reshape(len(rows) // 3, 3, -1, 4)
        turns = np.count_nonzero(blocks[..., :3]) // 2
        return Outcome(file["weights"], rows, turns + int(np.count_nonzero(blocks[..., 3])))


def residuals(subject: Subject, outcome: Outcome) -> Array:
    """(S, N, 3) float32: skinned minus shape, model units."""
    rest = subject.rest.astype(np.float64)
    columns = spread(outcome.weights, rest - rest.mean(axis=0))
    made = (columns @ outcome.rows.T.astype(np.float32)).reshape(len(rest), -1, 3).transpose(1, 0, 2)
    return np.ascontiguousarray(made - subject.deltas)


def score(subject: Subject, residual: Array) -> dict[str, float]:
    """The paper's figures over all shapes and components, in model units: mae, rmse, mxe; and lap_rms."""
    smooth = laplacian(laplacian_pairs(subject.faces), residual.shape[1])
    bends = sum(float(np.square(smooth @ shape).sum(dtype=np.float64)) for shape in residual)
    return {
        "mae": float(np.abs(residual).mean(dtype=np.float64)),
        "rmse": float(np.sqrt(np.square(residual).mean(dtype=np.float64))),
        "mxe": float(np.abs(residual).max()),
        "lap_rms": float(np.sqrt(bends / residual.size)),
    }


def frame_score(subject: Subject, residual: Array, coefficients: Array) -> dict[str, float]:
    """Distances over frames (T, S), mm: mean and 99th percentile of all; mean and largest of frames' worst.

    Transforms add up linearly, so a frame's error is the same sum of the shapes' errors.
    """
    flat = residual.reshape(len(residual), -1)
    lengths = [
        np.linalg.norm((coefficients[at : at + BLOCK] @ flat).reshape(-1, residual.shape[1], 3), axis=2)
        for at in range(0, len(coefficients), BLOCK)
    ]
    every = subject.mm * np.concatenate(lengths)
    worst = every.max(axis=1)
    return {
        "mean_mm": float(every.mean(dtype=np.float64)),
        "p99_mm": float(np.quantile(every, 0.99)),
        "worst_mean_mm": float(worst.mean()),
        "max_mm": float(worst.max()),
    }


def save(path: Path, outcome: Outcome) -> None:
    """For another process."""
    costs = {f"cost_{key}": np.float64(value) for key, value in outcome.costs.items()}
    count = np.int64(outcome.coefficients)
    np.savez(path, weights=outcome.weights, rows=outcome.rows, coefficients=count, **costs)  # type: ignore[arg-type]


def load(path: Path) -> Outcome:
    """What another process saved."""
    with np.load(path) as file:
        costs = {key.removeprefix("cost_"): float(file[key]) for key in file if key.startswith("cost_")}
        return Outcome(file["weights"], file["rows"], int(file["coefficients"]), costs)
