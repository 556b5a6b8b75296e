# SPDX-License-Identifier: GPL-3.0-or-later
"""What a face's texture does when it moves, learnt from its track: wrinkles and colour for any performance.

A ridge regression from the 52 weights, the head's rotation and the gaze to the track's coefficients. Needs
only numpy; Blender reads and evaluates it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import rotation as turns
from ..arkit import ARKIT_NAMES
from ..errors import AvatarError
from ..files import read_npz, write_npz
from .low_rank import LowRank

Array = np.ndarray

SCHEMA = 1
FEATURES = (
    *ARKIT_NAMES,
    *(f"headRotation{axis}" for axis in "XYZ"),
    *("gazeLeftYaw", "gazeLeftPitch", "gazeRightYaw", "gazeRightPitch"),
)
"""F names of what the texture is told by: weights, the rotation vector of the head and the gaze, radians."""
_ARRAYS = ("mean", "index", "basis", "scale", "coefficients")
_LEARNT = ("matrix", "offset", "lowest", "highest", "usual")


@dataclass(frozen=True, eq=False)
class PredictedTexture:
    """coefficients = matrix @ features + offset, kept within what was seen."""

    texture: LowRank
    """The components, and the track's own coefficients."""
    matrix: Array
    """(k, F) float32 per feature, see `FEATURES`."""
    offset: Array
    """(k,) float32."""
    lowest: Array
    """(k,) float32: the range seen."""
    highest: Array
    """(k,) float32."""
    usual: Array
    """(F,) float32: the mean features of the take, for those that a performance lacks."""
    score: float
    """Share of the track's variance that is predicted in stretches of it which were held out: 1 is all, 0 no
    better than the mean picture."""

    def coefficients(self, weights: Array, rotation: Array | None = None, gaze: Array | None = None) -> Array:
        """(T, k) float32 for weights (T, 52), head rotations (T, 4) and gaze (T, 2, 2) rad, as in
        `Performance`.
        """
        features = features_of(weights, rotation, gaze, self.usual)
        found = features @ self.matrix.T + self.offset
        return np.clip(found, self.lowest, self.highest).astype(np.float32)

    def picture(self, coefficients: Array, out: Array | None = None) -> Array:
        """(s, s, 3) uint8 sRGB for (k,) coefficients; see `LowRank.picture`."""
        return self.texture.picture(coefficients, out)

    def save(self, path: Path | str) -> None:
        """Write the .npz (beside, then renamed)."""
        meta = json.dumps({"schema": SCHEMA, "features": FEATURES, "score": float(self.score)})
        stored: dict[str, Any] = {"meta": np.array(meta)}
        stored |= {name: getattr(self.texture, name) for name in _ARRAYS}
        stored |= {name: getattr(self, name) for name in _LEARNT}
        write_npz(Path(path), stored)

    @staticmethod
    def load(path: Path | str) -> PredictedTexture:
        """Read it; AvatarError for a missing, damaged, foreign or newer file."""
        path = Path(path)
        stored = read_npz(path, AvatarError)
        score = _score(path, stored)
        try:
            texture = LowRank(*(stored[name] for name in _ARRAYS))
            learnt = {name: stored[name] for name in _LEARNT}
            predicted = PredictedTexture(texture=texture, score=score, **learnt)
            _check(predicted)
        except (ValueError, KeyError, IndexError, AttributeError) as problem:
            raise AvatarError(
                f"{path} is not a usable predicted texture: {problem}.", "Make the textures again."
            ) from problem
        return predicted


def _score(path: Path, stored: dict[str, Array]) -> float:
    """What the header says; AvatarError where it is not ours or newer."""
    try:
        meta = json.loads(str(stored["meta"]))
        schema, score, names = int(meta["schema"]), float(meta["score"]), meta["features"]
    except (KeyError, ValueError, TypeError, RecursionError):
        raise AvatarError(f"{path} is not a predicted texture of Likeness.", "") from None
    if schema > SCHEMA:
        raise AvatarError(
            f"{path} was made by a newer version of Likeness.", "Update the extension to open it."
        )
    if names != list(FEATURES):
        raise AvatarError(f"{path} is told by other features than ours.", "Make the textures again.")
    return score


def _check(predicted: PredictedTexture) -> None:
    """ValueError where the arrays do not belong together."""
    texture, features = predicted.texture, len(FEATURES)
    count, texels, side = len(texture.scale), len(texture.index), texture.mean.shape[0]
    expected = {
        "mean": (texture.mean, np.uint8, (side, side, 3)),
        "index": (texture.index, np.int32, (texels,)),
        "basis": (texture.basis, np.int8, (count, texels, 3)),
        "scale": (texture.scale, np.float32, (count,)),
        "coefficients": (texture.coefficients, np.float32, (len(texture.coefficients), count)),
        "matrix": (predicted.matrix, np.float32, (count, features)),
        "usual": (predicted.usual, np.float32, (features,)),
        **{name: (getattr(predicted, name), np.float32, (count,)) for name in _LEARNT[1:4]},
    }
    for name, (array, dtype, shape) in expected.items():
        if array.dtype != dtype or array.shape != shape:
            raise ValueError(f"{name} is {array.dtype} {array.shape} and not {np.dtype(dtype)} {shape}")
        if dtype == np.float32 and not np.all(np.isfinite(array)):
            raise ValueError(f"{name} has values that are not finite")
    if texels and (texture.index.min() < 0 or texture.index.max() >= side * side):
        raise ValueError("index has texels outside the picture")


def features_of(
    weights: Array, rotation: Array | None, gaze: Array | None, usual: Array | None = None
) -> Array:
    """(T, F) float64 of weights (T, 52), head rotations (T, 4), w first, and gaze (T, 2, 2) rad; what is
    missing is as usual, (F,), by default 0.
    """
    weights = np.atleast_2d(np.asarray(weights, np.float64))
    found = np.zeros((len(weights), len(FEATURES))) + (0.0 if usual is None else usual)
    own = len(ARKIT_NAMES)
    found[:, :own] = weights
    if rotation is not None:
        found[:, own : own + 3] = turns.to_rotation_vector(np.atleast_2d(rotation))
    if gaze is not None:
        found[:, own + 3 :] = np.reshape(gaze, (-1, 4))
    return found
