# SPDX-License-Identifier: GPL-3.0-or-later
"""The Gaussian rasteriser on one core, projection, sorting and dealing out included, beside plain torch.

The scene is made: an ellipsoid the size of a head, covered with flat Gaussians of random colours that are
turned along its surface, mean opacity 0.68; half of them are at its back. Times are processor time, the least
of many: other work on the machine can only add to it.
"""

# ruff: noqa: E402  (numpy reads how many threads it may use when it is first imported)

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import time
from collections.abc import Callable

import numpy as np

from core.splat.gaussians import Gaussians
from core.splat.raster import Rendered, gradients, render
from core.splat.view import View

TARGETS = {
    "forward_50k_512_ms": 20.0,
    "backward_50k_512_ms": 40.0,
    "forward_50k_512_degree_3_ms": 20.0,
    "backward_50k_512_degree_3_ms": 40.0,
    "difference_from_torch_p9999": 1e-4,
}
MINIMA = {"torch_over_forward": 50.0, "torch_over_both": 50.0}

SCENES = ((50_000, 512, 0), (50_000, 512, 3), (50_000, 256, 0), (20_000, 512, 0), (10_000, 512, 0))
"""Gaussians, side of the picture in px, degree of the spherical harmonics."""
REPEATS = 15
BACKGROUND = np.ones(3, np.float32)


def run() -> dict[str, float]:
    """Milliseconds of processor time a picture."""
    figures: dict[str, float] = {}
    for count, side, degree in SCENES:
        name = f"{count // 1000}k_{side}" + (f"_degree_{degree}" if degree else "")
        gaussians, view = made(count, degree), view_of(side)
        drawn = render(gaussians, view, BACKGROUND, threads=1)
        slope = np.random.default_rng(1).normal(size=drawn.image.shape).astype(np.float32)
        gradients(drawn, slope, drawn.alpha)
        figures[f"forward_{name}_ms"] = least(lambda: render(gaussians, view, BACKGROUND, threads=1))  # noqa: B023
        figures[f"backward_{name}_ms"] = least(lambda: gradients(drawn, slope, drawn.alpha))  # noqa: B023
    return {**figures, **plain_torch(figures)}


def plain_torch(figures: dict[str, float]) -> dict[str, float]:
    """The same picture by torch and autograd, once, and how many times as long it takes."""
    import torch

    from tests.core.splat_twin import render_in_tiles

    torch.set_num_threads(1)
    count, side, degree = SCENES[0]
    gaussians, view = made(count, degree), view_of(side)
    drawn: Rendered = render(gaussians, view, BACKGROUND, threads=1)
    slope = np.random.default_rng(1).normal(size=drawn.image.shape).astype(np.float32)
    names = ("means", "log_scales", "rotations", "opacity_logits", "sh")
    means, scales, rotations, logits, sh = (
        torch.tensor(getattr(gaussians, name), requires_grad=True) for name in names
    )
    start = time.process_time()
    image = render_in_tiles(
        means, scales.exp(), rotations, logits.sigmoid(), sh, view, torch.tensor(BACKGROUND)
    )
    forward = 1000 * (time.process_time() - start)
    image.backward(torch.tensor(slope))
    both = 1000 * (time.process_time() - start)
    ours = figures["forward_50k_512_ms"] + figures["backward_50k_512_ms"]
    return {
        "torch_forward_50k_512_ms": forward,
        "torch_both_50k_512_ms": both,
        "torch_over_forward": forward / figures["forward_50k_512_ms"],
        "torch_over_both": both / ours,
        "difference_from_torch_p9999": float(
            np.quantile(np.abs(image.detach().numpy() - drawn.image), 0.9999)
        ),
    }


def made(count: int, degree: int, seed: int = 0) -> Gaussians:
    """An ellipsoid of flat Gaussians."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    axes = np.array([0.08, 0.12, 0.1])
    normal = direction / axes
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    up = np.broadcast_to(np.array([0.0, 0.0, 1.0]), normal.shape)
    turn = np.concatenate([1 + normal[:, 2:], np.cross(up, normal)], 1)
    size = 0.6 * np.sqrt(4 * np.pi * 0.01 / count)
    scales = np.log(size * np.exp(rng.normal(0, 0.35, (count, 3))) * [1, 1, 0.15])
    sh = rng.normal(0, 0.1, (count, (degree + 1) ** 2, 3))
    sh[:, 0] *= 8
    return Gaussians(direction * axes, scales, turn, rng.normal(0.9, 1.0, count), sh)


def view_of(side: int) -> View:
    """Upright before the head, 1 m away; it fills four fifths of the height."""
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[2, 3] = 1.0
    return View(side, side, 3.4 * side, 3.4 * side, side / 2, side / 2, pose)


def least(work: Callable[[], object]) -> float:
    """Milliseconds: the least of some repeats."""
    spent = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return 1000 * min(spent)
