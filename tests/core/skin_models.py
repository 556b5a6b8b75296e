# SPDX-License-Identifier: GPL-3.0-or-later
"""Small models and results of compressed skinning, made by seed; and where the shared ones lie."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from capture_samples import DATA, real_file

from core.skin.compressed import CompressedSkin
from core.skin.model_data import BlendshapeModelData

FACES = np.array([[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, -1]], np.int32)
BETWEEN = {"num_indices": 1, "0.0,0.5,1.0": [[5], [1]]}
COMBINED = {"num_indices": 2, 2: [[0], [5], [6]], 3: [[6], [2], [3], [7]]}
"""The second product has the first as a factor, which has the in-between as one."""
SHAPES, VERTICES, CONTROLS = 8, 20, 5


def arrays(**changes: Any) -> dict[str, Any]:
    """A model's arrays as its file holds them; a change to None leaves one out."""
    rng = np.random.default_rng(3)
    made = {
        "deltas": rng.normal(size=(SHAPES, VERTICES, 3)).astype(np.float32),
        "rest_verts": 5 + rng.normal(size=(VERTICES, 3)).astype(np.float32),
        "rest_faces": FACES,
        "inbetween_info": BETWEEN,
        "combination_info": COMBINED,
        **changes,
    }
    return {key: value for key, value in made.items() if value is not None}


def write_model(path: Path, **changes: Any) -> Path:
    """As numpy.savez does it for the published models: dicts become pickles."""
    np.savez(path, **arrays(**changes))  # type: ignore[arg-type]
    return path


def small_model(**changes: Any) -> BlendshapeModelData:
    """The same as a model."""
    return BlendshapeModelData.from_arrays(**arrays(**changes))


def small_skin(bones: int = 7, influences: int = 3, share: float = 0.2, seed: int = 0) -> CompressedSkin:
    """A result for the small model, with a bone that nothing moves and one that moves nothing."""
    rng = np.random.default_rng(seed)
    order = rng.random((VERTICES, bones - 1)).argsort(axis=1)
    weights = np.zeros((VERTICES, bones))
    weights[:, :-1] = np.where(order < influences, rng.random(order.shape) + 0.05, 0)
    weights[0], weights[0, 2] = 0, 1
    transforms = rng.normal(size=(SHAPES, bones, 6)) * (rng.random((SHAPES, bones, 6)) < share)
    transforms[:, 1] = 0
    rest = arrays()["rest_verts"]
    centre = rest.astype(np.float64).mean(axis=0)
    return CompressedSkin(
        rest=(rest - centre).astype(np.float32),
        centre=centre,
        faces=FACES,
        weights=(weights / weights.sum(axis=1, keepdims=True)).astype(np.float32),
        transforms=transforms.astype(np.float32),
        shape_names=tuple(f"shape{k}" for k in range(SHAPES)),
        inbetween_info=BETWEEN,
        combination_info=COMBINED,
        errors={"mae": 0.25},
    )


def published_result(skin: CompressedSkin, **changes: Any) -> dict[str, Any]:
    """The arrays of a published result.npz, written entry by entry."""
    stacked = np.zeros((3 * skin.n_shapes, 4 * skin.n_bones), np.float32)
    for k, bones in enumerate(skin.transforms):
        for j, (rx, ry, rz, tx, ty, tz) in enumerate(bones):
            block = [[0, -rz, ry, tx], [rz, 0, -rx, ty], [-ry, rx, 0, tz]]
            stacked[3 * k : 3 * k + 3, 4 * j : 4 * j + 4] = block
    made = {
        "rest": skin.rest,
        "quads": skin.faces,
        "weights": skin.weights,
        "restXform": np.tile(np.eye(3, 4), (skin.n_bones, 1, 1)),
        "shapeXform": stacked,
        **changes,
    }
    return {key: value for key, value in made.items() if value is not None}


def without_rig(skin: CompressedSkin) -> CompressedSkin:
    """One whose shapes are all controls."""
    return replace(skin, inbetween_info={}, combination_info={})


def compskin(name: str) -> Path:
    """A shared file of compressed skinning, or a skip."""
    return real_file(DATA / "compskin" / name)


class Harmful:
    """Pickles as a call that leaves a file, so that a test can see whether it was made."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)
