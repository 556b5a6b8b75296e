# SPDX-License-Identifier: GPL-3.0-or-later
"""`Mapping`: 52 scores of a face to the expression, jaw and eyes of a FLAME model, and `FlameMotion`, its
result.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...arkit import ARKIT_NAMES
from .names import NEUTRAL, POSE_COUNT, known_order, reordered

Array = np.ndarray

MAX_EXPRESSIONS = 1000
MAX_LAYERS = 16
MAX_WIDTH = 4096


@dataclass(frozen=True)
class FlameMotion:
    """What a face does, in the parameters of one variant of FLAME (or of another head model)."""

    expression: Array
    """(N, E) float32 coefficients."""
    jaw: Array
    """(N, 3) float32 rotation vectors in radians, head frame; zero for a model without a jaw joint."""
    eyes: Array
    """(N, 6) float32: rotation vectors of the left and of the right eye, radians, head frame."""
    variant: str = ""
    """The model that the numbers belong to; those of one model mean nothing to another."""

    def as_dict(self) -> dict[str, Array]:
        """The three arrays by name, as `Performance.flame` keeps them."""
        return {"expression": self.expression, "jaw": self.jaw, "eyes": self.eyes}


@dataclass(frozen=True)
class Layer:
    """x W + b of one layer."""

    weight: Array
    """(inputs, outputs) float64."""
    bias: Array
    """(outputs,) float64."""


def checked_layer(weight: Array, bias: Array | None, what: str) -> Layer:
    """A layer of numbers from outside; ValueError with `what` for a shape or value that cannot be."""
    weight = np.asarray(weight)
    bias = np.zeros(weight.shape[-1:]) if bias is None else np.asarray(bias)
    if weight.dtype.kind not in "fiu" or bias.dtype.kind not in "fiu":
        raise ValueError(f"{what} does not hold numbers")
    if weight.ndim != 2 or bias.shape != weight.shape[1:] or not 0 < max(weight.shape) <= MAX_WIDTH:
        raise ValueError(f"{what} has shapes {weight.shape} and {bias.shape}")
    if not (np.all(np.isfinite(weight)) and np.all(np.isfinite(bias))):
        raise ValueError(f"{what} has values that are not finite")
    return Layer(weight.astype(np.float64), bias.astype(np.float64))


@dataclass(frozen=True)
class Mapping:
    """Scores times a matrix; or, with several layers, a network with ReLU between them."""

    names: tuple[str, ...]
    """(S,) scores in the order of the first layer's inputs, ARKit's spelling; `_neutral` may be among
    them.
    """
    layers: tuple[Layer, ...]
    """The last one gives the expression (E), then the jaw (3), then the eyes (6)."""
    variant: str = ""
    """Tag of the target model."""
    provenance: MappingOf[str, str] = field(default_factory=dict)
    """How it was made, word by word."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", known_order(self.names))
        if not 1 <= len(self.layers) <= MAX_LAYERS:
            raise ValueError(f"a mapping has 1 to {MAX_LAYERS} layers, not {len(self.layers)}")
        widths = [len(self.names)]
        for layer in self.layers:
            checked_layer(layer.weight, layer.bias, "a layer")
            if len(layer.weight) != widths[-1]:
                raise ValueError(f"a layer takes {len(layer.weight)} inputs and gets {widths[-1]}")
            widths.append(len(layer.bias))
        if not POSE_COUNT < widths[-1] <= MAX_EXPRESSIONS + POSE_COUNT:
            raise ValueError(f"a mapping gives expression, jaw and eyes, and this one {widths[-1]} numbers")

    @staticmethod
    def linear(
        names: Sequence[str],
        matrix: Array,
        bias: Array | None = None,
        *,
        variant: str = "",
        provenance: MappingOf[str, str] | None = None,
    ) -> Mapping:
        """One matrix (S, E + 9), with or without a bias (E + 9,)."""
        layer = checked_layer(matrix, bias, "the matrix of a mapping")
        return Mapping(tuple(names), (layer,), variant, provenance or {})

    @property
    def expression_count(self) -> int:
        """E."""
        return len(self.layers[-1].bias) - POSE_COUNT

    @property
    def unused(self) -> tuple[str, ...]:
        """ARKit scores that this mapping does not look at."""
        active = np.any(self.layers[0].weight != 0, axis=1)
        looked_at = {name for name, used in zip(self.names, active, strict=True) if used}
        return tuple(name for name in ARKIT_NAMES if name not in looked_at and name != NEUTRAL)

    def evaluate(self, values: Array) -> Array:
        """(N, S) scores in the order of `names` to (N, E + 9) float64."""
        for layer in self.layers[:-1]:
            values = np.maximum(values @ layer.weight + layer.bias, 0.0)
        return values @ self.layers[-1].weight + self.layers[-1].bias

    def convert(self, scores: Array, names: Sequence[str] = ARKIT_NAMES) -> FlameMotion:
        """Scores (N, len(names)), columns in the order of `names` (any dialect), to FLAME's parameters.

        Scores that the mapping wants and `names` lacks count as zero. SettingsError for a wrong shape.
        """
        result = self.evaluate(reordered(scores, known_order(names), self.names)).astype(np.float32)
        count = self.expression_count
        return FlameMotion(
            result[:, :count], result[:, count : count + 3], result[:, count + 3 :], self.variant
        )

    def save(self, path: Path) -> None:
        """Write an .npz without pickled objects; SettingsError where that is impossible."""
        from .storage import save_mapping

        save_mapping(self, Path(path))

    @staticmethod
    def load(path: Path) -> Mapping:
        """Read what `save` wrote; SettingsError for a missing, damaged, foreign or newer file."""
        from .storage import load_mapping

        return load_mapping(Path(path))
