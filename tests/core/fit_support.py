# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces whose every number is known, for the tests of `core.fit`."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from core import rotation
from core.arkit import ARKIT_NAMES, INDEX
from core.fit.frame import Expected, FaceState, FrameSolver
from core.fit.projection import Lens, Pose, project
from core.fit.slices import FACE, FaceRows, IdentityRows, iris_rows
from core.head import HeadModel, Rest, load_model
from core.head.embedding import LANDMARKS, LandmarkEmbedding, load_embedding
from core.track import Track

Array = np.ndarray

SIZE = (640, 480)
LENS = Lens(900.0, np.array([320.0, 240.0]))
LOOKS = np.array([name.startswith("eyeLook") for name in ARKIT_NAMES])
DISTANCE = 0.6
"""Metres from the camera to the head, usually."""


@lru_cache(maxsize=1)
def head() -> tuple[HeadModel, LandmarkEmbedding]:
    """The body that ships, with its landmarks."""
    model = load_model("anny")
    return model, load_embedding(model)


@lru_cache(maxsize=1)
def identity_rows() -> IdentityRows:
    return IdentityRows.of(*head())


@lru_cache(maxsize=4)
def face_of(seed: int | None = None) -> FaceRows:
    """The default person, or a random one."""
    model, embedding = head()
    values = {} if seed is None else random_person(np.random.default_rng(seed))
    return FaceRows.of(model, model.rest(model.identity_coefficients(values)), embedding)


def random_person(rng: np.random.Generator, share: float = 1.0) -> dict[str, float]:
    """Phenotypes and the local changes that landmarks show; share: how far from the default."""
    model, _ = head()
    names = identity_rows().visible_names()
    values = {}
    for name in names:
        low, high = model.identity_limits[name]
        middle, spread = model.identity_default[name], 0.15 if low == 0.0 else 0.22
        values[name] = float(np.clip(middle + share * spread * rng.normal(), low + 0.02, high - 0.02))
    return values


def random_pose(rng: np.random.Generator, yaw: float = 0.5, pitch: float = 0.3, roll: float = 0.3) -> Pose:
    """Angles in radians, uniform within their limits; the head is 0.4 to 0.9 m away, near the middle."""
    angles = rng.uniform(-1.0, 1.0, 3) * (yaw, pitch, roll)
    place = np.array([*rng.uniform(-0.05, 0.05, 2), -rng.uniform(0.4, 0.9)])
    return Pose(rotation.to_matrix(rotation.from_angles(*angles)), place)


def random_weights(rng: np.random.Generator, most: float = 0.7) -> Array:
    """(52,) a face in action, its eyes straight: a third of the shapes at once."""
    weights = most * rng.uniform(0.1, 1.0, len(ARKIT_NAMES)) * (rng.random(len(ARKIT_NAMES)) < 0.33)
    weights[LOOKS] = 0.0
    weights[INDEX["tongueOut"]] = 0.0
    weights[INDEX["mouthClose"]] *= weights[INDEX["jawOpen"]]
    return weights


def seen(face: FaceRows, state: FaceState, lens: Lens = LENS) -> Array:
    """(468, 2) px: where the landmarks are."""
    points = face.points + np.tensordot(state.weights, face.expression, 1)
    return project(points, state.pose, lens)[0]


def exact_solver(face: FaceRows) -> FrameSolver:
    """A solver that takes every landmark at its word."""
    return FrameSolver.of(face, np.zeros(FACE))


def expect_nothing(count: int = len(ARKIT_NAMES), precision: float = 1e-6) -> Expected:
    """Hardly any prior: what no landmark shows stays 0."""
    return Expected(precision * np.eye(count), np.zeros(count))


def turn_degrees(a: Array, b: Array) -> float:
    """Angle between two rotation matrices."""
    return float(np.degrees(np.linalg.norm(rotation.to_rotation_vector(rotation.from_matrix(a @ b.T)))))


def slope(function: Callable[[Array], Array], at: Array, step: float) -> Array:
    """(..., n) central differences of `function` by each of the n numbers `at`."""
    columns = []
    for index in range(len(at)):
        move = np.zeros(len(at))
        move[index] = step
        columns.append((function(at + move) - function(at - move)) / (2 * step))
    return np.stack(columns, axis=-1)


def made_up_embedding(model: HeadModel, seed: int = 0) -> LandmarkEmbedding:
    """Landmarks strewn over a model's triangles; the irises' are on both sides of it."""
    rng = np.random.default_rng(seed)
    rows = model.faces[rng.integers(0, len(model.faces), LANDMARKS), :3]
    middles = model.template[model.faces[:, :3]].mean(axis=1)
    for first, side in ((FACE, 0.03), (FACE + 5, -0.03)):
        near = np.argsort(np.linalg.norm(middles - [side, 0.0, 0.1], axis=1))[:5]
        rows[first : first + 5] = model.faces[near, :3]
    weights = rng.dirichlet(np.ones(3), LANDMARKS)
    return LandmarkEmbedding(rows, weights, np.full(LANDMARKS, 1e-3))


# ---- takes


def iris_points(rest: Rest, model: HeadModel, embedding: LandmarkEmbedding, gaze: Array) -> Array:
    """(10, 3) metres, head frame: the irises' landmarks in the embedding's order with the eyes at `gaze`
    ((2, 2) radians, left and right, yaw to the subject's left and pitch up).
    """
    points = embedding.points(rest.vertices).astype(np.float64)
    face = FaceRows.of(model, rest, embedding)
    found = points[FACE:].copy()
    for eye, rows in enumerate(iris_rows(points)):
        turn = turned_to(face.irises[eye], gaze[eye])
        local = slice(rows.start - FACE, rows.stop - FACE)
        found[local] = (points[rows] - face.eyes[eye]) @ turn.T + face.eyes[eye]
    return found


def turned_to(rest: Array, angles: Array) -> Array:
    """The rotation (3, 3) of an eye with its iris at `rest` ((3,), from its centre) to the gaze `angles`."""
    yaw, pitch = np.arctan2(rest[0], rest[2]), np.arctan2(rest[1], np.hypot(rest[0], rest[2]))
    before, after = look(yaw, pitch), look(yaw + angles[0], pitch + angles[1])
    return after @ before.T


def look(yaw: float, pitch: float) -> Array:
    """The rotation that turns +Z to the left by `yaw` and then up by `pitch`."""
    return rotation.to_matrix(rotation.from_rotation_vector(np.array([0.0, yaw, 0.0]))) @ rotation.to_matrix(
        rotation.from_rotation_vector(np.array([-pitch, 0.0, 0.0]))
    )


def made_take(
    rest: Rest,
    states: list[FaceState],
    gaze: Array | None = None,
    *,
    time: Array | None = None,
    noise: float = 0.0,
    lens: Lens = LENS,
    lost: tuple[int, ...] = (),
    seed: int = 0,
) -> Track:
    """What a detector with `noise` px would report of a person's states; the frames `lost` have no face."""
    model, embedding = head()
    rng = np.random.default_rng(seed)
    face = FaceRows.of(model, rest, embedding)
    count = len(states)
    landmarks = np.zeros((count, LANDMARKS, 3), np.float32)
    for frame, state in enumerate(states):
        look_at = np.zeros((2, 2)) if gaze is None else gaze[frame]
        irises = iris_points(rest, model, embedding, look_at)
        landmarks[frame, :FACE, :2] = seen(face, state, lens)
        landmarks[frame, FACE:, :2] = project(irises, state.pose, lens)[0]
    landmarks[..., :2] += rng.normal(size=(count, LANDMARKS, 2)) * noise
    landmarks[list(lost)] = np.nan
    confidence = np.ones(count, np.float32)
    confidence[list(lost)] = 0.0
    return Track(
        name="made",
        time=np.arange(count) / 30.0 if time is None else time,
        landmarks=landmarks,
        confidence=confidence,
        size=np.tile(np.int32(SIZE), (count, 1)),
        detector="exact",
        source="made.mp4",
    )
