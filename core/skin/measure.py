# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a compressed skin is from the shapes it stands for: over shapes, over frames, in detail.

All lengths are in the unit of the model. Products are float32 (BLAS), sums float64, and work goes in blocks
of shapes, so that nothing is larger than the shapes themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .problem import Problem

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from .compressed import CompressedSkin
    from .model_data import BlendshapeModelData

_BLOCK = 4_000_000
"""Numbers in a block of residuals, 16 MB."""


class FrameErrors(NamedTuple):
    """Distances between the vertices of the shapes and of the compressed skin, over an animation."""

    mean: np.ndarray
    """(T,) over the vertices of a frame."""
    worst: np.ndarray
    """(T,) the largest of a frame."""
    per_vertex: np.ndarray
    """(N,) the largest of each vertex over all frames."""


def laplacian_pairs(faces: np.ndarray) -> np.ndarray:
    """(E, 2) int32 neighbouring vertices, a < b, each pair once, of faces (F, k) padded with -1.

    Triangles and quads count as simplices, so a quad's diagonals are neighbours too, as in the published code
    (`igl.adjacency_matrix`). Larger polygons give their edges.
    """
    faces = np.asarray(faces)
    corners = (faces >= 0).sum(axis=1) if faces.size else np.zeros(0, int)
    found = [np.zeros((0, 2), np.int64)]
    for count in np.unique(corners):
        group = faces[corners == count].astype(np.int64)
        steps = range(1, count) if count <= 4 else (1,)
        found += [np.stack([group[:, i], group[:, (i + d) % count]], 1) for d in steps for i in range(count)]
    pairs = np.sort(np.concatenate(found), axis=1)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return np.unique(pairs, axis=0).astype(np.int32)


def laplacian(pairs: np.ndarray, n: int) -> csr_matrix:
    """(n, n) float32 uniform Laplacian D^-1 (Adj - D); the row of a vertex without neighbours is zero."""
    from scipy import sparse

    a, b = np.asarray(pairs, np.int64).reshape(-1, 2).T
    degree = np.bincount(np.concatenate([a, b]), minlength=n)
    rows, columns = np.concatenate([a, b]), np.concatenate([b, a])
    ones = np.flatnonzero(degree)
    values = np.concatenate([1.0 / degree[rows], np.full(ones.size, -1.0)]).astype(np.float32)
    where = (np.concatenate([rows, ones]), np.concatenate([columns, ones]))
    return sparse.csr_matrix((values, where), shape=(n, n))


def spread(weights: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """(N, 4P) float32, the paper's X transposed: column 4j + d is weight j times (rest, 1)[d]."""
    n, bones = weights.shape
    homogeneous = np.ones((n, 4), np.float32)
    homogeneous[:, :3] = rest
    return (np.asarray(weights, np.float32)[:, :, None] * homogeneous[:, None, :]).reshape(n, 4 * bones)


def transform_rows(transforms: np.ndarray) -> np.ndarray:
    """(3S, 4P) float32, the paper's B, of transforms (S, P, 6): row 3k + c, column 4j + d is N_kj[c, d]."""
    shapes, bones = transforms.shape[:2]
    rx, ry, rz, tx, ty, tz = np.moveaxis(np.asarray(transforms, np.float32), -1, 0)
    blocks = np.zeros((shapes, 3, bones, 4), np.float32)
    blocks[:, 0, :, 1], blocks[:, 0, :, 2], blocks[:, 0, :, 3] = -rz, ry, tx
    blocks[:, 1, :, 0], blocks[:, 1, :, 2], blocks[:, 1, :, 3] = rz, -rx, ty
    blocks[:, 2, :, 0], blocks[:, 2, :, 1], blocks[:, 2, :, 3] = -ry, rx, tz
    return blocks.reshape(3 * shapes, 4 * bones)


def errors(problem: Problem, weights: np.ndarray, transforms: np.ndarray) -> dict[str, float]:
    """What weights (N, P) and transforms (S, P, 6) miss of a problem.

    `mae`, `mxe` and `rmse` are over components, as in the paper; `lap_rms` is the rms of their Laplacian;
    `mean`, `p999` (99.9th percentile) and `max` are of the distances of every (shape, vertex).
    """
    deltas = problem.deltas.reshape(problem.n_shapes, 3, -1).transpose(0, 2, 1)
    return _errors(deltas, problem.rest, problem.pairs, weights, transforms)


def errors_of(model: BlendshapeModelData, skin: CompressedSkin) -> dict[str, float]:
    """What a compressed skin misses of its model: the numbers of `errors`."""
    pairs = laplacian_pairs(model.rest_faces)
    return _errors(model.deltas, skin.rest, pairs, skin.weights, skin.transforms)


def _errors(
    deltas: np.ndarray, rest: np.ndarray, pairs: np.ndarray, weights: np.ndarray, transforms: np.ndarray
) -> dict[str, float]:
    """The numbers of `errors`, of deltas (S, N, 3)."""
    shapes, n = deltas.shape[:2]
    smooth = laplacian(pairs, n)
    total = squares = bends = largest = 0.0
    lengths = np.empty((shapes, n), np.float32)
    for block, residual in _residuals(deltas, rest, weights, transforms):
        size = np.abs(residual)
        total += float(size.sum(dtype=np.float64))
        largest = max(largest, float(size.max(initial=0.0)))
        squares += float(np.square(size, out=size).sum(dtype=np.float64))
        lengths[block] = np.sqrt(size.reshape(n, -1, 3).sum(axis=2)).T
        bends += float(np.square(smooth @ residual).sum(dtype=np.float64))
    count = max(3 * shapes * n, 1)
    return {
        "mae": total / count,
        "mxe": largest,
        "rmse": float(np.sqrt(squares / count)),
        "lap_rms": float(np.sqrt(bends / count)),
        "mean": float(lengths.mean(dtype=np.float64)) if lengths.size else 0.0,
        "p999": float(np.quantile(lengths, 0.999)) if lengths.size else 0.0,
        "max": float(lengths.max(initial=0.0)),
    }


def _residuals(
    deltas: np.ndarray, rest: np.ndarray, weights: np.ndarray, transforms: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of shapes with the error of each: (N, 3s), column 3k + c."""
    shapes, n = deltas.shape[:2]
    columns = spread(weights, rest)
    step = max(1, _BLOCK // max(3 * n, 1))
    for start in range(0, shapes, step):
        block = slice(start, min(start + step, shapes))
        residual = columns @ transform_rows(transforms[block]).T
        residual.reshape(n, -1, 3)[:] -= deltas[block].transpose(1, 0, 2)
        yield block, residual


def frame_errors(model: BlendshapeModelData, skin: CompressedSkin, coefficients: np.ndarray) -> FrameErrors:
    """Distances over an animation with shape coefficients (T, S)."""
    frames, n = len(coefficients), model.deltas.shape[1]
    columns, flat = spread(skin.weights, skin.rest), model.deltas.reshape(model.deltas.shape[0], -1)
    mean, worst, per_vertex = np.zeros(frames), np.zeros(frames), np.zeros(n)
    step = max(1, _BLOCK // max(3 * n, 1))
    for start in range(0, frames, step):
        part = np.asarray(coefficients[start : start + step], np.float32)
        posed = np.tensordot(part, skin.transforms, axes=1)
        residual = columns @ transform_rows(posed).T
        residual = residual.reshape(n, -1, 3) - (part @ flat).reshape(-1, n, 3).transpose(1, 0, 2)
        lengths = np.sqrt(np.square(residual).sum(axis=2))
        block = slice(start, start + len(part))
        mean[block] = lengths.mean(axis=0, dtype=np.float64)
        worst[block] = lengths.max(axis=0, initial=0.0)
        per_vertex = np.maximum(per_vertex, lengths.max(axis=1, initial=0.0))
    return FrameErrors(mean, worst, per_vertex)
