# SPDX-License-Identifier: GPL-3.0-or-later
"""Named identity parameters to basis coefficients.

`LinearParameters` is the plain case: one number, one coefficient (FLAME, ICT). `PhenotypeParameters` is
MakeHuman's: each macro target stands for a combination such as (male, young, averagemuscle, minweight), and
its
coefficient is the product of how much of each the person is. The rule is that of the anny package
(`anny/models/phenotype.py: phenotype_blendshape_weights`, Apache-2.0), written anew for numpy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from ..errors import ModelError

Array = np.ndarray

ANCHORS: dict[str, dict[str, float]] = {
    "gender": {"male": 0.0, "female": 1.0},
    "age": {"baby": 0.0, "child": 1 / 3, "young": 2 / 3, "old": 1.0},
    "muscle": {"minmuscle": 0.0, "averagemuscle": 0.5, "maxmuscle": 1.0},
    "weight": {"minweight": 0.0, "averageweight": 0.5, "maxweight": 1.0},
    "height": {"minheight": 0.0, "maxheight": 1.0},
    "proportions": {"idealproportions": 0.0, "uncommonproportions": 1.0},
    "cupsize": {"mincup": 0.0, "averagecup": 0.5, "maxcup": 1.0},
    "firmness": {"minfirmness": 0.0, "averagefirmness": 0.5, "maxfirmness": 1.0},
}
"""Where each variation of an interpolated phenotype is reached in full."""
ORIGINS = ("african", "asian", "caucasian")
"""Phenotypes that share one whole: only their ratio counts."""
PHENOTYPES = (*ANCHORS, *ORIGINS)
VARIATIONS = (*(name for anchors in ANCHORS.values() for name in anchors), *ORIGINS)

DEFAULTS = dict.fromkeys(PHENOTYPES, 0.5) | {"age": 0.7}
"""A person of no particular build, about thirty years old. (0.5 would be a teenager: 1/3 is a child, 2/3 a
young adult.)"""


class IdentityParameters(Protocol):
    """Turns what a user sets into coefficients of the identity basis."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every parameter, in order."""
        ...

    @property
    def defaults(self) -> dict[str, float]:
        """The value of each parameter that nobody set."""
        ...

    @property
    def limits(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest value offered for each parameter."""
        ...

    def coefficients(self, values: Mapping[str, float]) -> Array:
        """(K,) float32 coefficients; a name that is not there raises ModelError."""
        ...

    def jacobian(self, values: Mapping[str, float], names: Sequence[str]) -> Array:
        """(K, len(names)) float64: how the coefficients change with each named parameter, at `values`."""
        ...


@dataclass(frozen=True)
class LinearParameters:
    """One parameter per shape, in the basis's own order."""

    names: tuple[str, ...]
    limit: float = 3.0
    """Largest magnitude offered, in standard deviations."""

    @property
    def defaults(self) -> dict[str, float]:
        """The value of each parameter that nobody set."""
        return dict.fromkeys(self.names, 0.0)

    @property
    def limits(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest value offered for each parameter."""
        return dict.fromkeys(self.names, (-self.limit, self.limit))

    def coefficients(self, values: Mapping[str, float]) -> Array:
        """(K,) float32 coefficients; a name that is not there raises ModelError."""
        values = checked(values, self.names)
        return np.array([values.get(name, 0.0) for name in self.names], np.float32)

    def jacobian(self, values: Mapping[str, float], names: Sequence[str]) -> Array:
        """(K, len(names)) float64: one coefficient per parameter, so columns of the identity."""
        columns = [self.names.index(name) for name in checked(dict.fromkeys(names, 0.0), self.names)]
        return np.eye(len(self.names))[:, columns]


@dataclass(frozen=True)
class PhenotypeParameters:
    """Phenotypes (0..1) for the macro shapes, then local changes (-1..1) with one shape for each
    direction.
    """

    mask: Array
    """(M, len(VARIATIONS)) bool: the variations each macro target is the product of."""
    combination: Array
    """(M, R) float32: macro targets written in the R shapes that are stored."""
    local_names: tuple[str, ...]
    """(L,) names; their shapes follow the R stored ones as increase, decrease, increase, ..."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every parameter, in order."""
        return (*PHENOTYPES, *self.local_names)

    @property
    def defaults(self) -> dict[str, float]:
        """The value of each parameter that nobody set."""
        return DEFAULTS | dict.fromkeys(self.local_names, 0.0)

    @property
    def limits(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest value offered for each parameter."""
        return dict.fromkeys(PHENOTYPES, (0.0, 1.0)) | dict.fromkeys(self.local_names, (-1.0, 1.0))

    @cached_property
    def _local_index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.local_names)}

    def coefficients(self, values: Mapping[str, float]) -> Array:
        """(K,) float32 coefficients; a name that is not there raises ModelError."""
        values = checked(values, self.names)
        macro = np.prod(np.where(self.mask, variation_weights(values), 1.0), axis=1)
        local = np.zeros(2 * len(self.local_names), np.float32)
        for name, value in values.items():
            index = self._local_index.get(name)
            if index is not None:
                local[2 * index] = max(value, 0.0)
                local[2 * index + 1] = max(-value, 0.0)
        return np.concatenate([(macro @ self.combination).astype(np.float32), local])

    def jacobian(self, values: Mapping[str, float], names: Sequence[str]) -> Array:
        """(K, len(names)) float64, by differences across a small step: phenotypes are products of
        interpolations with kinks, local changes have another shape on each side of 0.
        """
        values = checked(values, self.names)
        columns = np.zeros((self.combination.shape[1] + 2 * len(self.local_names), len(names)))
        for column, name in enumerate(names):
            if name in self._local_index:
                at = self.combination.shape[1] + 2 * self._local_index[name]
                value = values.get(name, 0.0)
                columns[at, column] = 0.5 + 0.5 * np.sign(value)
                columns[at + 1, column] = -0.5 + 0.5 * np.sign(value)
            else:
                columns[: self.combination.shape[1], column] = self._phenotype_slope(values, name)
        return columns

    def _phenotype_slope(self, values: dict[str, float], name: str, step: float = 1e-3) -> Array:
        """(R,) change of the stored shapes' coefficients with one phenotype, within its range 0..1."""
        value = values.get(name, DEFAULTS[name])
        low, high = max(value - step, 0.0), min(value + step, 1.0)
        ends = [variation_weights({**values, name: end}) for end in (low, high)]
        macro = [np.prod(np.where(self.mask, weights, 1.0), axis=1) for weights in ends]
        return (macro[1] - macro[0]) @ self.combination.astype(np.float64) / (high - low)


def variation_weights(values: Mapping[str, float]) -> Array:
    """How much of each of `VARIATIONS` a person is, (len(VARIATIONS),) float64."""
    weights: dict[str, float] = {}
    for phenotype, anchors in ANCHORS.items():
        at = np.array(list(anchors.values()))
        value = float(values.get(phenotype, DEFAULTS[phenotype]))
        for i, variation in enumerate(anchors):
            weights[variation] = float(np.interp(value, at, np.eye(len(at))[i]))
    shares = np.array([max(0.0, float(values.get(name, DEFAULTS[name]))) for name in ORIGINS])
    shares = shares / shares.sum() if shares.sum() > 0 else np.full(len(ORIGINS), 1 / len(ORIGINS))
    weights |= dict(zip(ORIGINS, shares, strict=True))
    return np.array([weights[name] for name in VARIATIONS])


def checked(values: Mapping[str, float], names: tuple[str, ...]) -> dict[str, float]:
    """The values as finite floats; unknown names and values that are no numbers raise ModelError."""
    known = set(names)
    result = {}
    for name, value in values.items():
        if name not in known:
            raise ModelError(f"The head model has no identity parameter named {name!r}.")
        number = float(value)
        if not np.isfinite(number):
            raise ModelError(f"The identity parameter {name!r} is {value}; a finite number is needed.")
        result[name] = number
    return result
