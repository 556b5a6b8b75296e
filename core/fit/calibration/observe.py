# SPDX-License-Identifier: GPL-3.0-or-later
"""What detectors see in the scenes, with where the surface was in each picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...head.embedding import LANDMARKS
from ...head.model import HeadModel
from ...progress import Progress
from ...raster import Buffer
from ...track.detector import Detector
from .paint import Paint
from .picture import Shot, draw, shade
from .regions import mirror
from .surface import HeadSurface
from .views import Scene, placed

Array = np.ndarray

SIZE = 512


@dataclass(frozen=True)
class Observations:
    """R pictures, each seen D times: every detector sees the picture and its mirror image, so that no side
    of the face is preferred.
    """

    landmarks: Array
    """(R, D, 478, 2) float32 px in the picture as it is, NaN where a detector saw no face."""
    pixels: Array
    """(R, V, 2) float32 px: where each vertex was."""
    facing: Array
    """(R, V) float16: cosine between each vertex's normal and the line of sight."""
    scale: Array
    """(R,) px per metre at the face."""
    hits: Array
    """(R, D, 478) int32 triangle under each landmark, or the nearest that is seen; -1 without a face."""
    weights: Array
    """(R, D, 478, 3) float32 barycentric weights on it."""
    seen: Array
    """(F,) int32: in how many pictures each triangle is seen."""
    iris_seen: Array
    """(R, 2) float32 share of the left and the right iris that the lids leave free."""

    @property
    def found(self) -> Array:
        """(R, D) bool: a face was seen."""
        return self.hits[:, :, 0] >= 0


def observe(
    model: HeadModel,
    surface: HeadSurface,
    paint: Paint,
    scenes: Sequence[Scene],
    detectors: Sequence[Detector],
    progress: Progress,
) -> Observations:
    """Draw each scene, ask each detector and look up what lies under its landmarks."""
    shape = (len(scenes), 2 * len(detectors), LANDMARKS)
    seen = Observations(
        np.full((*shape, 2), np.nan, np.float32),
        np.zeros((len(scenes), model.row_count, 2), np.float32),
        np.zeros((len(scenes), model.row_count), np.float16),
        np.array([scene.scale for scene in scenes]),
        np.full(shape, -1, np.int32),
        np.zeros((*shape, 3), np.float32),
        np.zeros(len(surface.triangles), np.int32),
        np.zeros((len(scenes), 2), np.float32),
    )
    for r, scene in enumerate(scenes):
        progress(r / len(scenes), "calibrate", f"picture {r + 1} of {len(scenes)}")
        shot = draw(placed(model, scene), surface, scene.scale * scene.distance, SIZE)
        picture = shade(shot, surface, paint, scene.look)
        _note(seen, r, shot, surface)
        for d, found in enumerate(both_ways(picture, detectors)):
            if np.isfinite(found[0, 0]) and shot.buffer.covered.any():
                seen.landmarks[r, d] = found
                seen.hits[r, d], seen.weights[r, d] = cast(shot.buffer, found)
    return seen


def both_ways(picture: Array, detectors: Sequence[Detector]) -> list[Array]:
    """(478, 2) px that each detector sees in a picture ((H, W, 3) uint8), then what it sees in the mirror
    image, mirrored back; NaN without a face.
    """
    seen = [_largest(detector, picture) for detector in detectors]
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    there = np.array([picture.shape[1], 0])
    return seen + [_largest(detector, mirrored)[mirror()] * [-1, 1] + there for detector in detectors]


def _largest(detector: Detector, picture: Array) -> Array:
    faces = [face.landmarks[:, :2].astype(np.float64) for face in detector.detect(picture, 0.0)]
    if not faces:
        return np.full((LANDMARKS, 2), np.nan)
    return max(faces, key=lambda face: float(np.ptp(face, axis=0).prod()))


def _note(seen: Observations, r: int, shot: Shot, surface: HeadSurface) -> None:
    """Write down where the surface is in picture `r`."""
    seen.pixels[r] = shot.pixels
    sight = shot.vertices / np.linalg.norm(shot.vertices, axis=1, keepdims=True)
    seen.facing[r] = -np.einsum("vk,vk->v", shot.normals, sight)
    drawn = shot.buffer.triangle[shot.buffer.covered]
    seen.seen[np.unique(drawn)] += 1
    side = surface.eye_side[surface.triangles[drawn, 0]]
    direction = shot.buffer.sample(surface.triangles, surface.eye_direction)
    iris = np.arctan2(np.linalg.norm(direction[:, :2], axis=1), direction[:, 2]) < surface.limbus
    whole = np.pi * (surface.iris_radius * seen.scale[r]) ** 2
    seen.iris_seen[r] = [np.count_nonzero(iris & (side == s)) / whole for s in (0, 1)]


def cast(buffer: Buffer, points: Array) -> tuple[Array, Array]:
    """Triangle (n,) and weights (n, 3) under picture points ((n, 2) px), of the nearest covered pixel."""
    covered = buffer.covered
    x, y = np.clip(np.floor(points).astype(int), 0, np.array(covered.shape[::-1]) - 1).T
    missed = np.flatnonzero(~covered[y, x])
    if len(missed):
        padded = np.pad(covered, 1)
        within = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        border = np.argwhere(covered & ~within)
        away = (border[:, 1] - x[missed, None]) ** 2 + (border[:, 0] - y[missed, None]) ** 2
        y[missed], x[missed] = border[away.argmin(axis=1)].T
    return buffer.triangle[y, x], buffer.weights[y, x]
