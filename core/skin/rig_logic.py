# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controls of a face rig make of all its shapes: in-betweens and combinations.

A rig's first C columns are its controls. `inbetween_info` maps `"x1,x2,x3"` to `[output columns, source
columns]`: a hat that rises from 0 at x1 to 1 at x2 and falls to 0 at x3. `combination_info` maps a number
of factors n to n lists of factor columns and one of output columns: products. Both hold `"num_indices"`,
how many columns they add. The layout is that of the models published with the paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

COUNT = "num_indices"
NO_TABLE: dict[Any, Any] = {COUNT: 0}
"""A rig without such shapes."""


def compute_rig_logic(
    control: np.ndarray, inbetween_info: Mapping[Any, Any], combination_info: Mapping[Any, Any]
) -> np.ndarray:
    """(T, C) controls as (T, S) coefficients of all shapes; columns that nothing fills are zero.

    The groups are evaluated in the order of the tables, each on what is there by then, and nothing is
    clamped. float32 in single precision, all else in double.
    """
    control = np.asarray(control)
    control = control.astype(np.result_type(control.dtype, np.float32), copy=False)
    frames, controls = control.shape
    added = int(inbetween_info.get(COUNT, 0)) + int(combination_info.get(COUNT, 0))
    out = np.zeros((frames, controls + added), control.dtype)
    out[:, :controls] = control
    for (low, peak, high), (targets, sources) in hats(inbetween_info):
        out[:, targets] = _hat(control[:, sources], low, peak, high)
    for columns in products(combination_info):
        out[:, columns[-1]] = np.prod([out[:, factor] for factor in columns[:-1]], axis=0)
    return out


def hats(table: Mapping[Any, Any]) -> Iterator[tuple[tuple[float, float, float], Sequence[Sequence[int]]]]:
    """The groups of in-betweens: three places, and the output and source columns."""
    for key, columns in table.items():
        if key != COUNT:
            low, peak, high = (float(part) for part in key.split(","))
            yield (low, peak, high), columns


def products(table: Mapping[Any, Any]) -> Iterator[Sequence[Sequence[int]]]:
    """The groups of combinations: lists of factor columns, and last that of the output columns."""
    for key, columns in table.items():
        if key != COUNT:
            yield columns


def _hat(values: np.ndarray, low: float, peak: float, high: float) -> np.ndarray:
    """Rises on [low, peak), falls on [peak, high), zero elsewhere. A side without width has no values."""
    rising = (values - low) / ((peak - low) or 1.0)
    falling = (high - values) / ((high - peak) or 1.0)
    inside = np.where(values < peak, rising, falling)
    return np.where((values >= low) & (values < high), inside, 0).astype(values.dtype, copy=False)
