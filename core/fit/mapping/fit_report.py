# SPDX-License-Identifier: GPL-3.0-or-later
"""How well a mapping that was fitted to pairs predicts frames it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .names import EYE_NAMES, JAW_NAMES

Array = np.ndarray

_SHOWN = 12


@dataclass(frozen=True)
class CoefficientError:
    """One coefficient over the held-out frames."""

    name: str
    rms: float
    """Root mean square error, in the coefficient's unit (radians for jaw and eyes)."""
    deviation: float
    """Standard deviation of the data: the error of a constant guess."""
    r2: float | None
    """Share of the variance that is predicted; None where the data never change."""
    strength: float
    """Ridge strength that was chosen."""


@dataclass(frozen=True)
class FitReport:
    """Errors of all coefficients, and what the pairs could not teach."""

    pairs: int
    folds: int
    coefficients: tuple[CoefficientError, ...]
    groups: dict[str, float | None]
    """Share of the variance predicted in expression, jaw and eyes together."""
    unseen: tuple[str, ...]
    """Scores that are zero in every pair: the mapping ignores them."""

    @staticmethod
    def of(
        names: Sequence[str],
        targets: Array,
        predicted: Array,
        strengths: Array,
        folds: int,
        unseen: Sequence[str],
    ) -> FitReport:
        """Compare targets and held-out predictions, both (N, C)."""
        rms = np.sqrt(np.mean((predicted - targets) ** 2, axis=0))
        deviation = targets.std(axis=0)
        errors = tuple(
            CoefficientError(name, float(r), float(d), _share(r**2, d**2), float(s))
            for name, r, d, s in zip(names, rms, deviation, strengths, strict=True)
        )
        poses = len(JAW_NAMES) + len(EYE_NAMES)
        parts = {
            "expression": slice(0, len(names) - poses),
            "jaw": slice(len(names) - poses, len(names) - len(EYE_NAMES)),
            "eyes": slice(len(names) - len(EYE_NAMES), len(names)),
        }
        groups = {k: _share(np.sum(rms[p] ** 2), np.sum(deviation[p] ** 2)) for k, p in parts.items()}
        return FitReport(len(targets), folds, errors, groups, tuple(unseen))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For a person: the groups, then the coefficients that vary most."""
        lines = [f"{self.pairs} pairs, errors on {self.folds} held-out runs of frames"]
        lines += [f"  {name}: R2 {_shown(share)}" for name, share in self.groups.items()]
        largest = sorted(self.coefficients, key=lambda c: -c.deviation)[:_SHOWN]
        lines += [f"  {c.name}: rms {c.rms:.4f} of {c.deviation:.4f}, R2 {_shown(c.r2)}" for c in largest]
        if self.unseen:
            lines.append(f"  note: never seen and therefore ignored: {', '.join(self.unseen)}")
        return lines


def _share(error: float, variance: float) -> float | None:
    return float(1.0 - error / variance) if variance > 1e-18 else None


def _shown(share: float | None) -> str:
    return "-" if share is None else f"{share:.3f}"
