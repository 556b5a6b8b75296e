# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenes that a model is calibrated on: who, with what expression and gaze, seen from where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ...arkit import ARKIT_NAMES
from ...head.model import HeadModel
from ...head.phenotype import PhenotypeParameters
from ...rotation import from_angles, to_matrix
from ..gaze import look_weights
from .picture import Look

Array = np.ndarray

SIDES = ("Left", "Right")


def both(name: str, value: float) -> dict[str, float]:
    """An expression on both sides of the face."""
    return {name + side: value for side in SIDES}


EXPRESSIONS: tuple[dict[str, float], ...] = (
    {},
    {"jawOpen": 0.35},
    {"jawOpen": 0.7},
    both("eyeBlink", 1.0),
    both("mouthSmile", 0.7),
    both("eyeWide", 0.8) | {"browInnerUp": 0.7} | both("browOuterUp", 0.7) | {"jawOpen": 0.2},
    both("browDown", 0.8) | both("eyeSquint", 0.5),
    {"mouthPucker": 0.7},
    both("mouthSmile", 0.8) | {"jawOpen": 0.3} | both("mouthUpperUp", 0.5),
    {"mouthFunnel": 0.6, "jawOpen": 0.25},
    both("eyeBlink", 0.5),
    both("mouthLowerDown", 0.6) | both("mouthUpperUp", 0.4) | {"jawOpen": 0.1},
)
"""ARKit weights, gentle enough that a detector trained on people knows them."""

LOCAL_SPREAD = 0.12
"""Of local changes: about as far as fits to real people go."""
JAW_ANGLE = 0.45
"""Radians that a jaw joint opens at jawOpen 1."""
GAZES = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.3, 0.0), (-0.3, 0.0), (0.0, 0.1), (0.0, -0.2))
"""Yaw to the subject's left and pitch up, radians; more turns the iris under the lids."""
VIEWS = (
    (0, 0),
    (12, 0),
    (-12, 0),
    (25, 0),
    (-25, 0),
    (0, 12),
    (0, -12),
    (18, 9),
    (-18, 9),
    (18, -9),
    (-18, -9),
)
"""Yaw to the subject's left and pitch up of the head, degrees."""

HAIR = ((0.02, 0.014, 0.01), (0.05, 0.03, 0.018), (0.12, 0.07, 0.035), (0.2, 0.19, 0.18))
IRISES = ((0.10, 0.06, 0.035), (0.05, 0.03, 0.02), (0.12, 0.17, 0.22), (0.13, 0.14, 0.08))


@dataclass(frozen=True)
class Scene:
    """One picture to be made."""

    identity: Mapping[str, float]
    expression: Mapping[str, float]
    gaze: tuple[float, float]
    yaw: float
    """Degrees to the subject's left."""
    pitch: float
    """Degrees up."""
    roll: float = 0.0
    distance: float = 0.8
    """Metres from the camera to the face."""
    scale: float = 2000.0
    """Pixels per metre at the face."""
    look: Look = field(default_factory=Look)


def scenes(model: HeadModel, count: int, seed: int = 0) -> list[Scene]:
    """`count` scenes. Views go through in turn; people, expressions and gazes are drawn at random, the same
    for the same seed.
    """
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        yaw, pitch = VIEWS[i % len(VIEWS)]
        made.append(
            Scene(
                _anybody(model, rng) if i % 8 else {},
                _expression(model, rng),
                GAZES[int(rng.integers(len(GAZES)))],
                yaw + rng.uniform(-4, 4),
                pitch + rng.uniform(-3, 3),
                rng.uniform(-8, 8),
                rng.uniform(0.55, 1.2),
                rng.uniform(1600, 2200),
                _look(rng),
            )
        )
    return made


def _expression(model: HeadModel, rng: np.random.Generator) -> dict[str, float]:
    """One of `EXPRESSIONS`; for a model that knows no ARKit names, its first few at random as well."""
    chosen = dict(EXPRESSIONS[int(rng.integers(len(EXPRESSIONS)))])
    if not any(name in model.expression_index for name in ARKIT_NAMES):
        chosen |= {name: float(rng.normal() * 0.6) for name in model.expression_names[:10]}
    return chosen


def _look(rng: np.random.Generator) -> Look:
    """Light and colours of somebody somewhere; one head in three is bald."""
    hair = HAIR[int(rng.integers(len(HAIR)))]
    return Look(
        key=(rng.uniform(-0.8, 0.8), rng.uniform(0.1, 0.7), 1.0),
        tone=rng.uniform(0.45, 1.1),
        hair=hair if rng.uniform() < 2 / 3 else None,
        brow=tuple(0.8 * np.array(hair)),
        iris=IRISES[int(rng.integers(len(IRISES)))],
        lashes=rng.uniform(0.4, 0.9),
        background=rng.uniform(0.05, 0.6),
    )


def _anybody(model: HeadModel, rng: np.random.Generator) -> dict[str, float]:
    """Identity of a person drawn at random, the same on both sides."""
    if not isinstance(model.parameters, PhenotypeParameters):
        return {name: float(rng.normal() * 0.6) for name in model.identity_names[:20]}
    person = {"gender": rng.uniform(0, 1), "age": rng.uniform(0.55, 0.95), "weight": rng.uniform(0.25, 0.8)}
    shares = rng.dirichlet(np.ones(3))
    person |= dict(zip(("african", "asian", "caucasian"), shares, strict=True))
    regions = ("cheek", "chin", "eye-", "eyebrows", "forehead", "head-", "mouth", "nose")
    local = [n for n in model.parameters.local_names if any(region in n for region in regions)]
    mirrored: dict[str, float] = {}
    for name in local:
        bare = name[2:] if name[:2] in ("l-", "r-") else name
        if "trans-out" in name and bare == name:
            continue  # moves a middle part to one side
        mirrored.setdefault(bare, float(np.clip(rng.normal() * LOCAL_SPREAD, -0.5, 0.5)))
        person[name] = mirrored[bare]
    return person


def turned(yaw: float, pitch: float, roll: float = 0.0) -> Array:
    """(3, 3) rotation of a head or an eye, radians."""
    return to_matrix(from_angles(np.array(yaw), np.array(pitch), np.array(roll)))


def placed(model: HeadModel, scene: Scene) -> Array:
    """(V, 3) metres, view frame: the scene's person before the camera."""
    rest = model.rest(model.identity_coefficients(scene.identity))
    weights, joints = _acted(model, scene)
    vertices = model.pose(rest, weights, joints)
    eyes = [model.joint_names.index(str(model.roles[role])) for role in ("eye_left", "eye_right")]
    left, right = rest.joint_heads[eyes]
    middle = (left + right) / 2 - [0.0, 0.5 * float(np.linalg.norm(left - right)), 0.0]
    rotation = turned(*np.radians([scene.yaw, scene.pitch, scene.roll]))
    return (vertices - middle) @ rotation.T - [0.0, 0.0, scene.distance]


def _acted(model: HeadModel, scene: Scene) -> tuple[Array, dict[str, Array]]:
    """Expression weights and joint rotations. A model whose jaw is a joint opens its mouth with that."""
    columns, look = look_weights(np.tile(scene.gaze, (1, 2, 1)))
    lids = {ARKIT_NAMES[column]: float(value) for column, value in zip(columns, look[0], strict=True)}
    weights = np.zeros(len(model.expression_names), np.float32)
    for name, value in {**lids, **scene.expression}.items():
        if name in model.expression_index:
            weights[model.expression_index[name]] = value
    eyes = [str(model.roles[role]) for role in ("eye_left", "eye_right")]
    joints = dict.fromkeys(eyes, turned(*scene.gaze))
    jaws = [name for name in model.joint_names if name.lower() == "jaw"]
    if jaws and "jawOpen" not in model.expression_index:
        joints[jaws[0]] = turned(0.0, -JAW_ANGLE * scene.expression.get("jawOpen", 0.0))
    return weights, joints
