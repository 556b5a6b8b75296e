# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known before looking: how far identities and expressions go, how fast a face moves, how far scores
can be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..arkit import ARKIT_NAMES, MIRROR
from ..head.phenotype import ANCHORS, ORIGINS
from .slices import INNER_LIPS

Array = np.ndarray

CONTACTS = np.array(
    [
        *((386, 374), (385, 380), (387, 373), (384, 381), (388, 390)),  # left lids
        *((159, 145), (158, 153), (160, 144), (157, 154), (161, 163)),  # right lids
        *INNER_LIPS,
    ]
)
"""(C, 2) landmarks that touch when eyes or mouth close. What a detector gets wrong is alike for neighbours,
so the distance of a pair is known better than either place."""

SCORE_SIGMA = 0.25
"""How far a detector's scores are off as weights of our shapes."""

RARITY = 2.0
"""Few expressions are acted at once: each weight is drawn to 0 as by an exponential prior whose mean is the
shape's size over this. Without it small errors of landmarks become a little of many expressions. On ten
rendered takes and on the sample 2 takes a sixth to a quarter off the mean error of weights and leaves the
large movements as they are."""

_PHENOTYPE_SPREAD = 0.15
_ORIGIN_SPREAD = 0.25
_GENDER_SPREAD = 0.35
_LOCAL_SPREAD = 0.22
_LINEAR_SPREAD = 1.0

_SIZES = {
    "eyeBlink": 0.4, "eyeLook": 0.4, "eyeSquint": 0.2, "eyeWide": 0.12, "browInnerUp": 0.3,
    "browOuterUp": 0.3, "browDown": 0.25, "jawOpen": 0.35, "jawForward": 0.06, "jawLeft": 0.06,
    "jawRight": 0.06, "cheekPuff": 0.06, "cheekSquint": 0.15, "noseSneer": 0.2, "tongueOut": 0.05,
    "mouthSmile": 0.3, "mouthLeft": 0.08, "mouthRight": 0.08, "mouthRoll": 0.12, "mouthPress": 0.1,
    "mouthDimple": 0.12, "mouthShrug": 0.15, "mouthClose": 0.08, "mouthStretch": 0.2,
}  # fmt: skip
"""Rms size of each shape in talking and acting, by the beginning of its name; 0.2 for the others. Rounded
from minutes of recorded ARKit weights; cheekPuff, jawForward and tongueOut are smaller because landmarks
hardly show them."""
_LOPSIDED = 0.35
"""How much the two sides of a face differ, as a share of a shape's size. Winks and crooked smiles remain
possible: the landmarks say so loudly."""
_FAST = ("eyeBlink", "eyeLook", "eyeSquint", "eyeWide")
_SLOW = ("cheek", "nose", "brow")


@dataclass(frozen=True)
class ExpressionPrior:
    """Normal prior with limits for E expression weights, and how fast they change."""

    precision: Array
    """(E, E) inverse covariance about 0."""
    score_precision: Array
    """(E,) inverse variance of a detector's scores, as further observations."""
    low: Array
    """(E,)."""
    high: Array
    """(E,)."""
    acceleration: Array
    """(E,) rms second derivative, 1/s^2."""
    looks: Array
    """(n,) indices of the eyeLook shapes, which follow the gaze."""
    rarity: Array
    """(E,) how strongly each weight is drawn to 0, whatever it is: an exponential prior's inverse mean."""
    within: tuple[tuple[int, int], ...] = ()
    """Pairs of shapes of which the first is never more than the second."""


def expression_prior(names: Sequence[str]) -> ExpressionPrior:
    """The prior for ARKit's shapes; for other bases (FLAME) standard normal components without limits."""
    count = len(names)
    if tuple(names) != ARKIT_NAMES:
        free = np.full(count, 10.0)
        none = np.zeros(count)
        return ExpressionPrior(
            np.eye(count), none, -free, free, np.full(count, 150.0), np.zeros(0, np.intp), none
        )
    size = np.array([next((v for key, v in _SIZES.items() if name.startswith(key)), 0.2) for name in names])
    looks = np.array([i for i, name in enumerate(names) if name.startswith("eyeLook")])
    rarity = RARITY / size
    rarity[looks] = 0.0
    speed = np.array([130.0 if n.startswith(_FAST) else 25.0 if n.startswith(_SLOW) else 60.0 for n in names])
    return ExpressionPrior(
        precision=np.diag(size**-2.0) + _balance(size),
        score_precision=np.full(count, SCORE_SIGMA**-2.0),
        low=np.zeros(count),
        high=np.ones(count),
        acceleration=speed,
        looks=looks,
        rarity=rarity,
        within=((ARKIT_NAMES.index("mouthClose"), ARKIT_NAMES.index("jawOpen")),),
    )


def _balance(size: Array) -> Array:
    """(52, 52) precision that holds left and right shapes near each other."""
    found = np.zeros((len(size), len(size)))
    for left, right in enumerate(MIRROR):
        if left < right and not ARKIT_NAMES[left].startswith(("eyeLook", "jaw", "mouthLeft", "mouthRight")):
            pair = np.ix_([left, right], [left, right])
            found[pair] += np.array([[1.0, -1.0], [-1.0, 1.0]]) / (_LOPSIDED * size[left]) ** 2
    return found


def identity_prior(
    names: Sequence[str], defaults: Mapping[str, float], known: Mapping[str, float]
) -> tuple[Array, Array]:
    """Mean and spread ((P,) each) of identity parameters; what is `known` hardly moves."""
    mean = np.array([known.get(name, defaults[name]) for name in names])
    return mean, np.array([0.01 if name in known else _spread(name, defaults) for name in names])


def _spread(name: str, defaults: Mapping[str, float]) -> float:
    if "gender" not in defaults:
        return _LINEAR_SPREAD
    if name == "gender":
        return _GENDER_SPREAD
    if name in ORIGINS:
        return _ORIGIN_SPREAD
    return _PHENOTYPE_SPREAD if name in ANCHORS else _LOCAL_SPREAD
