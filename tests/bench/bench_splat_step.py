# SPDX-License-Identifier: GPL-3.0-or-later
"""What a step of training takes besides drawing, on one core: the loss with its gradient, and Adam.

Times are processor time, the least of many: other work on the machine can only add to it.
"""

# ruff: noqa: E402  (numpy reads how many threads it may use when it is first imported)

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import time
from collections.abc import Callable

import numpy as np

from core.splat.adam import Adam, Factored
from core.splat.loss import Loss

TARGETS = {"loss_512_ms": 8.0, "adam_50k_offsets_ms": 12.0}
REPEATS = 30


def run() -> dict[str, float]:
    """Milliseconds of processor time."""
    rng = np.random.default_rng(0)
    figures = {}
    for side in (512, 256):
        image = rng.random((side, side, 3), dtype=np.float32)
        target = rng.integers(0, 256, (side, side, 3), np.uint8)
        loss = Loss(target, rng.random((side, side), dtype=np.float32))
        figures[f"loss_{side}_ms"] = least(lambda: loss(image, 1))  # noqa: B023
    return figures | adam(rng)


def adam(rng: np.random.Generator, count: int = 50_000) -> dict[str, float]:
    """A step of all that 50,000 Gaussians have, and of eight offsets each."""
    shapes = {"means": (3,), "log_scales": (3,), "rotations": (4,), "opacity_logits": (), "offsets": (8, 14)}
    arrays = {name: rng.random((count, *tail), dtype=np.float32) for name, tail in shapes.items()}
    optimiser = Adam(arrays, dict.fromkeys(arrays, 1e-3))
    slopes = {name: array - np.float32(0.5) for name, array in arrays.items() if name != "offsets"}
    local = rng.random((count, 14), dtype=np.float32)
    offsets = {"offsets": Factored(rng.random(8, dtype=np.float32), local)}
    half = np.where(np.arange(count)[:, None] < count // 2, local, np.float32(0.0))
    unseen = {"offsets": Factored(offsets["offsets"].latent, half)}
    return {
        "adam_50k_ms": least(lambda: optimiser.step(slopes, threads=1)),
        "adam_50k_offsets_ms": least(lambda: optimiser.step(offsets, threads=1)),
        "adam_50k_offsets_half_seen_ms": least(lambda: optimiser.step(unseen, threads=1)),
    }


def least(work: Callable[[], object]) -> float:
    """Milliseconds: the least of some repeats, after one that compiles."""
    work()
    spent = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return 1000 * min(spent)
