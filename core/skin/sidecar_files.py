# SPDX-License-Identifier: GPL-3.0-or-later
"""A sidecar's two files, written, and read without trust."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from ..files import atomic_path, read_json, read_npz, write_npz
from .sidecar import GLTF_AXES, MODEL_AXES, Sidecar, sidecar_paths

FORMAT, VERSION = "likeness-skin", 1
AXES_NOTE = {
    MODEL_AXES: "the model's own coordinates",
    GLTF_AXES: "glTF: Y up, right-handed, the space of the mesh's vertices; (x, z, -y) of Blender's",
}
MOST = {"bones": 4096, "shapes": 65536, "vertices": 20_000_000, "influences": 64, "rows": 1_000_000}
"""More is no sidecar of ours."""
_ARRAYS = ("pivots", "centre", "indptr", "indices", "values")
_MESH = ("rest", "joints", "weights")


def write(sidecar: Sidecar, path: Path) -> tuple[Path, Path]:
    """Write both files beside `path`, each beside its target first; returns their paths."""
    text_path, array_path = sidecar_paths(path)
    arrays = {name: np.asarray(getattr(sidecar, name)) for name in _ARRAYS}
    head = _head(sidecar)
    lists = {name: _numbers(value) for name, value in arrays.items()}
    mesh = {name: getattr(sidecar, name) for name in _MESH if getattr(sidecar, name) is not None}
    try:
        _write_text(text_path, head | lists)
        write_npz(array_path, {"header": np.array(json.dumps(head)), **arrays, **mesh})
    except OSError as problem:
        raise ModelError(
            f"{text_path.parent} cannot be written: {problem.strerror}.", "Choose another place."
        ) from problem
    return text_path, array_path


def _head(sidecar: Sidecar) -> dict[str, Any]:
    """All that is no array."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "mesh": sidecar.mesh,
        "axes": sidecar.axes,
        "axes_note": AXES_NOTE.get(sidecar.axes, ""),
        "unit_in_metres": sidecar.unit_in_metres,
        "errors": {name: value for name, value in sidecar.errors.items() if math.isfinite(value)},
        "controls": sidecar.n_controls,
        "shape_names": list(sidecar.shape_names),
        "bone_names": list(sidecar.bone_names),
        "parents": list(sidecar.parents),
        "inbetweens": [list(row) for row in sidecar.inbetweens],
        "combinations": [list(row) for row in sidecar.combinations],
    }


def _numbers(array: np.ndarray) -> Any:
    """Nested lists; float32 in as few digits as give it back exactly."""
    if array.dtype != np.float32:
        return array.tolist()
    return [_numbers(row) for row in array] if array.ndim > 1 else [float(str(value)) for value in array]


def _write_text(path: Path, document: dict[str, Any]) -> None:
    """JSON with one line for each entry: readable, and without a line for each number."""
    lines = [f"  {json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in document.items()]
    with atomic_path(path) as beside:
        beside.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read(path: Path) -> Sidecar:
    """Either file, checked. ModelError for what is none, damaged, or from a newer version."""
    if path.suffix.lower() == ".npz":
        arrays = read_npz(path, ModelError)
        try:
            head = json.loads(str(arrays.get("header", "")))
        except (ValueError, RecursionError):
            raise _bad(path, "it has no header") from None
    else:
        head = read_json(path, ModelError)
        arrays = head if isinstance(head, dict) else {}
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise _bad(path, f"it does not say that its format is {FORMAT}")
    if head.get("version") != VERSION:
        raise ModelError(
            f"{path.name} has version {head.get('version')!r:.20}, and this reads version {VERSION}.",
            "Update Likeness, or export again.",
        )
    return _checked(head, arrays, path)


def _bad(path: Path, why: str) -> ModelError:
    return ModelError(f"{path.name} is no sidecar of a compressed skin: {why}.", "Export it again.")


def _checked(head: dict[str, Any], arrays: dict[str, Any], path: Path) -> Sidecar:
    """The sidecar of a header and arrays that agree."""
    bones, shapes = (_names(head, name, path) for name in ("bone_names", "shape_names"))
    parents = _names(head, "parents", path, unique=False)
    if parents and len(parents) != len(bones):
        raise _bad(path, f"it names {len(bones)} bones and {len(parents)} parents")
    count = head.get("controls")
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= len(shapes):
        raise _bad(path, "its number of controls is not within its shapes")
    axes, mesh, unit = head.get("axes"), head.get("mesh", ""), head.get("unit_in_metres")
    if axes not in AXES_NOTE or not isinstance(mesh, str):
        raise _bad(path, "its axes or its mesh is not named")
    if unit is not None and not (_finite(unit) and unit > 0):
        raise _bad(path, "its unit is no length")
    indptr, indices, values = _matrix(arrays, len(bones), len(shapes), path)
    rest, joints, weights = _mesh(arrays, len(bones), path)
    return Sidecar(
        bone_names=bones,
        pivots=_array(arrays, "pivots", (len(bones), 3), path),
        centre=_array(arrays, "centre", (3,), path, np.float64),
        shape_names=shapes,
        n_controls=count,
        indptr=indptr,
        indices=indices,
        values=values,
        inbetweens=_rows(head, "inbetweens", (2, 5), count, len(shapes), path),
        combinations=_rows(head, "combinations", (None, None), count, len(shapes), path),
        axes=axes,
        unit_in_metres=unit,
        mesh=mesh,
        parents=parents,
        errors=_errors(head, path),
        rest=rest,
        joints=joints,
        weights=weights,
    )


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _names(head: dict[str, Any], key: str, path: Path, unique: bool = True) -> tuple[str, ...]:
    names = head.get(key)
    if not isinstance(names, list) or len(names) > MOST["shapes"]:
        raise _bad(path, f"{key} is no list of names")
    if not all(isinstance(name, str) and len(name) < 256 for name in names):
        raise _bad(path, f"{key} is no list of names")
    if key == "bone_names" and len(names) > MOST["bones"]:
        raise _bad(path, f"it has more than {MOST['bones']} bones")
    if unique and len(set(names)) != len(names):
        raise _bad(path, f"{key} has a name twice")
    return tuple(names)


def _array(
    arrays: dict[str, Any], key: str, shape: tuple[int, ...], path: Path, kind: type = np.float32
) -> np.ndarray:
    """Finite numbers of a given shape, -1 standing for any length."""
    try:
        array = np.asarray(arrays[key])
    except KeyError:
        raise _bad(path, f"{key} is missing") from None
    except ValueError:
        raise _bad(path, f"{key} has rows of different lengths") from None
    if array.size == 0 and math.prod(shape) <= 0:
        array = array.reshape([max(n, 0) for n in shape]).astype(kind)
    fits = [want in (-1, n) for want, n in zip(shape, array.shape, strict=False)]
    if len(shape) != array.ndim or not all(fits):
        raise _bad(path, f"{key} has the shape {array.shape}, not {shape}")
    if array.dtype.kind not in ("iu" if issubclass(kind, np.integer) else "iuf"):
        raise _bad(path, f"{key} holds no numbers of its kind")
    out = array.astype(np.int64 if issubclass(kind, np.integer) else np.float64)
    limit = np.iinfo(np.int32).max if issubclass(kind, np.integer) else np.finfo(np.float32).max
    if not np.isfinite(out).all() or (np.abs(out) > limit).any():
        raise _bad(path, f"{key} has numbers that are not finite")
    return out.astype(kind)


def _matrix(
    arrays: dict[str, Any], bones: int, shapes: int, path: Path
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """indptr, indices and values that make a sparse matrix of 6P rows and S columns."""
    indptr = _array(arrays, "indptr", (6 * bones + 1,), path, np.int32)
    indices = _array(arrays, "indices", (-1,), path, np.int32)
    values = _array(arrays, "values", (len(indices),), path)
    if indptr[0] != 0 or indptr[-1] != len(indices) or (np.diff(indptr) < 0).any():
        raise _bad(path, "indptr does not rise from 0 to the number of values")
    if len(indices) and not (indices.min() >= 0 and indices.max() < shapes):
        raise _bad(path, f"indices point outside of its {shapes} shapes")
    return indptr, indices, values


def _mesh(
    arrays: dict[str, Any], bones: int, path: Path
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """rest, joints and weights, all or none."""
    if not any(name in arrays for name in _MESH):
        return None, None, None
    rest = _array(arrays, "rest", (-1, 3), path)
    joints = _array(arrays, "joints", (len(rest), -1), path, np.int32)
    weights = _array(arrays, "weights", joints.shape, path)
    if joints.size and not (joints.min() >= 0 and joints.max() < bones):
        raise _bad(path, f"joints point outside of its {bones} bones")
    return rest, joints, weights


def _rows(
    head: dict[str, Any],
    key: str,
    form: tuple[int | None, int | None],
    controls: int,
    shapes: int,
    path: Path,
) -> tuple[tuple[Any, ...], ...]:
    """Rows of a rig's table: `form` is the number of columns in a row and its length, None for all of it.

    The first column is an output, and outputs are no controls.
    """
    rows = head.get(key, [])
    if not isinstance(rows, list) or len(rows) > MOST["rows"]:
        raise _bad(path, f"{key} is no list")
    columns, length = form
    for row in rows:
        if not isinstance(row, list) or len(row) < 2 or len(row) > 65 or length not in (None, len(row)):
            raise _bad(path, f"{key} has a row of another length")
        if not all(type(value) is int and 0 <= value < shapes for value in row[:columns]):
            raise _bad(path, f"{key} points outside of its {shapes} shapes")
        if row[0] < controls:
            raise _bad(path, f"{key} would set a control")
        if columns is not None and not (all(map(_finite, row[2:])) and row[2] <= row[3] <= row[4]):
            raise _bad(path, f"{key} has a row without three rising places")
    return tuple(tuple(row) for row in rows)


def _errors(head: dict[str, Any], path: Path) -> dict[str, float]:
    errors = head.get("errors", {})
    if not isinstance(errors, dict) or not all(_finite(value) for value in errors.values()):
        raise _bad(path, "its errors are no numbers")
    return {str(name): float(value) for name, value in errors.items()}
