# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a fit of the sample that ships is from what its person truly is and does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from core import rotation
from core.fit.slices import FACE
from core.head import HeadModel, Rest, load_model
from core.head.embedding import load_embedding
from core.performance import Performance

Array = np.ndarray

FOLDER = Path(__file__).resolve().parents[2] / "core" / "data" / "sample"
CAPTURE = FOLDER / "likeness_sample.zip"
GENDER = {"female": 1.0, "male": 0.0}


@dataclass(frozen=True)
class Truth:
    """The sample's person and performance."""

    known: dict[str, float]
    """What a user would tell: the gender."""
    rest: Rest
    performance: Performance
    region: Array
    """(n,) rows of the face: skin that is within the landmarks' height and before the ears."""

    def identity_mm(self, rest: Rest) -> float:
        """Rms distance over the face after the best rigid motion, no scale."""
        found, truth = (one.vertices[self.region].astype(np.float64) for one in (rest, self.rest))
        a, b = found - found.mean(axis=0), truth - truth.mean(axis=0)
        left, _, right = np.linalg.svd(a.T @ b)
        turn = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
        return 1000.0 * float(np.sqrt(np.mean(np.sum((a @ turn - b) ** 2, axis=1))))

    def weights_mae(self, performance: Performance) -> float:
        """Mean absolute error over frames and all 52 weights."""
        return float(np.mean(np.abs(performance.weights - self._at(performance).weights)))

    def head_degrees(self, performance: Performance) -> float:
        """Mean angle between the head's rotation and the true one."""
        truth = self._at(performance).head_rotation
        turn = rotation.multiply(performance.head_rotation, rotation.conjugate(truth))
        return float(np.degrees(np.mean(np.linalg.norm(rotation.to_rotation_vector(turn), axis=1))))

    def gaze_degrees(self, performance: Performance) -> float:
        """Mean angle between gaze and true gaze, of both eyes, while they are open."""
        truth = self._at(performance)
        found, expected = (_directions(one.gaze_or_from_weights()) for one in (performance, truth))
        angles = np.degrees(np.arccos(np.clip(np.sum(found * expected, axis=-1), -1.0, 1.0)))
        shut = np.stack([truth.weight(f"eyeBlink{side}") for side in ("Left", "Right")], axis=1)
        return float(np.mean(angles[shut < 0.5]))

    def time_s(self, performance: Performance) -> float:
        """Largest error of a frame's time."""
        return float(np.max(np.abs(performance.time - self.performance.time)))

    def _at(self, performance: Performance) -> Performance:
        return self.performance.resampled(performance.time)


def _directions(gaze: Array) -> Array:
    """(T, 2, 3) unit vectors of yaw and pitch (T, 2, 2) radians."""
    yaw, pitch = gaze[..., 0], gaze[..., 1]
    return np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], axis=-1)


@lru_cache(maxsize=1)
def sample_truth() -> Truth:
    """Read what the sample was rendered from."""
    said = json.loads((FOLDER / "likeness_sample_truth.json").read_text(encoding="utf-8"))
    model = load_model("anny")
    rest = model.rest(model.identity_coefficients(said["identity"]))
    performance = Performance.load(FOLDER / "likeness_sample_truth.npz")
    return Truth({"gender": GENDER[said["gender"]]}, rest, performance, face_region(model, rest))


def face_region(model: HeadModel, rest: Rest) -> Array:
    """(n,) rows of the skin of the face."""
    landmarks = load_embedding(model).points(rest.vertices)[:FACE]
    body = model.part_vertices("body")
    x, y, z = rest.vertices[body].T
    inside = (z > 0.02) & (np.abs(x) < 0.075)
    inside &= (y > landmarks[:, 1].min()) & (y < landmarks[:, 1].max() + 0.005)
    return body[inside]
