# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos beside a movie as layers of its still: sharper than any frame, so they lead where they see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arkit import INDEX
from ..capture import Capture
from ..head.atlas import HeadAtlas
from .footage import footage_pictures
from .layers import Layer, lay_out, small, texel_density
from .posed import PosedHead
from .relight import take_out_light
from .unproject import Unprojector

Array = np.ndarray

CALM = 0.3
"""Weight of an open or pursed mouth, or of a lid, from which on a photo does not show the resting face."""
SHARPER = 1.2
"""How many times as many px per texel as the movie's frames a photo must have to be of use."""
_LOUD = ("jawOpen", "mouthFunnel", "mouthPucker", "tongueOut", "cheekPuff", "eyeBlinkLeft", "eyeBlinkRight")
_LEAST = 50
"""Places that both must show to be brought to one level."""


@dataclass(frozen=True)
class Portraits:
    """Photos of the person of a movie."""

    head: PosedHead
    """One sample per photo, with a camera each."""
    pictures: dict[int, Array]
    """(H, W, 3) uint8 by sample: those that are calm."""
    density: float
    """px per texel of an atlas of side 1024, of the sharpest."""

    @staticmethod
    def of(head: PosedHead, capture: Capture, atlas: HeadAtlas) -> Portraits | None:
        """The calm photos of a capture without its movie; None where there is none."""
        weights = head.performance.weights[:, [INDEX[name] for name in _LOUD]]
        calm = np.flatnonzero((weights.max(axis=1) < CALM) & (head.performance.confidence > 0)).tolist()
        pictures = {i: picture for i, picture, _ in footage_pictures(capture, head.performance, calm)}
        if not pictures:
            return None
        densities = {i: texel_density(head, atlas, i, picture, 1024) for i, picture in pictures.items()}
        order = sorted(densities, key=lambda i: -densities[i])
        return Portraits(head, {i: pictures[i] for i in order}, densities[order[0]])

    def layers(
        self, atlas: HeadAtlas, unprojector: Unprojector, frames: Sequence[Layer], first: int
    ) -> list[Layer]:
        """Without their light, at the level of the movie's `frames`, the sharpest first; numbered from
        `first` on.
        """
        found = lay_out(self.head, unprojector, self.pictures, list(self.pictures))
        take_out_light(self.head, atlas, found, photos=True)
        level = np.sqrt(_level(found, frames)).astype(np.float32)
        for number, layer in enumerate(found):
            layer.factor = layer.factor * level
            layer.index = first + number
        return found


def _level(photos: Sequence[Layer], frames: Sequence[Layer]) -> Array:
    """(3,) what brings the albedo of photos to that of frames, where both show the face."""
    ours, theirs = _albedo(photos), _albedo(frames)
    both = (ours > 1e-3).all(axis=2) & (theirs > 1e-3).all(axis=2)
    if np.count_nonzero(both) < _LEAST:
        return np.ones(3)
    return np.exp(np.median(np.log(theirs[both]) - np.log(ours[both]), axis=0))


def _albedo(layers: Sequence[Layer]) -> Array:
    """(COARSE, COARSE, 3) linear albedo that layers agree on, 0 where none shows it well."""
    roots, weights = zip(*(small(layer) for layer in layers), strict=True)
    known = np.stack(weights)[..., None] > 0.5
    values = np.stack([root * layer.factor for root, layer in zip(roots, layers, strict=True)])
    total = np.maximum(known.sum(axis=0), 1)
    return (np.where(known, values, 0).sum(axis=0) / total) ** 2
