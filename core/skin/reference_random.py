# SPDX-License-Identifier: GPL-3.0-or-later
"""The normal numbers that torch's CPU generator gives for a seed, so that a run starts as the published one.

torch draws all uniform numbers first (24 bits of each word of a Mersenne twister) and turns them, 16 at a
time, into normal ones by Box and Muller: the first eight are radii, the last eight their angles.
"""

from __future__ import annotations

import math

import numpy as np

_GROUP = 16


class TorchRandom:
    """As after `torch.manual_seed(seed)`, but for last bits of logarithm, sine and cosine, which in
    torch too differ between processors.
    """

    def __init__(self, seed: int) -> None:
        self._words = np.random.RandomState(seed & 0xFFFFFFFF)

    def randn(self, *shape: int) -> np.ndarray:
        """`torch.randn(shape)`, float32, of at least 16 numbers."""
        count = math.prod(shape)
        uniform = self._uniform(max(count, _GROUP))
        whole = count - count % _GROUP if count > _GROUP else _GROUP
        normal = np.concatenate([_box_muller(uniform[:whole]), uniform[whole:]])
        if count % _GROUP and count > _GROUP:
            # torch fills the last group anew, over numbers that it had made already.
            normal[-_GROUP:] = _box_muller(self._uniform(_GROUP))
        return normal[:count].reshape(shape)

    def _uniform(self, count: int) -> np.ndarray:
        """(count,) float32 in [0, 1)."""
        words = self._words.randint(0, 1 << 32, count, dtype=np.uint32)
        return (words & np.uint32(0xFFFFFF)).astype(np.float32) * np.float32(2.0**-24)


def _box_muller(uniform: np.ndarray) -> np.ndarray:
    """Normal numbers of uniform ones, in groups of 16; every step is rounded to float32, as torch's is."""
    first, second = uniform.reshape(-1, 2, _GROUP // 2).transpose(1, 0, 2)
    logarithm = np.log((np.float32(1) - first).astype(np.float64)).astype(np.float32)
    radius = np.sqrt(np.float32(-2) * logarithm)
    angle = (np.float32(2 * np.pi) * second).astype(np.float64)
    cosine, sine = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    return np.stack([radius * cosine, radius * sine], axis=1).reshape(-1)
