# SPDX-License-Identifier: GPL-3.0-or-later
"""From observations to one place on the surface per landmark.

A landmark's first guess is the median of what lies under it. Then that place of the surface is taken which,
carried along by every person and expression, projects nearest to what the detectors saw in all pictures. This
puts a lid's landmark on its own rim also where the lids touch: on the other rim it would be far off as soon
as they part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import ModelError
from ...head.embedding import IRIS_LEFT, IRIS_RIGHT, LANDMARKS
from .observe import Observations
from .surface import EYE, SKIN, HeadSurface

Array = np.ndarray

SETTLED = 0.002
"""Metres of residual from which an observation counts less (Huber)."""
ROUNDS = 4
HIDDEN = 0.03
"""Weight of an observation where the surface has turned away from the camera."""
SHOWN = 0.05
"""Share of the pictures in which a triangle must be seen to be chosen: a landmark's depth says little, and
without this it may fall on the inside of a lid or a lip."""
OPEN = 0.55
"""Share of an iris that must be free of the lids for its landmarks to count."""


@dataclass(frozen=True)
class Places:
    """Where the landmarks are: a triangle and a place on it for each."""

    rows: Array
    """(478, 3) int."""
    weights: Array
    """(478, 3) float64."""

    def points(self, vertices: Array) -> Array:
        """(..., V, d) to (..., 478, d)."""
        return np.einsum("lk,...lkd->...ld", self.weights, vertices[..., self.rows, :])


def first_guess(seen: Observations, surface: HeadSurface, rest: Array) -> Array:
    """(478, 3) metres on the default person: the median of what lies under each landmark, of the right kind
    where there is any.
    """
    corners = surface.triangles[seen.hits]
    places = np.einsum("rdlk,rdlkx->rdlx", seen.weights, rest[corners])
    eye = surface.kind[corners[..., 0]] == EYE
    wanted = eye == (np.arange(LANDMARKS) >= IRIS_RIGHT.start)
    wanted &= (surface.kind[corners[..., 0]] == SKIN) | eye
    found, guess = seen.hits >= 0, np.zeros((LANDMARKS, 3))
    for landmark in range(LANDMARKS):
        good = found[:, :, landmark] & wanted[:, :, landmark]
        good = good if good.any() else found[:, :, landmark]
        guess[landmark] = np.median(places[:, :, landmark][good], axis=0)
    return guess


def place_landmarks(
    seen: Observations, surface: HeadSurface, rest: Array, guess: Array, landmarks_px: Array, reach: float
) -> Places:
    """The best place of every landmark within `reach` metres of its `guess` ((478, 3) on the default person).

    `landmarks_px`: (R, D, 478, 2), as detected or corrected.
    """
    centroid = rest[surface.triangles].mean(axis=1)
    kind = surface.kind[surface.triangles[:, 0]]
    shown = seen.seen >= max(2.0, SHOWN * len(seen.scale))
    rows, weights = np.zeros((LANDMARKS, 3), np.int64), np.zeros((LANDMARKS, 3))
    for landmark in range(LANDMARKS):
        usable = (kind == (EYE if landmark >= IRIS_RIGHT.start else SKIN)) & shown
        if not usable.any():
            raise ModelError(
                "The pictures show no eyes of the head model.", "Check its eye joints and skin weights."
            )
        distance = np.where(usable, np.linalg.norm(centroid - guess[landmark], axis=1), np.inf)
        near = np.flatnonzero(distance < max(reach, 1.001 * distance.min()))
        chosen = surface.triangles[near[np.argsort(distance[near])]]
        trust = trusted(seen, landmark, chosen[0])
        rows[landmark], weights[landmark] = best_place(seen, chosen, landmarks_px[:, :, landmark], trust)
    return Places(rows, weights)


def trusted(seen: Observations, landmark: int, triangle: Array) -> Array:
    """(R, D) weight of what each detector says about a landmark near `triangle` ((3,) rows)."""
    facing = seen.facing[:, triangle].astype(np.float64).mean(axis=1)
    weight = np.clip((facing + 0.2) / 0.4, HIDDEN, 1.0)
    for side, iris in enumerate((IRIS_LEFT, IRIS_RIGHT)):
        if iris.start <= landmark < iris.stop:
            weight = weight * (seen.iris_seen[:, side] > OPEN)
    return weight[:, None] * seen.found


def best_place(seen: Observations, triangles: Array, landmark_px: Array, trust: Array) -> tuple[Array, Array]:
    """Rows (3,) and weights (3,) of the place in one of `triangles` ((T, 3)) that projects nearest to a
    landmark ((R, D, 2) px), each observation counting by its `trust` ((R, D)) and by Huber's rule.
    """
    picture, detector = np.nonzero(trust > 0)
    trust = trust[picture, detector]
    target = landmark_px[picture, detector] / seen.scale[picture, None]
    corners = seen.pixels[:, triangles] / seen.scale[:, None, None, None]
    weight, best, bary = trust, 0, np.zeros((len(triangles), 3))
    for _ in range(ROUNDS):
        bary, cost = solve(corners, picture, target, weight)
        best = int(np.argmin(cost))
        there = np.einsum("k,rkd->rd", bary[best], corners[:, best])
        size = np.linalg.norm(there[picture] - target, axis=1)
        weight = trust * np.minimum(1.0, SETTLED / np.maximum(size, 1e-9))
    return triangles[best], bary[best]


def solve(corners: Array, picture: Array, target: Array, weight: Array) -> tuple[Array, Array]:
    """Best barycentric weights (T, 3) within each triangle and their cost (T,).

    `corners`: (R, T, 3, 2), the triangles in each picture; `picture`: (n,) that of each observation;
    `target`: (n, 2); `weight`: (n,). Least squares; where the free minimum lies outside of a triangle, the
    best point of its border is taken.
    """
    pictures = len(corners)
    mass = np.bincount(picture, weight, pictures)
    pull = np.stack([np.bincount(picture, weight * target[:, a], pictures) for a in (0, 1)], axis=1)
    edges = corners[:, :, 1:] - corners[:, :, :1]
    start = corners[:, :, 0]
    normal = np.einsum("rtid,rtjd->tij", edges * mass[:, None, None, None], edges)
    offset = pull[:, None] - mass[:, None, None] * start
    right = np.einsum("rtid,rtd->ti", edges, offset)
    constant = np.einsum("r,rtd,rtd->t", mass, start, start) - 2 * np.einsum("rd,rtd->t", pull, start)
    constant += weight @ (target**2).sum(axis=1)
    regular = (
        normal + 1e-12 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(2) + 1e-18 * np.eye(2)
    )
    tried = [np.linalg.solve(regular, right[:, :, None])[:, :, 0]]
    for corner, along in (((0, 0), (1, 0)), ((0, 0), (0, 1)), ((1, 0), (-1, 1))):
        s, a = np.array(corner, float), np.array(along, float)
        top = right @ a - np.einsum("tij,i,j->t", normal, s, a)
        share = np.clip(top / np.einsum("tij,i,j->t", regular, a, a), 0, 1)
        tried.append(s + share[:, None] * a)
    uv = np.stack(tried)
    cost = np.einsum("kti,tij,ktj->kt", uv, normal, uv) - 2 * np.einsum("kti,ti->kt", uv, right) + constant
    inside = (uv.min(axis=2) >= -1e-9) & (uv.sum(axis=2) <= 1 + 1e-9)
    pick = np.argmin(np.where(inside, cost, np.inf), axis=0)
    each = np.arange(uv.shape[1])
    chosen = np.clip(uv[pick, each], 0, 1)
    return np.column_stack([np.clip(1 - chosen.sum(axis=1), 0, 1), chosen]), cost[pick, each]
