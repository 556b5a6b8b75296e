# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a neck is a collar: cloth over the neck does not move with the head, so nothing is learned from it.

Cloth is known by its colours: those below the neck against those of the head. A prior by height says how
likely it is, so that where both look the same the head goes down to its line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .head_region import Rise

Array = np.ndarray

LOW, HIGH = 0.0, 0.085
"""Metres above the line of the neck (see `head_region`): from likely cloth to surely none, about the chin."""
_PRIOR = 0.5, 0.02
_BINS = 32
_FEWEST = 300
"""Pixels of cloth under which there is nothing to learn from."""
_MOST = 4000
"""Pixels of one picture that are counted."""
_SURE, _SOFT = 230, 242
"""Of 255: a matte that is surely the person, and one that is its soft border."""
_SHADES = {1.0: 1.0, 0.75: 0.15, 0.55: 0.15}
"""A collar lies in the shade of the chin as well: every colour that was seen is thought darker, too."""
_KNOWN = 0.85
"""How likely cloth must be to tell what cloth in the shade looks like; of the neck's skin likewise."""
_ROWS = 16
"""px that are looked at above `HIGH`, too: what hangs together there is the head."""
_CLOSE = 0.02
"""Of the crop's height: gaps of this size in cloth are closed."""


class Crop(Protocol):
    """A head cut out of its picture, as `core.splat.cutting.Cut`."""

    @property
    def image(self) -> Array:
        """(h, w, 3) uint8."""
        ...

    @property
    def person(self) -> Array:
        """(h, w) uint8."""
        ...

    @property
    def keep(self) -> Array:
        """(h, w) uint8."""
        ...

    @property
    def rise(self) -> Rise:
        """Above the line of the neck."""
        ...


@dataclass(frozen=True)
class Clothes:
    """Colours of one take's clothes, against those of the head."""

    odds: Array | None
    """(32, 32, 32) float32: how much likelier a colour (Lab) is on cloth than on the head; None: unknown."""

    @staticmethod
    def of(crops: Sequence[Crop]) -> Clothes:
        """From some crops of a take: what is surely cloth or head, then what that tells of the neck, whose
        skin lies in the shade of the chin.
        """
        counts = np.zeros((2, _BINS, _BINS, _BINS), np.float32)
        for crop in crops:
            lab, above, sure = _colours(crop)
            for kind, own in enumerate((sure & (crop.keep == 0) & (above < 0), sure & (above > HIGH))):
                for shade, share in _SHADES.items():
                    _count(counts[kind], _shaded(lab[own], shade), share)
        if counts[0].sum() < _FEWEST or counts[1].sum() < _FEWEST:
            return Clothes(None)
        first = Clothes(_odds(counts))
        for crop in crops:
            lab, above, sure = _colours(crop)
            chance = first._chance(lab, above)
            neck = sure & (above < HIGH) & (crop.keep > 0)
            for kind, own in enumerate((neck & (chance > _KNOWN), neck & (chance < 1 - _KNOWN))):
                _count(counts[kind], lab[own])
        return Clothes(_odds(counts))

    def cover(self, crop: Crop) -> Array | None:
        """(h, w) float32: 1 where cloth covers what is kept of a crop. None where nothing is known."""
        import cv2

        if self.odds is None:
            return None
        whole = crop.rise.over(crop.person.shape)
        first = max(0, int(np.argmax(whole.min(axis=1) < HIGH)) - _ROWS) if whole.min() < HIGH else 0
        person, keep, above = crop.person[first:], crop.keep[first:], whole[first:]
        chance = self._chance(cv2.cvtColor(crop.image[first:], cv2.COLOR_RGB2LAB), above)
        chance[(above > HIGH) | (person < 128)] = 0
        size = max(3, round(_CLOSE * crop.person.shape[0])) | 1
        cloth = (cv2.blur(chance, (size // 2 | 1, size // 2 | 1)) > 0.5).astype(np.uint8)
        cloth = cv2.morphologyEx(cloth, cv2.MORPH_CLOSE, _disc(size))
        cloth = cv2.morphologyEx(cloth, cv2.MORPH_OPEN, _disc(size // 2 | 1))
        cloth = _from_below(cloth, keep)
        around = cv2.dilate(cloth, _disc(2 * size + 1))
        soft = _flags((person < _SOFT) & (above < HIGH))
        cloth = _flags(cv2.dilate(cloth, _disc(5))) | (around & soft)
        cloth = cloth | _cut_off((cloth == 0) & (person >= 128) & (keep > 60), above)
        found = np.zeros(crop.person.shape, np.float32)
        found[first:] = cv2.GaussianBlur(cloth.astype(np.float32), (0, 0), 1.5)
        return found

    def _chance(self, lab: Array, above: Array) -> Array:
        """(h, w) float32: how likely each px is cloth."""
        assert self.odds is not None
        prior = np.interp(above, [LOW, HIGH], _PRIOR).astype(np.float32)
        odds = self.odds[_bins(lab)] * prior / (1 - prior)
        return odds / (1 + odds)


def _colours(crop: Crop) -> tuple[Array, Array, Array]:
    """Of a crop: Lab (h, w, 3) uint8, metres above the line of the neck, and where a person is for sure."""
    import cv2

    sure = cv2.erode(crop.person, np.ones((5, 5), np.uint8)) >= _SURE
    lab = cv2.cvtColor(crop.image, cv2.COLOR_RGB2LAB)
    return lab, crop.rise.over(crop.person.shape), sure


def _count(counts: Array, lab: Array, share: float = 1.0) -> None:
    some = lab[:: max(1, len(lab) // _MOST)]
    np.add.at(counts, _bins(some), share)


def _bins(lab: Array) -> tuple[Array, ...]:
    """Where colours (..., 3) uint8 Lab are counted: 8 levels of lightness to a bin, 4 of the others, which
    tell more.
    """
    chroma = (np.clip(lab[..., 1:], 64, 191) - 64) >> 2
    return lab[..., 0] >> 3, chroma[..., 0], chroma[..., 1]


def _odds(counts: Array) -> Array:
    cloth, head = (_blurred(count / count.sum()) + 1e-5 for count in counts)
    return cloth / head


def _blurred(counts: Array) -> Array:
    """Counts (n, n, n) spread to the bins around: 1, 2, 1 along each axis."""
    for axis in range(3):
        padded = np.pad(counts, [(1, 1) if k == axis else (0, 0) for k in range(3)])
        low, middle, high = (np.take(padded, range(k, k + counts.shape[axis]), axis) for k in range(3))
        counts = 0.25 * low + 0.5 * middle + 0.25 * high
    return counts


def _from_below(cloth: Array, keep: Array) -> Array:
    """Only those parts of cloth (h, w) uint8 that reach what is not kept, or the lower border."""
    below = keep == 0
    count, parts = _parts(cloth | _flags(below))
    reaching = np.zeros(count, np.uint8)
    reaching[parts[below]] = reaching[parts[-1]] = 1
    return reaching[parts] & cloth


def _cut_off(head: Array, above: Array) -> Array:
    """(h, w) uint8: parts of a head (h, w) bool that hang together with nothing above the chin."""
    import cv2

    count, parts = _parts(_flags(head))
    lost = np.ones(count, np.uint8)
    lost[parts[above > HIGH]] = lost[0] = 0
    return cv2.dilate(lost[parts], _disc(5))


def _shaded(lab: Array, shade: float) -> Array:
    """(n, 3) uint8 Lab, darker."""
    grey = np.array([0, 128, 128], np.float32)
    return (grey + np.float32(shade) * (lab - grey)).astype(np.uint8)


def _flags(values: Array) -> Array:
    return values.astype(np.uint8)


def _parts(values: Array) -> tuple[int, Array]:
    """How many parts hang together, the ground included, and (h, w) which of them each px is in."""
    import cv2

    count, parts = cv2.connectedComponents(values)
    return count, np.asarray(parts)


def _disc(side: int) -> Array:
    import cv2

    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
