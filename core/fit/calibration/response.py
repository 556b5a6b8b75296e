# SPDX-License-Identifier: GPL-3.0-or-later
"""How detectors follow expressions: less far than the surface moves, and elsewhere too.

People sit before the camera, each first with a calm face and then with random mixtures of expressions. What a
landmark moves beyond the surface below it, from the calm face on, is a sum over the expressions that were
acted, seen from the sitting's side; least squares with a prior gives each expression its share. Mixtures tell
more of every expression than the same number of pictures with one expression each, and sides that differ
between the sittings tell the depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...arkit import ARKIT_NAMES, INDEX, MIRROR
from ...head.model import HeadModel
from ..slices import FACE
from .embed import Places
from .observe import Observations
from .regions import mirror
from .views import Scene, scenes, turned

Array = np.ndarray

SITTINGS = 36
MIXTURES = 8
"""Mixtures per sitting: of 36 sittings, 27 predict how far landmarks are off in the other 9 to 0.66 mm, where
the surface alone is 1.55 mm off."""
BELOW, ABOVE = 3, 2
"""Expressions of the mouth's part and of the eyes' part of the face in each mixture."""
SHARE, LEAST = 0.7, 7e-4
"""Prior of what a landmark moves beyond the surface: this share of the surface's movement, and metres."""
NOISE = 1e-3
"""Metres: first guess of what mixtures do not explain."""
_LOWER = ("mouth", "jaw", "cheekPuff")
_UNSEEN = ("eyeLook", "tongue")


def sittings(model: HeadModel, seed: int, count: int = SITTINGS) -> list[Scene]:
    """The calm face and the mixtures of `count` people, one sitting after the other; all look ahead."""
    rng = np.random.default_rng(seed)
    made = []
    for first in scenes(model, count, seed):
        sitting = replace(first, gaze=(0.0, 0.0), roll=0.0)
        made.append(replace(sitting, expression={}))
        made += [replace(sitting, expression=mixture(model, rng)) for _ in range(MIXTURES)]
    return made


def mixture(model: HeadModel, rng: np.random.Generator) -> dict[str, float]:
    """A few of the ARKit expressions that a model has, most of them on both sides; lips meet over an open
    jaw only.
    """
    pairs = sorted({tuple(sorted({k, MIRROR[k]})) for k in range(len(ARKIT_NAMES))})
    known = [pair for pair in pairs if all(_shown(model, ARKIT_NAMES[k]) for k in pair)]
    lower = [pair for pair in known if ARKIT_NAMES[pair[0]].startswith(_LOWER)]
    upper = [pair for pair in known if pair not in lower]
    weights: dict[str, float] = {}
    for group, most in ((lower, BELOW), (upper, ABOVE)):
        for chosen in rng.choice(len(group), min(most, len(group)), replace=False):
            weights |= _sides([ARKIT_NAMES[k] for k in group[chosen]], rng)
    if "mouthClose" in weights:
        weights["jawOpen"] = max(weights.get("jawOpen", 0.0), weights["mouthClose"] * rng.uniform(0.6, 1.0))
    elif rng.uniform() < 0.5 and "jawOpen" in model.expression_index:
        weights.setdefault("jawOpen", rng.uniform(0.1, 0.8))
    return weights


def _shown(model: HeadModel, name: str) -> bool:
    return name in model.expression_index and not name.startswith(_UNSEEN)


def _sides(names: Sequence[str], rng: np.random.Generator) -> dict[str, float]:
    """Weights of one expression or a pair; jaw and mouth go to one side only."""
    value = rng.uniform(0.3, 1.0)
    if len(names) == 1 or names[0].startswith(("jaw", "mouthLeft", "mouthRight")):
        return {names[int(rng.integers(len(names)))]: value}
    if rng.uniform() < 0.15:
        return {names[int(rng.integers(2))]: value}
    return {name: float(np.clip(value * rng.uniform(0.5, 1.3), 0.0, 1.0)) for name in names}


def response(acted: Sequence[Scene], seen: Observations, places: Places, moved: Array) -> Array:
    """(52, 468, 3) float16 metres, head frame: how much farther than the surface landmarks move with each
    ARKit expression at weight 1, the same on both sides of the face.

    acted: what `sittings` gave; seen: the pictures of it; moved: (52, 468, 3) metres, how the surface below
    each landmark moves.
    """
    weights = np.array([[scene.expression.get(name, 0.0) for name in ARKIT_NAMES] for scene in acted])
    turns = np.array([turned(*np.radians([scene.yaw, scene.pitch, scene.roll])) for scene in acted])
    predicted = places.points(seen.pixels)[:, :FACE]
    found = seen.found.all(axis=1)
    off = (seen.landmarks[:, :, :FACE].mean(axis=1) - predicted) / seen.scale[:, None, None] * [1, -1]
    sitting = np.arange(len(acted)) // (1 + MIXTURES)
    return solved(sitting[found], weights[found], turns[found], off[found], moved).astype(np.float16)


def solved(sitting: Array, weights: Array, turns: Array, off: Array, moved: Array) -> Array:
    """(52, 468, 3) metres that explain `off` ((n, 468, 2) metres, right and up in the picture) of n pictures.

    sitting: (n,) whose differences count, not their means; weights: (n, 52); turns: (n, 3, 3) head to view;
    moved: (52, 468, 3) metres, the surface's own movement, which says how much is usual.
    """
    flip = np.diag([-1.0, 1.0, 1.0])
    partner = mirror()[:FACE]
    sitting = np.concatenate([sitting, sitting + sitting.max() + 1])
    weights = np.concatenate([weights, weights[:, list(MIRROR)]])
    turns = np.concatenate([turns, flip @ turns @ flip])
    off = np.concatenate([off, off[:, partner] * [-1, 1]])
    used = np.flatnonzero(weights.any(axis=0))
    columns = np.einsum("nk,nad->nakd", weights[:, used], turns[:, :2]).reshape(len(weights), 2, -1)
    columns, off = (_less_mean(values, sitting) for values in (columns, off.transpose(0, 2, 1)))
    columns, off = columns.reshape(-1, 3 * len(used)), off.reshape(-1, FACE)
    normal, right = columns.T @ columns, columns.T @ off
    usual = np.linalg.norm(moved[used], axis=2)
    spread = np.repeat(np.hypot(SHARE * usual, LEAST), 3, axis=0)
    noise = np.full(FACE, NOISE)
    found = np.zeros((3 * len(used), FACE))
    for _ in range(2):
        for landmark in range(FACE):
            # The mirror image of a picture tells nothing new: each counts half.
            prior = np.diag(2.0 * (noise[landmark] / spread[:, landmark]) ** 2)
            found[:, landmark] = np.linalg.solve(normal + prior, right[:, landmark])
        noise = np.sqrt(np.mean((off - columns @ found) ** 2, axis=0))
    result = np.zeros((len(ARKIT_NAMES), FACE, 3))
    result[used] = found.reshape(len(used), 3, FACE).transpose(0, 2, 1)
    return 0.5 * (result + result[list(MIRROR)][:, partner] * [-1, 1, 1])


def _less_mean(values: Array, sitting: Array) -> Array:
    """Values (n, ...) less the mean of their sitting ((n,))."""
    result = values.astype(np.float64)
    for one in np.unique(sitting):
        result[sitting == one] -= result[sitting == one].mean(axis=0)
    return result


def gains(measured: Array, moved: Array) -> dict[str, float]:
    """By ARKit name: how far landmarks follow along the surface's own movement `moved` ((52, 468, 3) metres),
    1 for all the way, given what they move beyond it (`measured`, alike).
    """
    along = np.sum(measured * moved, axis=(1, 2))
    power = np.sum(moved**2, axis=(1, 2))
    return {name: 1.0 + float(along[k] / power[k]) for name, k in INDEX.items() if power[k] > 0}
