# SPDX-License-Identifier: GPL-3.0-or-later
"""In what order 52 scores come, and how one order is brought into another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...arkit import ARKIT_NAMES, canonical_name
from ...errors import SettingsError

Array = np.ndarray

NEUTRAL = "_neutral"

MEDIAPIPE_NAMES: tuple[str, ...] = (NEUTRAL, *sorted(set(ARKIT_NAMES) - {"tongueOut"}))
"""The 52 scores as mediapipe's face landmarker lists them: `_neutral` first, then by name, no `tongueOut`."""

ROTATION_AXES = ("x", "y", "z")
OPENING = "jaw_x"
"""Rotation of the jaw about the axis to the subject's left: positive opens the mouth."""
JAW_NAMES = tuple(f"jaw_{axis}" for axis in ROTATION_AXES)
EYE_NAMES = tuple(f"eye_{side}_{axis}" for side in ("left", "right") for axis in ROTATION_AXES)
POSE_COUNT = len(JAW_NAMES) + len(EYE_NAMES)
"""9: a jaw and two eyes, a rotation vector each."""


def coefficient_names(count: int) -> tuple[str, ...]:
    """Names of what a mapping to `count` expression coefficients gives, (count + 9,): expression, jaw,
    eyes.
    """
    return (*(f"expression_{i:03d}" for i in range(count)), *JAW_NAMES, *EYE_NAMES)


def known_order(names: Sequence[str]) -> tuple[str, ...]:
    """`names` in ARKit's spelling (`_neutral` stays); SettingsError for a name that is unknown or twice
    there.
    """
    found = tuple(NEUTRAL if name == NEUTRAL else canonical_name(str(name)) or "" for name in names)
    if "" in found:
        raise SettingsError(
            f"{str(names[found.index('')])[:60]!r} is none of the 52 ARKit scores.",
            "Name the columns as ARKit does, for example jawOpen.",
        )
    if len(set(found)) < len(found):
        raise SettingsError("The same score is named twice.", "Name each column once.")
    return found


def reordered(scores: Array, names: Sequence[str], wanted: Sequence[str]) -> Array:
    """Scores (N, len(names)) in the order `wanted`, (N, len(wanted)) float64.

    What is wanted and not there is zero (mediapipe has no `tongueOut`, the phone no `_neutral`); what is
    there and not wanted is left out. SettingsError for another number of columns or values that are not
    finite.
    """
    values = np.asarray(scores)
    if values.ndim != 2 or values.shape[1] != len(names) or values.dtype.kind not in "fiub":
        raise SettingsError(f"Scores have shape {values.shape}; (N, {len(names)}) numbers are expected.")
    if not np.all(np.isfinite(values)):
        raise SettingsError(
            "The scores have values that are not finite.", "Leave out the frames without a face."
        )
    places = {name: column for column, name in enumerate(names)}
    result = np.zeros((len(values), len(wanted)))
    for column, name in enumerate(wanted):
        if name in places:
            result[:, column] = values[:, places[name]]
    return result
