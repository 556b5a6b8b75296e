# SPDX-License-Identifier: GPL-3.0-or-later
"""What a frame costs in numpy on one core: compressed, sparse and dense, and plain blendshapes."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from core.skin.compressed import CompressedSkin
from core.skin.playback import Player
from tests.bench.skin_inputs import DATA, STORED, performances, subject

Array = np.ndarray

FRAMES = 60
REPEATS = 8
COLD_FRAMES = 20
COLD_REPEATS = 2
OTHERS = 32_000_000
"""Numbers (128 MB) that are read between cold frames, as if other characters came in between."""


def playback() -> dict[str, float]:
    """Microseconds of processor time a frame of aura_avg, and what its shapes and its skin weigh.

    A number takes four bytes and, where most are zero, two more for its place.
    """
    skin = CompressedSkin.load(DATA / STORED["aura_avg"])
    frames = performances("aura_avg")["all"][:: 2800 // FRAMES][:FRAMES]
    shapes = Blendshapes(*(getattr(subject("aura_avg"), name) for name in ("rest", "deltas")))
    ways: dict[str, Callable[[Array], Array]] = {
        "sparse": Player(skin, sparse=True).frame,
        "dense": Player(skin).frame,
        "blendshapes": shapes.every,
        "active_blendshapes": shapes.active,
    }
    figures = {f"play_{name}_us": least(way, frames) for name, way in ways.items()}
    others = np.ones(OTHERS, np.float32)
    for name, way in ways.items():
        figures[f"play_cold_{name}_us"] = least(way, frames[:COLD_FRAMES], COLD_REPEATS, others)
    weights = int(np.count_nonzero(skin.weights)) + skin.n_coefficients
    return {**figures, "play_skin_kb": 6 * weights / 1000, "play_shapes_kb": shapes.rows.nbytes / 1000}


class Blendshapes:
    """Rest and a weighted sum of dense shapes."""

    def __init__(self, rest: Array, deltas: Array) -> None:
        self.rest = np.ascontiguousarray(rest, np.float32).ravel()
        self.rows = np.ascontiguousarray(deltas, np.float32).reshape(len(deltas), -1)

    def every(self, coefficients: Array) -> Array:
        """(3N,) by all shapes."""
        return self.rest + coefficients @ self.rows

    def active(self, coefficients: Array) -> Array:
        """(3N,) by those whose coefficient is not zero."""
        which = np.flatnonzero(coefficients)
        return self.rest + coefficients[which] @ self.rows[which]


def least(
    work: Callable[[Array], object], frames: Array, repeats: int = REPEATS, others: Array | None = None
) -> float:
    """Microseconds of the mean frame: of each, the least of some repeats, after reading `others`."""
    spent = np.empty((repeats, len(frames)))
    for repeat in range(repeats):
        for index, frame in enumerate(frames):
            if others is not None:
                others.sum()
            start = time.process_time_ns()
            work(frame)
            spent[repeat, index] = time.process_time_ns() - start
    return float(spent.min(axis=0).mean()) / 1000
