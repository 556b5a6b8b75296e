# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianAvatars' `flame_param.npz`: FLAME with the standard chain, one file per take (formats-cap4d 1.7).

shape (300,), expr (T, 100), rotation, neck_pose, jaw_pose, translation (T, 3), eyes_pose (T, 6), and offsets
of the vertices, (1, N, 3) `static_offset` and (T, N, 3) `dynamic_offset`, N = 5023 or 5143 with added teeth.
The file does not say which release it is for: whoever opens it must.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import CaptureError, SettingsError
from ..files import write_npz
from ..head.flame.forward import FlameParameters
from ..head.flame.model import EXPRESSIONS, SHAPES, STANDARD, VERTICES
from .fit_npz import read_arrays

Array = np.ndarray

WITH_TEETH = 5143
"""Vertices with the 120 that GaussianAvatars adds for teeth."""
_POSES = {"rotation": "rotation", "neck": "neck_pose", "jaw": "jaw_pose", "translation": "translation"}


@dataclass(frozen=True)
class FlameTake:
    """What a `flame_param.npz` holds."""

    parameters: FlameParameters
    """In the standard mode, for the release that the reader was told."""
    static_offset: Array | None = None
    """(N, 3) float32 metres, added to the shaped vertices."""


def read_flame_param(path: Path, variant: str) -> FlameTake:
    """Read the file for a release of FLAME; CaptureError for a missing, damaged or other one."""
    content = read_arrays(path)
    try:
        expression = _numbers(content["expr"], (None, EXPRESSIONS))
        frames = len(expression)
        parameters = FlameParameters.of(
            variant,
            _numbers(np.ravel(content["shape"]), (SHAPES,)),
            expression,
            mode=STANDARD,
            eyes=_numbers(content["eyes_pose"], (frames, 6)),
            **{own: _numbers(content[theirs], (frames, 3)) for own, theirs in _POSES.items()},
        )
        offset = content.get("static_offset")
        return FlameTake(parameters, None if offset is None else _offset(offset))
    except KeyError as problem:
        raise CaptureError(f"{path.name} is no FLAME take: it has no {problem.args[0]}.") from None
    except (ValueError, TypeError) as problem:
        raise CaptureError(f"{path.name} is no usable FLAME take: {problem}.") from problem


def write_flame_param(path: Path, take: FlameTake) -> None:
    """Write the file as GaussianAvatars reads it; SettingsError for CAP4D's form, which means something
    else.
    """
    given = take.parameters
    if given.mode != STANDARD:
        raise SettingsError(
            "A flame_param.npz holds the standard form of FLAME.", "Re-fit the parameters first."
        )
    shape, expression = np.zeros(SHAPES, np.float32), np.zeros((given.frame_count, EXPRESSIONS), np.float32)
    shape[: len(given.shape)] = given.shape
    expression[:, : given.expression.shape[1]] = given.expression
    offset = np.zeros((VERTICES, 3)) if take.static_offset is None else take.static_offset
    arrays = {theirs: getattr(given, own).astype(np.float32) for own, theirs in _POSES.items()}
    arrays |= {
        "shape": shape,
        "expr": expression,
        "eyes_pose": given.eyes.astype(np.float32),
        "static_offset": offset[None].astype(np.float32),
        "dynamic_offset": np.zeros((given.frame_count, len(offset), 3), np.float32),
    }
    try:
        write_npz(path, arrays)
    except OSError as problem:
        raise SettingsError(f"{path} cannot be written: {problem.strerror or problem}.") from problem


def _numbers(value: object, shape: tuple[int | None, ...]) -> Array:
    array = np.asarray(value)
    fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
    if array.dtype.kind not in "fiu" or not fits:
        raise ValueError(f"an array has shape {array.shape}, expected {shape}")
    if not np.all(np.isfinite(array)):
        raise ValueError("an array has values that are not finite")
    return array.astype(np.float64)


def _offset(value: object) -> Array:
    array = np.asarray(value)
    count = array.shape[-2] if array.ndim == 3 else 0
    if count not in (VERTICES, WITH_TEETH):
        raise ValueError(f"static_offset has shape {array.shape}")
    return _numbers(array, (1, count, 3))[0].astype(np.float32)
