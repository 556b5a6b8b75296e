# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker that draws a head as a plain surface, in numpy, for environments without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scene_support import part

COLOUR = (250, 20, 200)
"""sRGB of every head it draws: nothing else in the tests is pink."""


class PlainWorker:
    """`splat frames JOB.npz -o FOLDER`, done at once."""

    orders: list[dict[str, Any]] = []

    def __init__(self, arguments: list[str]) -> None:
        verb, kind, order, option, folder = arguments
        assert (verb, kind, option) == ("splat", "frames", "-o")
        with np.load(order) as job:
            values = {name: job[name] for name in job.files}
        self.orders.append(values)
        self.done, self.error, self.stopped = True, None, False
        self._draw(values, Path(folder))

    def poll(self) -> list[Any]:
        return []

    def stop(self) -> None:
        self.stopped = True

    @staticmethod
    def _draw(job: dict[str, Any], folder: Path) -> None:
        raster, png = part("core.raster"), part("addon.scene.png")
        avatar = part("core.splat.splat_avatar").SplatAvatar.load(Path(str(job["splats"])))
        width, height = job["size"].tolist()
        for i, number in enumerate(job["numbers"].tolist()):
            pixels, depth = projected(job, i, job["vertices"][i])
            drawn = raster.rasterise(pixels, depth, avatar.surface.triangles, (height, width), cull=False)
            rgba = np.zeros((height, width, 4), np.uint8)
            rgba[drawn.covered] = (*COLOUR, 255)
            stem = f"{job['name']}_{number:05d}"
            np.save(folder / f"{stem}.depth.npy", np.where(drawn.covered, drawn.depth, 0.0))
            png.write(folder / f"{stem}.png", rgba)


def projected(job: dict[str, Any], i: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, 2) px and (n,) metres of points (n, 3) through the camera of picture i."""
    pose = job["T_view_world"][i]
    seen = points.astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
    x = job["fx"][i] * seen[:, 0] / seen[:, 2] + job["cx"][i]
    y = job["fy"][i] * seen[:, 1] / seen[:, 2] + job["cy"][i]
    return np.stack([x, y], axis=1), seen[:, 2]


class FailingWorker(PlainWorker):
    """It draws one frame and dies."""

    def _draw(self, job: dict[str, Any], folder: Path) -> None:
        first = {
            name: value[:1] if np.ndim(value) and name != "size" else value for name, value in job.items()
        }
        PlainWorker._draw(first, folder)
        self.error = part("core.errors").WorkerError("The worker was killed.")


def pink(rgb: np.ndarray, tolerance: int = 3) -> np.ndarray:
    """(H, W) bool: pixels of the drawn head."""
    return np.all(np.abs(rgb[..., :3].astype(int) - COLOUR) <= tolerance, axis=-1)


def bytes_of(path: Path) -> np.ndarray:
    """(H, W, 4) uint8 of a PNG."""
    return np.rint(part("addon.scene.splat_composite").read_picture(path) * 255).astype(np.uint8)
