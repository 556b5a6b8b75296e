# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes of synthetic FLAME heads whose every number is known, and a projection that reads the format page
word by word.
"""

from __future__ import annotations

import atexit
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import flame_files
import numpy as np

from core import rotation
from core.arkit import INDEX
from core.camera import Camera
from core.fit.flame_exchange import eye_rotation_of
from core.fit.flame_face import FlameFace
from core.fit.flame_head import FlameHead
from core.fit.gaze import look_weights
from core.head import load_model
from core.head.embedding import LandmarkEmbedding, cached_path, load_embedding, topology_key
from core.head.flame.compile import save_flame
from core.performance import Performance
from core.track import Track
from tests.core.mapping_heads import on_surface

Array = np.ndarray

FOCAL, SIZE, DISTANCE = 900.0, (640, 480), 0.6
NOISE = 0.5
"""Pixels of a detector."""


@cache
def compiled(variant: str) -> Path:
    """A synthetic release as a head model, in a folder of its own that goes with the process."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    target = Path(folder.name) / f"{variant}.npz"
    save_flame(target, flame_files.model(variant))
    return target


@cache
def flame(variant: str) -> FlameHead:
    """The release, with our body's landmarks: the synthetic skin is that of our body."""
    return FlameHead.of(compiled(variant), landmarks(variant))


@cache
def landmarks(variant: str) -> LandmarkEmbedding:
    """Where our body's landmarks are on a synthetic release."""
    body, model = load_model("anny"), load_model(compiled(variant))
    ours = load_embedding(body)
    wanted = ours.points(body.rest(body.identity_coefficients()).vertices).astype(float)
    vertices = model.rest(model.identity_coefficients()).vertices.astype(float)
    eye = np.all(model.faces[:, :3] >= flame_files.SKIN, axis=1)
    skin = on_surface(wanted[:468], vertices, model.faces[~eye, :3])
    irises = on_surface(wanted[468:], vertices, model.faces[eye, :3])
    rows, weights = (np.concatenate(pair) for pair in zip(skin, irises, strict=True))
    return LandmarkEmbedding(rows, weights, ours.scatter, model.sha256, topology_key(model))


def keep_landmarks(variant: str) -> None:
    """Put a release's landmarks where the worker looks for them."""
    path = cached_path(load_model(compiled(variant)))
    path.parent.mkdir(parents=True, exist_ok=True)
    landmarks(variant).save(path)


@dataclass(frozen=True)
class MadeTake:
    """The truth, and what a detector and our own fit would have seen of it."""

    face: FlameFace
    shape: Array
    weights: Array
    """(T, n) expression, then jaw."""
    eyes: Array
    """(T, 3) rotation vectors."""
    rotations: Array
    px: Array
    """(T, 478, 2) without noise."""
    track: Track
    performance: Performance


def made_take(
    variant: str, frames: int = 12, *, seed: int = 1, ordered: bool = True, lost: tuple[int, ...] = ()
) -> MadeTake:
    """A person of 30 shapes, who talks, looks about and moves; expressions are not quite what the weights
    say.
    """
    rng, head = np.random.default_rng(seed), flame(variant)
    time = np.arange(frames) / (25.0 if ordered else 1.0)
    clock = np.arange(frames) / 25.0

    def waves(count: int, size: float) -> Array:
        turns = rng.uniform(0.2, 1.2, count) * clock[:, None] + rng.uniform(0, 1, count)
        return size * np.sin(2 * np.pi * turns)

    shape = np.zeros(head.shape_count)
    shape[:30] = np.clip(2.5 * rng.normal(size=30), -2.9, 2.9)
    scores = np.clip(waves(52, 0.6) - 0.1, 0, 1) * (rng.random(52) < 0.4)
    scores[:, INDEX["jawOpen"]] = np.clip(waves(1, 0.7)[:, 0], 0, 1)
    scores[:, [INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]] *= 0.4
    gaze = np.repeat(waves(2, 0.2)[:, None], 2, axis=1)
    columns, looks = look_weights(gaze)
    scores[:, columns] = looks
    motion = head.mapping().convert(scores)
    weights = motion.expression + waves(motion.expression.shape[1], 0.3)
    if head.model.has_jaw:
        weights = np.concatenate([weights, motion.jaw + waves(3, 0.03)], axis=1)
    face, eyes = FlameFace.of(head, shape), eye_rotation_of(gaze[:, 0])
    rotations = rotation.to_matrix(rotation.from_rotation_vector(waves(3, 0.25)))
    places = waves(3, 0.03) - np.array([0.0, 0.0, DISTANCE])
    seen = np.einsum("tij,tnj->tni", rotations, face.points(weights, eyes)) + places[:, None]
    px = FOCAL * seen[..., :2] * [1, -1] / -seen[..., 2:] + np.array(SIZE) / 2
    found = np.concatenate(
        [px + NOISE * rng.normal(size=px.shape), -FOCAL * (seen[..., 2:] + DISTANCE) / DISTANCE], axis=2
    ).astype(np.float32)
    found[list(lost)] = np.nan
    confidence = np.ones(frames)
    confidence[list(lost)] = 0
    track = Track("take", time, found, confidence, np.tile(SIZE, (frames, 1)), ordered=ordered)
    position = np.array([0.0, 0.0, -DISTANCE])
    performance = Performance(
        "take",
        time,
        scores,
        head_rotation=rotation.continuous(rotation.from_matrix(rotations)),
        head_translation=places - position,
        gaze=gaze,
        confidence=confidence,
        camera=Camera(np.array([FOCAL]), np.array([SIZE]) / 2, np.array([SIZE]), position),
    )
    return MadeTake(face, shape, weights, eyes, rotations, px, track, performance)


def literal_px(fit: dict[str, Array], frame: int, variant: str = "2023_no_jaw") -> Array:
    """(468, 2) px of the landmarks by formats-cap4d 0 and 2.2, from the arrays of the published file and of a
    fit.npz alone.
    """
    held, blink = flame_files.content(variant), flame_files.cap4d_arrays()[0]
    shapes = held["shapedirs"][..., :150]
    expressions = np.concatenate([held["shapedirs"][..., 300:364], blink[..., None]], axis=2)
    v = held["v_template"] + shapes @ fit["shape"] + expressions @ fit["expr"][frame]
    joints = held["J_regressor"] @ v
    still, eye = np.eye(3), rodrigues(fit["eye_rot"][frame])
    turns = [still, still, still, eye, eye]
    correctives = held["posedirs"].reshape(5023, 3, 4, 3, 3)
    posed = v.copy()
    for place, joint in enumerate((0, 2, 3, 4)):
        posed += np.einsum("vcij,ij->vc", correctives[:, :, place], turns[joint] - 2 * np.eye(3))
    skinned = sum(
        held["weights"][:, j, None] * ((posed - joints[j]) @ turns[j].T + joints[j]) for j in range(5)
    )
    world = skinned @ rodrigues(fit["rot"][frame]).T + fit["tra"][frame]
    opencv = np.c_[world * [1, -1, -1], np.ones(len(world))] @ fit["extr"][0].T
    x, y, z = landmarks(variant).points(opencv[:, :3])[:468].T
    return np.stack([fit["fx"][0] * x / z + fit["cx"][0], fit["fy"][0] * y / z + fit["cy"][0]], axis=1)


def rodrigues(vector: Array) -> Array:
    """(3, 3), with CAP4D's clamp of small angles."""
    angle = np.sqrt(max(float(vector @ vector), 1e-8))
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
