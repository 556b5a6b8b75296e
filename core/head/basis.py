# SPDX-License-Identifier: GPL-3.0-or-later
"""Linear bases of vertex displacements, in the three forms that are worth their memory.

All three answer the same two calls, so a head model neither knows nor cares which it holds:

- ``add_to(vertices, coefficients)`` adds ``sum_k coefficients[k] * delta[k]`` in place;
- ``delta(k)`` gives the rows and displacements of one shape.

Displacements are metres in the head frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

Array = np.ndarray


class Basis(Protocol):
    """What a head model asks of a basis of K shapes."""

    @property
    def count(self) -> int:
        """K, the number of shapes."""
        ...

    def add_to(self, vertices: Array, coefficients: Array) -> None:
        """Add the weighted shapes to `vertices` ((V, 3) float32), in place."""
        ...

    def delta(self, index: int) -> tuple[Array, Array]:
        """Rows ((n,) int) that shape `index` moves, and by how much ((n, 3) float32)."""
        ...

    def at(self, rows: Array) -> Array:
        """All shapes at a few rows ((n,) int) only, (K, n, 3) float32: what a fit to landmarks needs."""
        ...


@dataclass(frozen=True)
class SparseBasis:
    """Shapes that each move few vertices; the cost follows the shapes in use."""

    offsets: Array
    """(K + 1,) int64: shape k owns entries offsets[k]:offsets[k + 1]."""
    rows: Array
    """(n,) int32 vertex of each entry, unique within a shape."""
    deltas: Array
    """(n, 3) float32 displacement of each entry."""

    @property
    def count(self) -> int:
        """K, the number of shapes."""
        return len(self.offsets) - 1

    def add_to(self, vertices: Array, coefficients: Array) -> None:
        """Add the weighted shapes to `vertices` in place; see `Basis.add_to`."""
        for k in np.flatnonzero(coefficients):
            part = slice(self.offsets[k], self.offsets[k + 1])
            vertices[self.rows[part]] += np.float32(coefficients[k]) * self.deltas[part]

    def delta(self, index: int) -> tuple[Array, Array]:
        """What one shape moves; see `Basis.delta`."""
        part = slice(self.offsets[index], self.offsets[index + 1])
        return self.rows[part], self.deltas[part]

    def at(self, rows: Array) -> Array:
        """All shapes at a few rows; see `Basis.at`."""
        wanted, back = np.unique(rows, return_inverse=True)
        place = np.searchsorted(wanted, self.rows)
        hit = np.isin(self.rows, wanted)
        shape_of_entry = np.repeat(np.arange(self.count), np.diff(self.offsets))
        found = np.zeros((self.count, len(wanted), 3), np.float32)
        found[shape_of_entry[hit], place[hit]] = self.deltas[hit]
        return found[:, back]

    def to_dense(self) -> DenseBasis:
        """The same shapes over the union of the rows they move."""
        rows = np.unique(self.rows)
        matrix = np.zeros((self.count, len(rows), 3), np.float32)
        shape_of_entry = np.repeat(np.arange(self.count), np.diff(self.offsets))
        matrix[shape_of_entry, np.searchsorted(rows, self.rows)] = self.deltas
        return DenseBasis(rows, matrix)

    @staticmethod
    def from_dense(shapes: Array) -> SparseBasis:
        """From (K, V, 3) displacements, keeping the vertices that move."""
        moved = np.any(shapes != 0, axis=2)
        offsets = np.concatenate([[0], np.cumsum(moved.sum(axis=1))])
        shape_of_entry, rows = np.nonzero(moved)
        return SparseBasis(offsets, rows.astype(np.int32), shapes[shape_of_entry, rows].astype(np.float32))


@dataclass(frozen=True)
class DenseBasis:
    """Shapes that move the same rows; one matrix product evaluates all of them."""

    rows: Array
    """(n,) vertices the basis moves."""
    matrix: Array
    """(K, n, 3) float32."""

    @property
    def count(self) -> int:
        """K, the number of shapes."""
        return len(self.matrix)

    @cached_property
    def _flat(self) -> Array:
        return np.ascontiguousarray(self.matrix, np.float32).reshape(len(self.matrix), -1)

    def combine(self, coefficients: Array) -> Array:
        """The weighted sum on `rows`, (n, 3) float32."""
        return (np.asarray(coefficients, np.float32) @ self._flat).reshape(-1, 3)

    def add_to(self, vertices: Array, coefficients: Array) -> None:
        """Add the weighted shapes to `vertices` in place; see `Basis.add_to`."""
        vertices[self.rows] += self.combine(coefficients)

    def delta(self, index: int) -> tuple[Array, Array]:
        """What one shape moves; see `Basis.delta`."""
        return self.rows, self.matrix[index]

    def at(self, rows: Array) -> Array:
        """All shapes at a few rows; see `Basis.at`."""
        order = np.argsort(self.rows)
        place = np.minimum(np.searchsorted(self.rows, rows, sorter=order), len(order) - 1)
        column = order[place]
        hit = self.rows[column] == rows
        return self.matrix[:, column] * hit[None, :, None].astype(np.float32)


@dataclass(frozen=True)
class MirrorBasis:
    """Shapes that are symmetric about x = 0 but for a few entries: half the memory and half the time."""

    half: DenseBasis
    """The shapes on the rows of one side and of the midline."""
    partners: Array
    """(n,) mirrored row of each row of `half` (itself on the midline)."""
    remainder: SparseBasis
    """What symmetry leaves out, over the same K shapes."""

    @property
    def count(self) -> int:
        """K, the number of shapes."""
        return self.half.count

    def add_to(self, vertices: Array, coefficients: Array) -> None:
        """Add the weighted shapes to `vertices` in place; see `Basis.add_to`."""
        moved = self.half.combine(coefficients)
        vertices[self.half.rows] += moved
        paired = self.partners != self.half.rows
        vertices[self.partners[paired]] += moved[paired] * np.array([-1, 1, 1], np.float32)
        self.remainder.add_to(vertices, coefficients)

    def delta(self, index: int) -> tuple[Array, Array]:
        """What one shape moves; see `Basis.delta`."""
        size = int(max(self.half.rows.max(), self.partners.max())) + 1
        vertices = np.zeros((size, 3), np.float32)
        self.add_to(vertices, np.eye(1, self.count, index, dtype=np.float32)[0])
        rows = np.flatnonzero(np.any(vertices != 0, axis=1))
        return rows, vertices[rows]

    def at(self, rows: Array) -> Array:
        """All shapes at a few rows; see `Basis.at`."""
        paired = self.partners != self.half.rows
        other = DenseBasis(self.partners[paired], self.half.matrix[:, paired])
        mirrored = other.at(rows) * np.array([-1, 1, 1], np.float32)
        return self.half.at(rows) + mirrored + self.remainder.at(rows)


@dataclass(frozen=True)
class StackedBasis:
    """Several bases one after the other; coefficients are split in the same order."""

    parts: tuple[Basis, ...]

    @property
    def count(self) -> int:
        """K, the number of shapes."""
        return sum(part.count for part in self.parts)

    def add_to(self, vertices: Array, coefficients: Array) -> None:
        """Add the weighted shapes to `vertices` in place; see `Basis.add_to`."""
        start = 0
        for part in self.parts:
            part.add_to(vertices, coefficients[start : start + part.count])
            start += part.count

    def delta(self, index: int) -> tuple[Array, Array]:
        """What one shape moves; see `Basis.delta`."""
        for part in self.parts:
            if index < part.count:
                return part.delta(index)
            index -= part.count
        raise IndexError(f"shape {index} is past the last of {self.count}")

    def at(self, rows: Array) -> Array:
        """All shapes at a few rows; see `Basis.at`."""
        return np.concatenate([part.at(rows) for part in self.parts])
