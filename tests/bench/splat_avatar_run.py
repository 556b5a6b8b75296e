# SPDX-License-Identifier: GPL-3.0-or-later
"""One training in a process of its own, for its times and its peak memory.

    python -m tests.bench.splat_avatar_run AVATAR PRESET STEPS OUT.npz

Every second sample is trained on. The others are drawn at the end, and a few of them now and then for the
curve; what that costs is not counted.
"""

# ruff: noqa: E402  (numpy reads how many threads it may use when it is first imported)

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.avatar import Avatar
from core.splat.evaluate import evaluate
from core.splat.presets import preset_of
from core.splat.train import make_trainer
from core.splat.trainer import Trainer
from core.splat.training_set import TrainingSet, training_set
from tests.bench.skin_solve import peak_mb

LOOKED_AT = 12
"""Held-out pictures that the curve is of."""
OFTEN, SELDOM = 50, 200
"""Steps between two looks, before and after the first thousand."""


@dataclass
class Clock:
    """Time of the wall and of the processor, without pauses."""

    wall: float = field(default_factory=time.perf_counter)
    cpu: float = field(default_factory=time.process_time)

    def read(self) -> tuple[float, float]:
        """Seconds of the wall and of all processors since the start."""
        return time.perf_counter() - self.wall, time.process_time() - self.cpu

    def leave_out(self, other: Clock) -> None:
        """What went by since `other` began does not count."""
        wall, cpu = other.read()
        self.wall, self.cpu = self.wall + wall, self.cpu + cpu


def main(arguments: Sequence[str]) -> None:
    """Train, draw and write."""
    folder, preset_name, steps, out = arguments
    preset = preset_of(preset_name)
    preset = replace(preset, iterations=int(steps) or preset.iterations)
    avatar = Avatar.load(Path(folder))
    cutting = Clock()
    shots = split(training_set(avatar, most=preset.resolution))
    found: dict[str, Any] = dict(zip(("cut_wall_s", "cut_cpu_s"), cutting.read(), strict=True))
    clock = Clock()
    trainer = make_trainer(avatar, shots, preset)
    found |= {"start_wall_s": clock.read()[0], "curve": curve(trainer, shots, clock)}
    found |= dict(zip(("train_wall_s", "train_cpu_s"), clock.read(), strict=True))
    found |= {"peak_mb": peak_mb(), "steps": trainer.iteration, "gaussians": len(trainer.gaussians)}
    found |= {"pictures": len(shots.train), "left_out": dict(shots.left_out)}
    found |= {"degree": trainer.gaussians.degree, "latents": len(trainer.gaussians.basis)}
    trainer.result({"trained": True, "preset": preset.name}).save(avatar.splats_path)
    np.savez(out, told=np.array(json.dumps(found)), **drawn(trainer, shots))


def split(shots: TrainingSet) -> TrainingSet:
    """Samples 0, 2, 4 ... are trained on, as the texture of the mesh knows them; the others are held out."""
    return replace(shots, shots=tuple(replace(shot, held=shot.sample % 2 == 1) for shot in shots.shots))


def curve(trainer: Trainer, shots: TrainingSet, clock: Clock) -> list[list[float]]:
    """Train to the end: [step, s of the wall, s of the processor, PSNR, SSIM] on the way."""
    some = shots.held[:: max(len(shots.held) // LOOKED_AT, 1)]
    points = []
    while True:
        step = trainer.iteration
        done = step >= trainer.settings.iterations
        if done or step % (OFTEN if step < 1000 else SELDOM) == 0:
            spent, pause = clock.read(), Clock()
            points.append([step, *spent, *evaluate(trainer, some)])
            clock.leave_out(pause)
        if done:
            return points
        trainer.step()


def drawn(trainer: Trainer, shots: TrainingSet) -> dict[str, np.ndarray]:
    """Every held-out picture: the Gaussians, the footage, its matte and weight, and where it was cut out."""
    arrays: dict[str, np.ndarray] = {"samples": np.array([shot.sample for shot in shots.held])}
    arrays["corners"] = np.array([shot.corner for shot in shots.held])
    for shot in shots.held:
        picture = np.rint(np.clip(trainer.picture(shot)[0], 0.0, 1.0) * 255.0).astype(np.uint8)
        named = {"splats": picture, "image": shot.image, "matte": shot.matte8, "weight": shot.weight8}
        arrays |= {f"{name}_{shot.sample}": array for name, array in named.items()}
    return arrays


if __name__ == "__main__":
    main(sys.argv[1:])
