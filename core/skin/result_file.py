# SPDX-License-Identifier: GPL-3.0-or-later
"""result.npz: the published layout, ours with more in it, and the sparse form of it.

Published: rest (N, 3) minus its mean, quads (F, k), weights (N, P), restXform (P, 3, 4) identities that
nobody reads, shapeXform (3S, 4P) with row 3k + c and column 4j + d for N_kj[c, d]. Files of
maya_compskin have jointPositions too, which place joints and do not enter the deformation. Ours adds
`centre`, `shape_names`, both rig tables and `errors` as JSON text. The sparse form has, instead of the two
dense matrices, `weights_*` and `transforms_*`: starts, columns and values of compressed rows, one row for a
vertex or a shape; transforms have 6P columns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from ..files import write_npz
from .checks import faces_array, finite, names_tuple, numbers, read_members, require, single, text_of
from .compressed import CompressedSkin, matrices_of
from .rig_tables import checked_tables, table_of_text, table_text

NOUN = "compressed skinning result"
_AXES = ((2, 1), (0, 2), (1, 0))
LARGEST_DENSE = 2**29
"""Numbers of a sparse matrix that is written out; 2 GB."""


def write_result(path: Path, skin: CompressedSkin, sparse: bool) -> None:
    """Write a result, atomically."""
    shapes, bones = skin.n_shapes, skin.n_bones
    arrays = {"rest": skin.rest, "quads": skin.faces, "centre": np.asarray(skin.centre, np.float64)}
    if sparse:
        arrays |= {f"weights_{key}": a for key, a in _rows(skin.weights).items()}
        flat = skin.transforms.reshape(shapes, 6 * bones)
        arrays |= {f"transforms_{key}": a for key, a in _rows(flat).items()}
        arrays["n_bones"] = np.array(bones)
    else:
        matrices = skin.matrices().transpose(0, 2, 1, 3)
        arrays["weights"] = skin.weights
        arrays["restXform"] = np.tile(np.eye(3, 4), (bones, 1, 1))
        arrays["shapeXform"] = np.ascontiguousarray(matrices).reshape(3 * shapes, 4 * bones)
    arrays["inbetween_info"] = table_text(skin.inbetween_info)
    arrays["combination_info"] = table_text(skin.combination_info)
    arrays["errors"] = np.array(json.dumps(skin.errors, default=float))
    if skin.shape_names:
        arrays["shape_names"] = np.array(skin.shape_names)
    try:
        write_npz(path, arrays)
    except (OSError, ValueError) as problem:
        # numpy meets a full disk once more when it closes the archive, as a ValueError.
        disk = problem if isinstance(problem, OSError) else problem.__context__
        reason = disk.strerror if isinstance(disk, OSError) and disk.strerror else problem
        raise ModelError(f"{path} cannot be written: {reason}.", "Choose another place.") from problem


def read_result(path: Path) -> CompressedSkin:
    """Read a result; ModelError in one sentence for what is none."""
    members, name = read_members(path, NOUN), path.name
    sparse = "weights_starts" in members
    parts = ("starts", "columns", "values")
    matrices = [f"{which}_{part}" for which in ("weights", "transforms") for part in parts] + ["n_bones"]
    require(members, ["rest", "quads", *(matrices if sparse else ("weights", "shapeXform"))], name, NOUN)
    rest = single(numbers(members["rest"], (None, 3), f"rest of {name}"))
    if not len(rest):
        raise ModelError(f"{name} is empty: it has no vertices.")
    finite(rest, f"rest of {name}", ("vertex",))
    faces = faces_array(members["quads"], len(rest), f"quads of {name}")
    read = _sparse if sparse else _dense
    weights, transforms = read(members, len(rest), name)
    _check_weights(weights, name)
    finite(transforms, f"The transforms of {name}", ("shape", "bone"))
    centre = numbers(members.get("centre", np.zeros(3)), (3,), f"centre of {name}").astype(np.float64)
    finite(centre, f"centre of {name}", ("axis",))
    shapes = len(transforms)
    names = names_tuple(members.get("shape_names", ()), shapes, f"shape_names of {name}")
    tables = [_json(members, kind, name) for kind in ("inbetween_info", "combination_info")]
    inbetweens, combinations = checked_tables(tables[0], tables[1], shapes, name)
    errors = _json(members, "errors", name) or {}
    return CompressedSkin(rest, centre, faces, weights, transforms, names, inbetweens, combinations, errors)


def _json(members: Mapping[str, Any], key: str, name: str) -> dict[str, Any] | None:
    """A dict that is kept as text, None where there is none."""
    text = text_of(members, key)
    value = None if text is None else table_of_text(text, key, name)
    if value is not None and not isinstance(value, dict):
        raise ModelError(f"{key} of {name} is damaged: it is no table.")
    return value


def _dense(members: Mapping[str, Any], vertices: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(N, P) weights and (S, P, 6) transforms of the published layout."""
    weights = single(numbers(members["weights"], (vertices, None), f"weights of {name}"))
    bones = weights.shape[1]
    if not bones:
        raise ModelError(f"{name} is empty: it has no bones.")
    stacked = single(numbers(members["shapeXform"], (None, 4 * bones), f"shapeXform of {name}"))
    if not stacked.size or len(stacked) % 3:
        raise ModelError(f"shapeXform of {name} has {len(stacked)} rows; three for each shape are expected.")
    matrices = stacked.reshape(-1, 3, bones, 4).transpose(0, 2, 1, 3)
    finite(matrices, f"shapeXform of {name}", ("shape", "bone"))
    return weights, _six(matrices, name)


def _six(matrices: np.ndarray, name: str) -> np.ndarray:
    """(S, P, 6) of matrices (S, P, 3, 4) that are [r]x | t; ModelError for others, which six numbers cannot
    hold.
    """
    six = np.empty((*matrices.shape[:2], 6), np.float32)
    for axis, (row, column) in enumerate(_AXES):
        six[..., axis] = 0.5 * (matrices[..., row, column] - matrices[..., column, row])
    six[..., 3:] = matrices[..., 3]
    off = np.abs(matrices - matrices_of(six)).max(axis=(2, 3))
    if off.max() > 1e-5 * max(1.0, float(np.abs(six[..., :3]).max())):
        shape, bone = np.unravel_index(off.argmax(), off.shape)
        raise ModelError(
            f"shapeXform of {name} is not of this method: shape {shape} moves bone {bone} by a matrix that "
            "is no rotation and translation in first order.",
            "Results with general matrices cannot be read.",
        )
    return six


def _sparse(members: Mapping[str, Any], vertices: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(N, P) weights and (S, P, 6) transforms of the sparse form."""
    count = numbers(members["n_bones"], (), f"n_bones of {name}")
    bones = int(count) if count.dtype.kind in "iu" and 0 < count < 2**16 else 0
    shapes = len(numbers(members["transforms_starts"], (None,), f"transforms_starts of {name}")) - 1
    if not bones or shapes < 1 or bones * max(vertices, 6 * shapes) > LARGEST_DENSE:
        raise ModelError(f"{name} announces {count} bones and {shapes} shapes, which it cannot have.")
    weights = _filled(members, "weights", (vertices, bones), name)
    return weights, _filled(members, "transforms", (shapes, 6 * bones), name).reshape(shapes, bones, 6)


def _filled(members: Mapping[str, Any], which: str, shape: tuple[int, int], name: str) -> np.ndarray:
    """A matrix of compressed rows in full; ModelError where its parts do not fit."""
    starts = numbers(members[f"{which}_starts"], (shape[0] + 1,), f"{which}_starts of {name}")
    columns = numbers(members[f"{which}_columns"], (None,), f"{which}_columns of {name}")
    values = single(numbers(members[f"{which}_values"], columns.shape, f"{which}_values of {name}"))
    whole = starts.dtype.kind in "iu" and columns.dtype.kind in "iu"
    starts = starts.astype(np.int64)
    ordered = whole and starts[0] == 0 and starts[-1] == len(values) and (np.diff(starts) >= 0).all()
    if not ordered or (len(columns) and not (columns.min() >= 0 and columns.max() < shape[1])):
        raise ModelError(f"{which} of {name} is a sparse matrix whose parts do not fit.")
    dense = np.zeros(shape, np.float32)
    dense[np.repeat(np.arange(shape[0]), np.diff(starts)), columns] = values
    return dense


def _rows(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """A matrix by its rows: starts, columns and values of what is not zero."""
    row, column = np.nonzero(matrix)
    starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(matrix)))])
    kind = np.uint16 if matrix.shape[1] <= 2**16 else np.int32
    return {
        "starts": starts.astype(np.int32),
        "columns": column.astype(kind),
        "values": matrix[row, column].astype(np.float32),
    }


def _check_weights(weights: np.ndarray, name: str) -> None:
    """ModelError unless every row is not negative and sums to 1."""
    finite(weights, f"weights of {name}", ("vertex", "bone"))
    if weights.min() < 0:
        vertex, bone = np.argwhere(weights < 0)[0]
        raise ModelError(f"weights of {name} has a negative value, at vertex {vertex}, bone {bone}.")
    sums = weights.sum(axis=1, dtype=np.float64)
    worst = int(np.abs(sums - 1).argmax())
    if abs(sums[worst] - 1) > 1e-3:
        raise ModelError(f"weights of {name} sum to {sums[worst]:.4g} at vertex {worst}, and must sum to 1.")
