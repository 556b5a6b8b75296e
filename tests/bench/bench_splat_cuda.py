# SPDX-License-Identifier: GPL-3.0-or-later
"""The Gaussian rasteriser on a CUDA device, the way to it and back included; nothing where there is none.

Times are those of the clock, the least of many, of whole calls: arrays go to the device and pictures and
gradients come back to the processor's memory each time, as in training.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from core.splat import gsplat_raster, raster, warp_raster
from tests.bench.bench_splat import made, view_of

NOTES: list[str] = []
SCENES = ((50_000, 512, 0), (50_000, 512, 3), (200_000, 1024, 0))
"""Gaussians, side of the picture in px, degree of the spherical harmonics."""
REPEATS = 30


def run() -> dict[str, float]:
    """Milliseconds a picture."""
    names = [name for name in warp_raster.devices() if name.startswith("cuda")][:1]
    ways: list[tuple[str, Any, str]] = [("warp", warp_raster, name) for name in names]
    if gsplat_raster.usable():
        ways.append(("gsplat", gsplat_raster, "cuda"))
    if not ways:
        NOTES.append("No CUDA device, or neither warp nor gsplat is installed: nothing was measured.")
    return {key: value for way in ways for key, value in times(*way).items()}


def times(name: str, module: Any, device: str) -> dict[str, float]:
    """Of one way to CUDA, and how far its picture is from the CPU's."""
    figures = {}
    for count, side, degree in SCENES:
        gaussians, view = made(count, degree), view_of(side)
        drawn = module.render(gaussians, view, device=device)
        slope = np.random.default_rng(1).normal(size=drawn.image.shape).astype(np.float32)
        key = f"{name}_{count // 1000}k_{side}" + (f"_degree_{degree}" if degree else "")
        figures[f"{key}_forward_ms"] = least(lambda: module.render(gaussians, view, device=device))  # noqa: B023
        figures[f"{key}_backward_ms"] = least(lambda: module.gradients(drawn, slope, drawn.alpha))  # noqa: B023
        off = np.abs(drawn.image - raster.render(gaussians, view).image)
        figures[f"{key}_difference_p9999"] = float(np.quantile(off, 0.9999))
    return figures


def least(work: Callable[[], object]) -> float:
    """Milliseconds: the least of some repeats, after one that compiles."""
    work()
    spent = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return 1000 * min(spent)
