# SPDX-License-Identifier: GPL-3.0-or-later
"""A Gaussian head that acts, on one core: mesh, posing and picture; nothing is written.

The head is made: the mean person, Gaussians over the skin and loosely where hair may be, eight latents with
offsets, harmonics of degree 1. It talks, looks round and nods before a camera that it fills. Times are
processor time, the least of some rounds: other work on the machine can only add to it. Set
LIKENESS_SPLAT_AVATAR to the folder of a trained avatar to play that in its own performance as well.
"""

# ruff: noqa: E402  (numpy reads how many threads it may use when it is first imported)

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from core import rotation
from core.avatar import Avatar
from core.head import load_model
from core.head.expressed import ExpressedHead
from core.performance import Performance
from core.person import rest_of
from core.splat.acting import Acting
from core.splat.camera_path import shots
from core.splat.driving import driving
from core.splat.expression_basis import fit_basis
from core.splat.initial import initial
from core.splat.player import Player
from core.splat.raster import render

MINIMA = {"play_20k_512_fps": 30.0}
NOTES: list[str] = []

SIDE, FRAMES, ROUNDS = 512, 24, 4
COUNTS = (20_000, 50_000)


def run() -> dict[str, float]:
    """Frames a second of processor time, and the milliseconds of the parts."""
    figures: dict[str, float] = {}
    acting = talking()
    for count in COUNTS:
        figures |= measured(made(count), acting, f"{count // 1000}k_{SIDE}")
    folder = os.environ.get("LIKENESS_SPLAT_AVATAR")
    if folder:
        avatar = Avatar.load(Path(folder))
        player, driven = Player.of(avatar), driving(avatar)
        acting = driven.acting_of(driven.performance)
        rows = np.linspace(0, len(acting) - 1, FRAMES).astype(int)
        figures |= measured(player, acting.at(np.unique(rows)), f"trained_{SIDE}")
        NOTES.append(f"trained: {avatar.name}, {len(player.splats.gaussians)} Gaussians")
    return figures


def measured(player: Player, acting: Acting, name: str) -> dict[str, float]:
    """Of one head: everything, and each part by itself."""
    views = shots("front", acting, player.splats.surface.rest, None, SIDE)[0].views(acting)
    moments = list(zip(acting.weights, acting.gaze, views, strict=True))
    white = (1.0, 1.0, 1.0)
    posed = [player.posed(weights, gaze, view.centre, 1) for weights, gaze, view in moments]
    whole = least(
        lambda: [
            render(player.posed(weights, gaze, view.centre, 1), view, white, threads=1)
            for weights, gaze, view in moments
        ]
    )
    mesh = least(lambda: [player.vertices(weights, gaze) for weights, gaze, _ in moments])
    both = least(lambda: [player.posed(weights, gaze, view.centre, 1) for weights, gaze, view in moments])
    drawn = least(
        lambda: [render(one, view, white, threads=1) for one, view in zip(posed, views, strict=True)]
    )
    count = len(moments)
    return {
        f"play_{name}_fps": 1000 * count / whole,
        f"play_{name}_ms": whole / count,
        f"mesh_{name}_ms": mesh / count,
        f"pose_{name}_ms": (both - mesh) / count,
        f"draw_{name}_ms": drawn / count,
    }


def made(count: int) -> Player:
    """The mean person under untrained Gaussians with offsets."""
    model, avatar = load_model("anny"), Avatar(Path("bench.avatar"), "bench")
    basis = fit_basis(np.random.default_rng(0).beta(0.6, 2.5, (400, 52)), 8)
    splats = initial(model, avatar, count, degree=1, basis=basis)
    offsets = np.random.default_rng(1).normal(0, 0.01, splats.gaussians.offsets.shape).astype(np.float32)
    splats = replace(splats, gaussians=replace(splats.gaussians, offsets=offsets))
    return Player(splats, ExpressedHead(model, rest_of(model, avatar), splats.surface.rows))


def talking() -> Acting:
    """A second in which everything moves."""
    phase = np.linspace(0, 2 * np.pi, FRAMES, endpoint=False)
    weights = 0.4 + 0.4 * np.sin(phase[:, None] + np.arange(52))
    turn = rotation.from_angles(0.3 * np.sin(phase), 0.15 * np.cos(phase), 0.05 * np.sin(2 * phase))
    return Acting.of(Performance("talking", np.arange(FRAMES) / 24.0, weights, head_rotation=turn))


def least(work: Callable[[], object]) -> float:
    """Milliseconds: the least of some rounds."""
    spent = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return 1000 * min(spent)
