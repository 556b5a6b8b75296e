# SPDX-License-Identifier: GPL-3.0-or-later
"""What each format costs and loses: sizes, times and errors of a round trip, for benches and tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ... import rotation
from ..gaussians import SH_C0, Gaussians
from .animated_ply import FORMS, AnimatedSplats, read_animated_ply, write_animated_ply
from .gltf import read_gltf, write_gltf
from .splat_ply import read_splat_ply, write_splat_ply
from .spz import read_spz, write_spz

Array = np.ndarray


@dataclass(frozen=True)
class RoundTrip:
    """One format: what is written and what comes back."""

    format: str
    size: int
    """Bytes."""
    write_seconds: float
    read_seconds: float
    position: float
    """Largest distance of a centre, or of a vertex of an animation, in metres."""
    scale: float
    """Largest relative difference of a standard deviation."""
    rotation: float
    """Largest angle in degrees."""
    opacity: float
    """Largest difference, 0..1."""
    colour: float
    """Largest difference of the colour that does not depend on the direction, 0..1."""
    coefficients: float
    """Largest difference of a further coefficient."""


def measure_still(gaussians: Gaussians, folder: Path) -> list[RoundTrip]:
    """Every still format, written into `folder` and read again. Files stay there."""
    formats: list[tuple[str, str, Callable[[Path], None], Callable[[Path], Gaussians]]] = [
        ("PLY", "a.ply", lambda p: write_splat_ply(p, gaussians), read_splat_ply),
        ("glTF", "a.glb", lambda p: write_gltf(p, gaussians), read_gltf),
        ("SPZ 2", "a2.spz", lambda p: write_spz(p, gaussians, 2), read_spz),
        ("SPZ 3", "a3.spz", lambda p: write_spz(p, gaussians, 3), read_spz),
        ("SPZ 3, fine", "a3f.spz", lambda p: write_spz(p, gaussians, 3, (8, 8)), read_spz),
    ]
    found = []
    for name, file, write, read in formats:
        path = folder / file
        begin = time.perf_counter()
        write(path)
        middle = time.perf_counter()
        back = read(path)
        end = time.perf_counter()
        far = np.linalg.norm(back.means - gaussians.means, axis=1).max(initial=0)
        times = (middle - begin, end - middle)
        found.append(RoundTrip(name, path.stat().st_size, *times, float(far), *_losses(back, gaussians)))
    return found


def measure_animated(splats: AnimatedSplats, folder: Path) -> list[RoundTrip]:
    """Every form of the animated PLY; the position is that of the vertices in all frames."""
    found = []
    for form in FORMS:
        path = folder / f"animated_{form}.ply"
        begin = time.perf_counter()
        write_animated_ply(path, splats, form)
        middle = time.perf_counter()
        back = read_animated_ply(path)
        end = time.perf_counter()
        far = max(
            (float(np.linalg.norm(back.vertices(n) - splats.vertices(n), axis=1).max())
             for n in range(splats.frame_count)),
            default=0.0,
        )  # fmt: skip
        times = (middle - begin, end - middle)
        losses = _losses(back.local, splats.local)
        found.append(RoundTrip(f"animated PLY, {form}", path.stat().st_size, *times, far, *losses))
    return found


def _losses(back: Gaussians, given: Gaussians) -> tuple[float, float, float, float, float]:
    """Scale, rotation, opacity, colour and coefficients."""

    def most(values: Array) -> float:
        return float(np.abs(values).max(initial=0))

    scale = most(np.expm1(back.log_scales - given.log_scales))
    turn = rotation.multiply(
        rotation.conjugate(rotation.normalized(given.rotations)), rotation.normalized(back.rotations)
    )
    angle = np.degrees(np.linalg.norm(rotation.to_rotation_vector(turn), axis=1)).max(initial=0)
    opacity = most(back.activated().opacities - given.activated().opacities)
    colour = SH_C0 * most(back.sh[:, 0] - given.sh[:, 0])
    return scale, float(angle), opacity, colour, most(back.sh[:, 1:] - given.sh[:, 1:])


def as_table(trips: Iterable[RoundTrip], count: int) -> str:
    """The measurements as lines of text; `count`: Gaussians, for bytes of each."""
    head = f"{'format':<22}{'MB':>8}{'B each':>8}{'write s':>9}{'read s':>8}{'mm':>10}{'scale':>8}"
    lines = [head + f"{'deg':>8}{'opacity':>9}{'colour':>8}{'coeff':>8}"]
    lines += [
        f"{t.format:<22}{t.size / 1e6:>8.2f}{t.size / max(count, 1):>8.1f}{t.write_seconds:>9.2f}"
        f"{t.read_seconds:>8.2f}{1000 * t.position:>10.2g}{t.scale:>8.2g}{t.rotation:>8.2g}"
        f"{t.opacity:>9.2g}{t.colour:>8.2g}{t.coefficients:>8.2g}"
        for t in trips
    ]
    return "\n".join(lines)
