# SPDX-License-Identifier: GPL-3.0-or-later
"""From footage to textures on one core: unprojection of a 1080p picture, beside the plain numpy twin.

The picture is made: a head that fills two thirds of its height and turns a little, painted with noise. Times
are processor time, the least of many: other work on the machine can only add to it.
"""

# ruff: noqa: E402  (numpy reads how many threads it may use when it is first imported)

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import time
from collections.abc import Callable

import numpy as np

from core import rotation
from core.camera import Camera
from core.head import load_model
from core.performance import Performance
from core.texture.posed import PosedHead
from core.texture.unproject import Unprojector
from tests.core.unproject_twin import unprojected

TARGETS = {"unproject_1024_ms": 8.0}
MINIMA = {"unproject_over_twin": 20.0}

SIZES = (512, 1024, 2048)
WIDTH, HEIGHT = 1920, 1080
FRAMES = 12
REPEATS = 12


def run() -> dict[str, float]:
    """Processor milliseconds a picture; posing the head comes before and is told apart."""
    import cv2

    cv2.setNumThreads(1)
    head = made()
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    figures = {"pose_ms": least(head.vertices)}
    posed = [head.vertices(index) for index in range(FRAMES)]
    for size in SIZES:
        unprojector = Unprojector(head.model, head.atlas, size)
        figures[f"unproject_{size}_ms"] = least(
            lambda index, way=unprojector: way.unproject(picture, head.camera, 0, posed[index])
        )
    start = time.process_time()
    unprojected(head.atlas, 1024, picture, head.camera, head.vertices(0))
    figures["twin_1024_ms"] = 1000 * (time.process_time() - start)
    figures["unproject_over_twin"] = figures["twin_1024_ms"] / figures["unproject_1024_ms"]
    return figures


def made() -> PosedHead:
    """Our body's default person, who talks and sways."""
    rng = np.random.default_rng(1)
    model = load_model("anny")
    focal = 2.4 * HEIGHT
    distance = focal * 0.24 / (HEIGHT * 2 / 3)
    centre = np.array([[WIDTH / 2, HEIGHT / 2]])
    camera = Camera(np.array([focal]), centre, np.array([[WIDTH, HEIGHT]]), np.array([0.0, 0.0, -distance]))
    turns = rotation.from_rotation_vector(rng.normal(0, 0.12, (FRAMES, 3)))
    weights = rng.uniform(0, 0.4, (FRAMES, 52)) * (rng.uniform(size=(FRAMES, 52)) < 0.3)
    take = Performance(
        "made",
        np.arange(FRAMES) / 30.0,
        weights,
        head_rotation=turns,
        gaze=np.zeros((FRAMES, 2, 2)),
        camera=camera,
    )
    return PosedHead(model, model.rest(model.identity_coefficients()), take)


def least(work: Callable[[int], object]) -> float:
    """Milliseconds of the mean frame: of each, the least of some repeats."""
    spent = np.empty((REPEATS, FRAMES))
    for repeat in range(REPEATS):
        for index in range(FRAMES):
            start = time.process_time()
            work(index)
            spent[repeat, index] = time.process_time() - start
    return 1000 * float(spent.min(axis=0).mean())
