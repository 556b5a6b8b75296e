# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar with drawn photos of it: skin on a head, a shirt below, before a wall; mattes beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core import rotation
from core.avatar import Avatar
from core.camera import Camera
from core.head import load_model
from core.performance import Performance
from core.raster import rasterise
from core.texture.posed import PosedHead

Array = np.ndarray

SKIN, SHIRT, WALL = (200, 150, 120), (40, 70, 170), (90, 100, 95)
SIZE = (240, 320)
"""Width and height in px."""


def photographed(folder: Path, count: int = 4, *, mattes: bool = True, **changed: Any) -> Avatar:
    """The avatar `folder`/made.avatar of `count` photos in `folder`/photos; `changed`: of its performance."""
    cv2 = __import__("cv2")
    rng = np.random.default_rng(5)
    width, height = SIZE
    camera = Camera(
        np.full(count, 420.0) + 10 * np.arange(count),
        np.tile([width / 2 + 3, height / 2 - 4], (count, 1)),
        np.tile(SIZE, (count, 1)),
        np.array([0.0, 0.03, -0.65]),
    )
    values: dict[str, Any] = {
        "head_rotation": rotation.from_rotation_vector(
            np.c_[np.zeros(count), np.linspace(-0.4, 0.4, count), np.zeros(count)]
        ),
        "head_translation": rng.normal(0, 0.004, (count, 3)),
        "gaze": rng.normal(0, 0.1, (count, 2, 2)),
        "camera": camera,
        "confidence": np.ones(count, np.float32),
    }
    weights = rng.uniform(0, 0.3, (count, 52)).astype(np.float32)
    take = Performance("photos", np.arange(count, dtype=float), weights, **(values | changed))
    model = load_model("anny")
    head = PosedHead(model, model.rest(model.identity_coefficients()), take)
    for number in range(count):
        picture, matte = drawn(head, number)
        for kind, pixels in (("images", picture), ("bg", matte)):
            if kind == "images" or mattes:
                place = folder / "photos" / kind / "cam0"
                place.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(
                    str(place / f"{number:04d}.png"), pixels[..., ::-1] if pixels.ndim == 3 else pixels
                )
    avatar = Avatar.create(folder / "made.avatar", model="anny", model_sha256=model.sha256)
    avatar.coefficients = model.identity_coefficients()
    avatar.provenance["capture"] = {"kind": "photos", "path": str(folder / "photos"), "name": "photos"}
    avatar.add_performance(take)
    return avatar


def drawn(head: PosedHead, number: int) -> tuple[Array, Array]:
    """(H, W, 3) uint8 picture and (H, W) uint8 matte of one sample: the head over a shirt."""
    width, height = SIZE
    points = head.vertices(number)
    px = head.camera.project(points.astype(float), number)
    seen = rasterise(px, -points[:, 2], head.atlas.triangles, (height, width), cull=False).covered
    fading = head.rows[(head.atlas.blend[head.rows] > 0) & (head.atlas.blend[head.rows] < 1)]
    collar = px[fading, 1].max()
    down, across = np.mgrid[:height, :width] + 0.5
    shirt = (down > collar - 12) & (np.abs(across - px[fading, 0].mean()) < 40 + 2 * (down - collar + 12))
    picture = np.full((height, width, 3), WALL, np.uint8)
    picture[seen], picture[shirt] = SKIN, SHIRT
    return picture, np.where(seen | shirt, 255, 0).astype(np.uint8)
