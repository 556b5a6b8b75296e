# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses of a compressed face, with numpy alone.

The six numbers of a motion N = [r]x | t are blended first, g_i = sum_j w_ij sum_k c_k (r, t)_kj, since
sum_j w_ij N_j [v, 1] = g_r x v + g_t; no matrix is needed.
"""

from __future__ import annotations

import numpy as np

from .compressed import CompressedSkin, matrices_of


def bone_matrices(skin: CompressedSkin, coefficients: np.ndarray) -> np.ndarray:
    """(T, P, 3, 4) float64 motions of the bones, I + sum_k c_k N_kj, in centred coordinates.

    `coefficients` (T, S) are those of all shapes, as `compute_rig_logic` gives them.
    """
    flat = skin.transforms.reshape(skin.n_shapes, -1).astype(np.float64)
    six = (np.asarray(coefficients, np.float64) @ flat).reshape(-1, skin.n_bones, 6)
    matrices = matrices_of(six)
    matrices[..., :3] += np.eye(3)
    return matrices


def evaluate(skin: CompressedSkin, coefficients: np.ndarray) -> np.ndarray:
    """(T, N, 3) float32 vertices in the model's own coordinates."""
    player = Player(skin)
    frames = np.empty((len(coefficients), skin.n_vertices, 3), np.float32)
    for frame, row in zip(frames, np.asarray(coefficients, np.float32), strict=True):
        frame[:] = player.frame(row)
    return frames


class Player:
    """Frame after frame of one face, without making arrays anew."""

    def __init__(self, skin: CompressedSkin, sparse: bool = False) -> None:
        """`sparse`: the coefficients by what is not zero, and only the bones that move a vertex."""
        self._shapes = skin.n_shapes
        self._centred = np.ascontiguousarray(skin.rest.T)
        self._rest = np.ascontiguousarray((skin.rest + skin.centre).T, np.float32)
        self._bones = _SparseBones(skin) if sparse else _DenseBones(skin)
        self._blend = _SparseBlend(skin) if sparse else _DenseBlend(skin)
        self._out = np.empty((skin.n_vertices, 3), np.float32)
        self._column, self._product = (np.empty(skin.n_vertices, np.float32) for _ in range(2))

    def frame(self, coefficients: np.ndarray) -> np.ndarray:
        """(N, 3) float32 vertices in the model's coordinates for (S,) coefficients of all shapes.

        The array is the player's own: the next frame overwrites it.
        """
        given = np.ascontiguousarray(coefficients, np.float32)
        if given.shape != (self._shapes,):
            raise ValueError(f"{given.shape} coefficients for {self._shapes} shapes")
        motion = self._blend(self._bones(given))
        for axis, (y, z) in enumerate(((1, 2), (2, 0), (0, 1))):
            np.multiply(motion[y], self._centred[z], out=self._column)
            np.multiply(motion[z], self._centred[y], out=self._product)
            self._column -= self._product
            self._column += motion[3 + axis]
            np.add(self._column, self._rest[axis], out=self._out[:, axis])
        return self._out


class _DenseBones:
    """(6, P) motions of the bones: one product of a vector with the whole matrix."""

    def __init__(self, skin: CompressedSkin) -> None:
        by_number = skin.transforms.transpose(2, 1, 0).reshape(6 * skin.n_bones, skin.n_shapes)
        self._matrix = np.ascontiguousarray(by_number)
        self._out = np.empty((6, skin.n_bones), np.float32)

    def __call__(self, coefficients: np.ndarray) -> np.ndarray:
        np.matmul(self._matrix, coefficients, out=self._out.reshape(-1))
        return self._out


class _SparseBones:
    """(6, P) motions of the bones from what is not zero, in compressed rows."""

    def __init__(self, skin: CompressedSkin) -> None:
        by_number = skin.transforms.transpose(2, 1, 0).reshape(6 * skin.n_bones, skin.n_shapes)
        row, self._shape = np.nonzero(by_number)
        self._value = np.ascontiguousarray(by_number[row, self._shape])
        # `reduceat` gives a row without values the next one's first, so only rows with values are asked.
        self._filled, self._start = np.unique(row, return_index=True)
        self._terms = np.empty(len(self._value), np.float32)
        self._out = np.zeros((6, skin.n_bones), np.float32)

    def __call__(self, coefficients: np.ndarray) -> np.ndarray:
        if len(self._value):
            np.take(coefficients, self._shape, out=self._terms, mode="clip")
            self._terms *= self._value
            self._out.reshape(-1)[self._filled] = np.add.reduceat(self._terms, self._start)
        return self._out


class _DenseBlend:
    """(6, N) motions of the vertices: one product of two matrices."""

    def __init__(self, skin: CompressedSkin) -> None:
        self._weights = np.ascontiguousarray(skin.weights.T)
        self._out = np.empty((6, skin.n_vertices), np.float32)

    def __call__(self, bones: np.ndarray) -> np.ndarray:
        return np.matmul(bones, self._weights, out=self._out)


class _SparseBlend:
    """(6, N) motions of the vertices, gathered from at most K bones each."""

    def __init__(self, skin: CompressedSkin) -> None:
        most = max(skin.max_influences, 1)
        order = np.argsort(-skin.weights, axis=1, kind="stable")[:, :most]
        self._bone = np.ascontiguousarray(order.T)
        self._weight = np.ascontiguousarray(np.take_along_axis(skin.weights, order, axis=1).T)
        self._out = np.empty((6, skin.n_vertices), np.float32)
        self._part = np.empty_like(self._out)

    def __call__(self, bones: np.ndarray) -> np.ndarray:
        for rank, (bone, weight) in enumerate(zip(self._bone, self._weight, strict=True)):
            target = self._part if rank else self._out
            np.take(bones, bone, axis=1, out=target, mode="clip")
            target *= weight
            if rank:
                self._out += target
        return self._out
