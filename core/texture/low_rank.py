# SPDX-License-Identifier: GPL-3.0-or-later
"""A face track in few numbers: a mean picture and some that are added to it, each by its own amount.

The directions come from the products of all pairs of pictures (Sirovich 1987, "method of snapshots") at every
16th texel, their pictures from one pass over all texels. Needs only numpy: Blender shows what is stored here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .at_times import AtTimes

Array = np.ndarray

COMPONENTS = 16
"""Of a face that talks; beyond, they hold noise."""
SUBSAMPLE = 16
"""Of the texels, one in so many tells the directions: two texels of a face are seldom strangers."""
FEWEST = 4096
"""Texels that tell the directions of small pictures."""
STILL = 2
"""Texels that move by no more than so many levels over the whole take stay as in the mean."""
_BLOCK = 8192
_LEAST = 1e-6
"""Share of the variance under which a direction is numerical noise."""


@dataclass(frozen=True, eq=False)
class LowRank:
    """Pictures = mean + coefficients times components, rounded; all in 8-bit sRGB levels."""

    mean: Array
    """(s, s, 3) uint8."""
    index: Array
    """(n,) int32, rising: the texels that move, row times s plus column."""
    basis: Array
    """(k, n, 3) int8: component j is `scale[j] * basis[j]` levels."""
    scale: Array
    """(k,) float32."""
    coefficients: Array
    """(T, k) float32; each column has mean 0 and mean square 1 over the pictures it was made from."""

    @property
    def size(self) -> int:
        """s, px."""
        return self.mean.shape[0]

    @property
    def count(self) -> int:
        """K."""
        return len(self.basis)

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays, unpacked."""
        return sum(a.nbytes for a in (self.mean, self.index, self.basis, self.scale, self.coefficients))

    @property
    def energy(self) -> Array:
        """(k,) float64: squared levels that one unit of each component makes, summed over its texels."""
        squares = np.array([np.sum(b.astype(np.float32) ** 2, dtype=np.float64) for b in self.basis])
        return squares * self.scale.astype(np.float64) ** 2

    @cached_property
    def _components(self) -> Array:
        """(k, 3 n) float32 levels."""
        return self.basis.reshape(self.count, 3 * len(self.index)) * self.scale[:, None]

    @cached_property
    def _middle(self) -> Array:
        """(3 n,) float32 levels of the mean, and a half for rounding."""
        return self.mean.reshape(-1, 3)[self.index].astype(np.float32).ravel() + np.float32(0.5)

    def picture(self, coefficients: Array, out: Array | None = None) -> Array:
        """(s, s, 3) uint8 for (k,) coefficients; into `out` where it is given, whose other texels stay."""
        picture = self.mean.copy() if out is None else out
        moved = np.asarray(coefficients, np.float32) @ self._components
        moved += self._middle
        np.clip(moved, 0.0, 255.0, out=moved)
        picture.reshape(-1, 3)[self.index] = moved.astype(np.uint8).reshape(-1, 3)
        return picture


class LowRankCollector:
    """Takes the pictures of a track one by one, keeps some of them whole and a few texels of all, and solves.

    Memory is bounded: the whole pictures are at most `BASIS_PICTURES`, evenly over the take.
    """

    BASIS_PICTURES = 360
    SAMPLES = 150_000_000
    """Bytes of the few texels of all pictures together, at most."""

    def __init__(
        self, inside: Array, count: int, ground: Array | None = None, at_times: Array | None = None
    ) -> None:
        """inside: (s, s) bool, the texels worth keeping; count: T; ground: (s, s, 3) uint8, what the others
        are to show, by default as in the first picture; at_times: (m,) flat indices, rising, of texels that
        only some pictures know.
        """
        self._inside = np.flatnonzero(inside).astype(np.int32)
        self._size = inside.shape[0]
        whole = min(count, self.BASIS_PICTURES)
        self._whole = np.unique(np.rint(np.linspace(0, count - 1, whole)).astype(int))
        some = min(max(len(self._inside) // SUBSAMPLE, FEWEST), self.SAMPLES // (3 * max(count, 1)))
        shuffled = np.random.default_rng(0).permutation(len(self._inside))[:some]
        self._few = np.sort(shuffled)
        self._pictures = np.empty((len(self._whole), len(self._inside), 3), np.uint8)
        self._samples = np.empty((count, len(self._few), 3), np.uint8)
        self._outside = None if ground is None else ground.copy()
        self._at_times = AtTimes(self._inside, at_times, count, self._size)

    def add(self, number: int, picture: Array, known: Array | None = None) -> None:
        """Picture `number` of the take, (s, s, 3) uint8; known: (m,) bool of the texels `at_times`."""
        texels = picture.reshape(-1, 3)
        self._at_times.add(number, known)
        np.take(texels, self._inside[self._few], axis=0, out=self._samples[number], mode="clip")
        place = int(np.searchsorted(self._whole, number))
        if place < len(self._whole) and self._whole[place] == number:
            np.take(texels, self._inside, axis=0, out=self._pictures[place], mode="clip")
        if self._outside is None:
            self._outside = picture.copy()

    def solve(self, components: int = COMPONENTS) -> LowRank:
        """The best `components` for the whole pictures, and the coefficients of all of them."""
        assert self._outside is not None, "no picture was added"
        self._at_times.fill(self._samples, np.arange(len(self._samples)), self._few)
        guessed = self._at_times.fill(self._pictures, self._whole, np.arange(len(self._inside)))
        self._at_times.guess(self._pictures, guessed, self._outside.reshape(-1, 3))
        told = ~np.isin(self._few, guessed)
        if not told.all():
            self._few, self._samples = self._few[told], self._samples[:, told]
        mean = self._pictures.mean(axis=0, dtype=np.float32)
        chosen = self._samples[self._whole].reshape(len(self._whole), -1).astype(np.float32)
        amounts = directions(chosen - mean[self._few].ravel(), components)
        moving = np.flatnonzero(np.ptp(self._pictures, axis=0).max(axis=1) > STILL)
        basis, scale = quantised(self._project(amounts, mean, moving))
        picture = self._outside
        picture.reshape(-1, 3)[self._inside] = np.rint(mean)
        coefficients = self._coefficients(basis, scale, mean, moving)
        return LowRank(picture, self._inside[moving], basis, scale, coefficients)

    def true_db(self, texture: LowRank, most: int = 16) -> float:
        """Peak signal to noise, dB, where it moves, of up to `most` pictures as `texture` shows them."""
        if not len(texture.index):
            return float("inf")
        moving = np.searchsorted(self._inside, texture.index)
        chosen = np.unique(np.linspace(0, len(self._whole) - 1, most).astype(int))
        off = 0.0
        for place in chosen:
            shown = texture.picture(texture.coefficients[self._whole[place]]).reshape(-1, 3)[texture.index]
            off += float(np.mean((shown.astype(np.float32) - self._pictures[place, moving]) ** 2))
        return float(10.0 * np.log10(255.0**2 / max(off / len(chosen), 1e-6)))

    def _project(self, amounts: Array, mean: Array, moving: Array) -> Array:
        """(k, n, 3) float32: the components whose `amounts` (P, k) the whole pictures hold."""
        found = np.empty((amounts.shape[1], len(moving), 3), np.float32)
        for start in range(0, len(moving), _BLOCK):
            part = moving[start : start + _BLOCK]
            block = (self._pictures[:, part] - mean[part]).reshape(len(self._whole), -1)
            found[:, start : start + _BLOCK] = (amounts.T @ block).reshape(-1, len(part), 3)
        return found / len(self._whole)

    def _coefficients(self, basis: Array, scale: Array, mean: Array, moving: Array) -> Array:
        """(T, k) float32 by least squares over the few texels, with the components as they are stored."""
        if not len(basis):
            return np.zeros((len(self._samples), 0), np.float32)
        known = np.isin(self._few, moving)
        place = np.searchsorted(moving, self._few[known])
        rows = basis[:, place].reshape(len(basis), -1) * scale[:, None]
        gram = (rows @ rows.T).astype(np.float64) + 1e-9 * np.eye(len(rows))
        middle = mean[self._few[known]].ravel()
        found = np.empty((len(self._samples), len(rows)), np.float32)
        for start in range(0, len(found), 256):
            part = self._samples[start : start + 256, known].reshape(-1, len(middle)) - middle
            found[start : start + 256] = np.linalg.solve(gram, (part @ rows.T).T).T
        return found


def directions(pictures: Array, components: int) -> Array:
    """(P, k) float32 amounts, of mean square 1, of the components that explain most of the pictures (P, m),
    whose mean is 0; k is less than `components` where there is no more to explain.
    """
    gram = (pictures @ pictures.T).astype(np.float64)
    values, vectors = np.linalg.eigh(gram)
    kept = np.argsort(values)[::-1][:components]
    kept = kept[values[kept] > _LEAST * max(values.sum(), 1e-12)]
    sign = np.where(vectors[:, kept].sum(axis=0) < 0, -1.0, 1.0)
    return (vectors[:, kept] * sign * np.sqrt(len(pictures))).astype(np.float32)


def quantised(components: Array) -> tuple[Array, Array]:
    """int8 (k, n, 3) and scale (k,) of float components: the largest value becomes 127."""
    largest = np.abs(components).max(axis=(1, 2), initial=1e-6)
    scale = (largest / 127.0).astype(np.float32)
    return np.rint(components / scale[:, None, None]).astype(np.int8), scale


def low_rank(pictures: Array, inside: Array, components: int = COMPONENTS) -> LowRank:
    """Of pictures at hand, (T, s, s, 3) uint8; inside: (s, s) bool."""
    collector = LowRankCollector(inside, len(pictures))
    for number, picture in enumerate(pictures):
        collector.add(number, picture)
    return collector.solve(components)
