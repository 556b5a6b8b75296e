# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME with the expressions that CAP4D uses: 64 of the release without a jaw, and its blink shape."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ...head import HeadModel
from ...head.basis import DenseBasis
from ...head.flame.compile import load_flame


def with_cap4d_expressions(model: HeadModel, path: Path) -> HeadModel:
    """The head model compiled at `path` with CAP4D's 65 expressions in place of its own 100.

    ModelError for another release, or where the blink shape was not beside the FLAME file.
    """
    shapes = load_flame(path).cap4d.expressions.astype(np.float32)
    return replace(
        model,
        expression=DenseBasis(np.arange(shapes.shape[1]), shapes),
        expression_names=tuple(f"expression_{k:03d}" for k in range(len(shapes))),
        provenance={**model.provenance, "expressions": "cap4d"},
    )
