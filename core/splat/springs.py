# SPDX-License-Identifier: GPL-3.0-or-later
"""Springs from Gaussians to where they began: firm where pictures say nothing, hardly felt where they speak.

Sides that the footage hardly shows keep the texture's colours so, in the footage's light, and stay on the
skin, closed; without springs Adam takes whole steps along the faintest noise there.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..head.atlas import SKIN
from .bound import BoundGaussians
from .densify import LIFTED
from .gaussians import SH_C0
from .surface import HeadSurface

Array = np.ndarray

FORCES = {"means": 0.01, "log_scales": 0.02, "opacity_logits": 0.01, "sh": 0.03}
"""What is held, by shares of the array's usual slope per unit that it is off."""
HAIR = {"means": 0.4, "log_scales": 1.0, "opacity_logits": 0.0, "sh": 1.0}
"""What of that holds for Gaussians that began off the skin: where hair is, is for the pictures to say."""
FIRM = 40.0
"""How many times as stiff springs are on what pictures say nothing of."""
SURE = 0.1
"""Share of the median slope from which on a Gaussian counts as seen, more or less."""
FADE, FADE_ALL = 0.2, 0.02
"""Share of its offsets that a Gaussian loses at each look: one that is not seen, and any other by that."""
_LEAST, _DARK = 100, 0.1
"""Gaussians that it takes to tell a light by, and the colour under which none does."""


class Springs:
    """Where each Gaussian began, and how firmly it is held there."""

    def __init__(self, gaussians: BoundGaussians, surface: HeadSurface) -> None:
        self._surface = surface
        self._begun = {name: getattr(gaussians, name).copy() for name in FORCES}
        self._hair = heights(gaussians, surface) > LIFTED
        self._unsure = np.zeros(len(gaussians), np.float32)
        self._forces = dict.fromkeys(FORCES, 0.0)

    def tighten(self, usual: Mapping[str, float], stiffness: float) -> None:
        """Take the usual slopes of the arrays, by name, as the measure of all forces."""
        self._forces = {name: share * usual[name] * stiffness for name, share in FORCES.items()}

    def pull(self, gaussians: BoundGaussians, name: str) -> Array | None:
        """What a spring adds to the gradient of an array; None where none is held."""
        force = self._forces.get(name, 0.0)
        if force == 0.0:
            return None
        off = getattr(gaussians, name) - self._begun[name]
        stiff = force * np.where(self._hair, np.float32(HAIR[name]), np.float32(1.0))
        stiff *= 1.0 + FIRM * self._unsure
        off *= stiff.astype(np.float32).reshape(-1, *[1] * (off.ndim - 1))
        return off

    def look(self, gaussians: BoundGaussians, colour_moments: Array) -> None:
        """See which Gaussians pictures say little of, and let what these learned of the expression fade.

        colour_moments: (n, 3) Adam's second moments of the plain colours.
        """
        told = np.sqrt(colour_moments.sum(axis=1))
        usual = float(np.median(told[told > 0])) if np.any(told > 0) else 1.0
        self._unsure = np.exp(told / np.float32(-SURE * usual))
        if len(gaussians.basis):
            fade = np.float32(1.0) - np.float32(FADE) * (np.float32(FADE_ALL) + self._unsure)
            offsets = gaussians.offsets
            offsets *= fade[:, None, None]

    def tone(self, gaussians: BoundGaussians, colour_moments: Array) -> None:
        """Put the texture's colours, which know no light, into the footage's: by what became of the skin that
        is seen well. What is hardly seen follows at once.
        """
        skin = self._surface.chart[gaussians.binding] == SKIN
        told = colour_moments.sum(axis=1)
        begun, now = (0.5 + SH_C0 * array[:, 0] for array in (self._begun["sh"], gaussians.sh))
        bright = skin & (begun.min(axis=1) > _DARK) & (told > 0)
        if np.count_nonzero(bright) < _LEAST:
            return
        seen = bright & (told > np.quantile(told[bright], 0.7))
        gain = np.clip(np.median(now[seen] / begun[seen], axis=0), 0.5, 2.0)
        toned = (np.clip(begun * gain, 0.0, 1.0) - 0.5) / SH_C0
        moved = (toned - self._begun["sh"][:, 0])[skin]
        hardly = np.exp(-told / max(float(np.median(told[skin & (told > 0)])), 1e-30))[skin, None]
        self._begun["sh"][skin, 0] += moved.astype(np.float32)
        gaussians.sh[skin, 0] += (moved * hardly).astype(np.float32)

    def keep(self, rows: Array) -> None:
        """Go with the Gaussians: those of indices (m,), some of them twice."""
        self._begun = {name: array[rows] for name, array in self._begun.items()}
        self._hair, self._unsure = self._hair[rows], self._unsure[rows]

    def state(self) -> dict[str, Array]:
        """Arrays from which `restore` goes on."""
        begun = {f"begun_{name}": array for name, array in self._begun.items()}
        forces = np.array(list(self._forces.values()))
        return begun | {"spring_hair": self._hair, "spring_unsure": self._unsure, "spring_forces": forces}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go on from `state()`."""
        self._begun = {name: np.array(state[f"begun_{name}"]) for name in FORCES}
        self._hair = np.array(state["spring_hair"], bool)
        self._unsure = np.array(state["spring_unsure"], np.float32)
        self._forces = dict(zip(FORCES, state["spring_forces"].tolist(), strict=True))


def heights(gaussians: BoundGaussians, surface: HeadSurface) -> Array:
    """(n,) metres off the skin."""
    return gaussians.means[:, 1] * surface.rest_frames.scales[gaussians.binding]
