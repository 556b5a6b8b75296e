# SPDX-License-Identifier: GPL-3.0-or-later
"""Haircuts as guides: each style says how long a strand is, where it is combed to and how high it lies.

All in face coordinates of the model's default person (unit: distance between the pupils), so a cut fits any
head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .hair_surface import Collider, Roots
from .materials.anchors import FaceFrame
from .materials.masks import HAIRLINE, SKULL_CENTRE, smoothstep

Array = np.ndarray

CROWN = np.array([0.12, 1.7, -2.05])
"""The whorl from which short hair turns outwards."""
PART = 0.62
"""The parting's distance from the middle, on the subject's left."""
UP = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True)
class Style:
    """Numbers of one haircut; lengths in face units (about 63 mm)."""

    strands: int
    guides: int
    points: int
    radius: float
    """Metres at the root: thicker than life, because there are fewer strands than in life."""
    clump: float
    loose: float
    """Metres by which tips stray."""


STYLES = {
    "SHORT": Style(14000, 900, 6, 0.00014, 0.45, 0.0022),
    "BUZZ": Style(16000, 700, 3, 0.0001, 0.0, 0.0006),
    "BOB": Style(10000, 900, 12, 0.00016, 0.4, 0.004),
    "TIED": Style(10000, 900, 10, 0.00015, 0.35, 0.0015),
}


def grow_guides(style: str, roots: Roots, frame: FaceFrame, collider: Collider) -> Array:
    """(n, points, 3) guide curves in the head frame, metres, clear of the skin."""
    lengths, margins = _lengths(style, roots.places), _margins(style, roots.places)
    count = STYLES[style].points
    steps = lengths * frame.unit / (count - 1)
    directions = _first_direction(style, roots)
    lines = [roots.points - 0.0006 * roots.normals]
    for i in range(1, count):
        along = i / (count - 1)
        point = lines[-1] + steps[:, None] * directions
        risen = margins * frame.unit * smoothstep(np.full(len(roots), along), 0.0, 0.35)
        point = collider.keep_out(point, np.maximum(risen, 0.0012 * min(1.0, 3 * along)))
        point = _stay_in_shape(style, frame, point, lines[-1], steps)
        lines.append(point)
        moved = _unit(point - lines[-2])
        directions = _unit(moved + _pull(style, roots, frame.local(point), along))
    return np.stack(lines, axis=1)


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _tangent(direction: Array, normals: Array) -> Array:
    """The part of `direction` along the skin, unit."""
    return _unit(direction - (direction * normals).sum(axis=1, keepdims=True) * normals)


def _top(places: Array) -> Array:
    """0 at the sides and the nape .. 1 on top of the head."""
    return smoothstep(places[:, 1] + 0.12 * (places[:, 2] + 1.25), 0.75, 1.35)


def _above_hairline(places: Array) -> Array:
    offset = places - SKULL_CENTRE
    azimuth = np.degrees(np.arctan2(np.abs(offset[:, 0]), offset[:, 2]))
    return places[:, 1] - np.interp(azimuth, HAIRLINE[:, 0], HAIRLINE[:, 1])


def _lengths(style: str, places: Array) -> Array:
    rng = np.random.default_rng(11)
    vary = rng.uniform(0.9, 1.08, len(places))
    if style == "BUZZ":
        return vary * (0.05 + 0.06 * _top(places))
    if style == "SHORT":
        front = smoothstep(places[:, 2], -1.6, -0.2)
        faded = np.interp(_above_hairline(places), [0.0, 0.25, 0.9], [0.09, 0.17, 0.34])
        part = 1.0 - 0.55 * smoothstep(places[:, 0], PART - 0.1, PART + 0.25)
        return vary * (faded + _top(places) * (0.26 + 0.34 * front) * part)
    if style == "TIED":
        return vary * 0.55 * np.linalg.norm(places - _KNOT, axis=1) + 0.8
    return vary * np.clip(places[:, 1] + 2.0, 0.7, 4.0) * np.interp(_top(places), [0, 1], [1.02, 1.26])


_KNOT = np.array([0.0, 0.45, -3.05])
"""Where tied hair meets: low on the back of the head."""


def _margins(style: str, places: Array) -> Array:
    """How high over the skin a strand lies: hair from further up covers that from below."""
    if style == "BUZZ":
        return np.full(len(places), 0.01)
    if style == "SHORT":
        return 0.022 + 0.125 * _top(places)
    rng = np.random.default_rng(12)
    layer = 0.04 + 0.085 * smoothstep(places[:, 1], -0.6, 1.7) + 0.05 * rng.random(len(places))
    return layer * (0.55 if style == "TIED" else 1.0)


def _side(places: Array) -> Array:
    """+1 left of the parting, -1 right of it."""
    return np.where(places[:, 0] > PART * smoothstep(places[:, 2], -2.4, -1.9), 1.0, -1.0)


def _comb(style: str, places: Array) -> Array:
    """Direction the hair is combed to at the root."""
    whorl = _unit(places - CROWN)
    top = _top(places)[:, None]
    if style == "BUZZ":
        return whorl
    if style == "SHORT":
        side = _side(places)
        swept = np.stack(
            [np.where(side < 0, -0.8, 0.35), 0.1 + 0.0 * side, np.where(side < 0, -0.6, -0.9)], axis=1
        )
        down = np.stack([0.0 * side, -1.0 + 0.0 * side, np.where(places[:, 2] > -1.3, -0.55, -0.1)], axis=1)
        back = smoothstep(places[:, 2], -1.5, -2.1)[:, None]
        return top * ((1 - back) * swept + back * whorl) + (1 - top) * _unit(down + 0.3 * whorl)
    if style == "TIED":
        return _unit(_KNOT - places)
    side = _side(places)
    fall = np.stack([0.9 * side, -0.5 + 0.0 * side, np.full(len(side), -0.35)], axis=1)
    below = np.stack(
        [0.25 * np.sign(places[:, 0]), np.full(len(side), -1.0), np.full(len(side), -0.3)], axis=1
    )
    return top * fall + (1 - top) * below


def _first_direction(style: str, roots: Roots) -> Array:
    """How the strand leaves the skin: lifted more on top than at the sides."""
    along = _tangent(_comb(style, roots.places), roots.normals)
    top = _top(roots.places)
    front = smoothstep(roots.places[:, 2], -1.0, -0.1)
    lift = {
        "BUZZ": 0.9 + 0.0 * top,
        "SHORT": 0.10 + 0.42 * top + 0.35 * top * front,
        "BOB": 0.18 + 0.35 * top,
        "TIED": 0.1 + 0.0 * top,
    }[style]
    return _unit(along + lift[:, None] * roots.normals)


def _pull(style: str, roots: Roots, place: Array, along: float) -> Array:
    """What bends a strand on its way: comb, gravity, the knot."""
    if style == "BUZZ":
        return 0.2 * _comb(style, roots.places)
    if style == "SHORT":
        flat = _tangent(_comb(style, roots.places), roots.normals)
        return 0.16 * flat + np.array([0.0, -0.05 - 0.16 * along, 0.0])
    if style == "TIED":
        return 0.9 * _unit(_KNOT - place)
    inward = np.stack([-np.sign(place[:, 0]), np.zeros(len(place)), np.zeros(len(place))], axis=1)
    hug = 0.16 + 0.25 * smoothstep(np.full(len(place), along), 0.7, 1.0)
    curl = (hug * smoothstep(place[:, 1], 0.4, -0.6))[:, None] * inward
    side = _side(roots.places)
    away = np.stack([0.12 * side, np.zeros(len(side)), np.full(len(side), -0.18)], axis=1) * (1.0 - along)
    return np.array([0.0, -0.55, 0.0]) + away * _top(roots.places)[:, None] + curl


def _stay_in_shape(style: str, frame: FaceFrame, points: Array, before: Array, steps: Array) -> Array:
    """Keep strands off the face and at their length: combing may not stretch them."""
    if style in ("BOB", "TIED"):
        place = frame.local(points)
        limit = np.interp(
            place[:, 1], [-2.5, -1.2, -0.2, 0.5, 1.0, 1.3], [-0.75, -0.62, -0.5, -0.35, 0.0, 0.5]
        )
        place[:, 2] = np.minimum(place[:, 2], limit)
        points = frame.metres(place)
    offset = points - before
    length = np.linalg.norm(offset, axis=1)
    scale = np.clip(length, 0.6 * steps, 1.4 * steps) / np.maximum(length, 1e-9)
    return before + offset * scale[:, None]
