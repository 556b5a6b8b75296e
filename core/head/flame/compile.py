# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME as a `HeadModel` file: what every other part of Likeness reads, with FLAME's own arrays beside it.

The head frame's origin is between the person's ears (see `FlameModel.origin_rows`), FLAME's is not. Where the
ears are follows the shape linearly, so `origin` gives the offset of any person and parameters convert
exactly.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ...errors import ModelError
from ...files import read_npz
from ..basis import DenseBasis
from ..components import components
from ..model import HeadModel
from ..phenotype import LinearParameters
from ..storage import save_linear
from ..unwrap import EYES, cylinder_uv, disc_uv
from .files import read_flame
from .model import EYE_LEFT, EYE_RIGHT, JAW, JOINTS, NECK, PARENTS, ROOT, VARIANTS, FlameModel

Array = np.ndarray

_LARGEST_COMPILED = 512 << 20
_MARK = "flame.variant"


def compile_flame(source: Path, target: Path, variant: str | None = None) -> FlameModel:
    """Read a FLAME file and write it as a head model; gives what was read."""
    model = read_flame(source, variant)
    save_flame(target, model)
    return model


def load_flame(path: Path, variant: str | None = None) -> FlameModel:
    """A `FlameModel` from a compiled head model or from the published file; ModelError for anything else."""
    try:
        with path.open("rb") as stream:
            is_archive = stream.read(4) == b"PK\x03\x04"
    except OSError as problem:
        raise ModelError(f"{path} cannot be read ({problem.strerror or problem}).") from problem
    if is_archive:
        arrays = read_npz(path, ModelError, limit=_LARGEST_COMPILED)
        if _MARK in arrays:
            return _from_compiled(path, arrays)
        if "header" in arrays:
            raise ModelError(f"{path.name} is a head model, but not FLAME.")
    return read_flame(path, variant)


def is_compiled_flame(path: Path) -> str | None:
    """The release of a compiled FLAME model, without reading the rest of it; None for another file."""
    try:
        with zipfile.ZipFile(path) as archive:
            data = archive.read(f"{_MARK}.npy") if f"{_MARK}.npy" in archive.namelist() else b""
        variant = str(np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)) if data else ""
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, NotImplementedError):
        return None
    return variant if variant in VARIANTS else None


def save_flame(target: Path, model: FlameModel) -> None:
    """Write the head model of a FLAME release, with all that the two forward passes need."""
    extra: dict[str, Array] = {
        _MARK: np.array(model.variant),
        "flame.template": model.template,
        "flame.correctives": model.correctives,
        "flame.weights": model.weights,
        "flame.regressor": model.regressor,
        "flame.sha256": np.array(model.sha256),
    }
    for name in ("blink", "jaw_regressor"):
        if getattr(model, name) is not None:
            extra[f"flame.{name}"] = getattr(model, name)
    save_linear(target, head_model(model), model.shapes, model.expressions, extra)


def head_model(model: FlameModel) -> HeadModel:
    """The release as a `HeadModel`: 300 identity parameters, 100 expressions, the jaw and the eyes as joints.

    Its own skinning has no pose correctives; `forward` has them. In the release without a jaw, expressions
    open the mouth, so its third joint has neither the name nor the role of a jaw there.
    """
    joints = model.regressor @ model.template
    origin = origin_of(model, np.zeros(0))
    parts, names = _parts(model)
    heads, head_weights = _sparse_rows(model.regressor)
    tails, tail_weights = _tails(model)
    order = np.argsort(-model.weights, axis=1, kind="stable")
    every = np.arange(len(model.template))
    return HeadModel(
        name="flame",
        template=(model.template - origin).astype(np.float32),
        visible_count=len(model.template),
        identity=DenseBasis(every, model.shapes),
        parameters=LinearParameters(tuple(f"identity_{i:03d}" for i in range(len(model.shapes)))),
        expression=DenseBasis(every, model.expressions),
        expression_names=tuple(f"expression_{i:03d}" for i in range(len(model.expressions))),
        faces=np.c_[model.faces, np.full(len(model.faces), -1)].astype(np.int32),
        uv=_uv(model, parts, joints),
        face_part=parts,
        part_names=names,
        joint_names=JOINTS if model.has_jaw else tuple("unused" if n == "jaw" else n for n in JOINTS),
        joint_parents=np.array(PARENTS),
        head_rows=heads,
        head_weights=head_weights,
        tail_rows=tails,
        tail_weights=tail_weights,
        rolls=np.zeros(len(JOINTS)),
        skin_joints=order.astype(np.uint8),
        skin_weights=np.take_along_axis(model.weights, order, axis=1).astype(np.float32),
        origin_rows=model.origin_rows(),
        roles={
            "root": "root",
            "head": "neck",
            "neck": ("neck",),
            "eye_left": "eye_left",
            "eye_right": "eye_right",
            **({"jaw": "jaw"} if model.has_jaw else {}),
        },
        provenance={
            "source": "FLAME",
            "flame_variant": model.variant,
            "source_sha256": model.sha256,
            "licence": "that of the user's FLAME file",
        },
    )


def origin_of(model: FlameModel, shape: Array) -> Array:
    """(3,) float64 metres: the head frame's origin in FLAME's frame for a person of these coefficients
    ((S,)): p_flame = p_head + origin.
    """
    rows = model.origin_rows()
    moved = np.tensordot(shape, model.shapes[: len(shape), rows].astype(np.float64), 1) if len(shape) else 0.0
    return (model.template[rows] + moved).mean(axis=0) * np.array([0.0, 1.0, 1.0])


def _from_compiled(path: Path, arrays: dict[str, Array]) -> FlameModel:
    try:
        return FlameModel(
            variant=str(arrays[_MARK]),
            template=arrays["flame.template"],
            shapes=arrays["identity"],
            expressions=arrays["expression.dense"],
            correctives=arrays["flame.correctives"],
            weights=arrays["flame.weights"],
            regressor=arrays["flame.regressor"],
            faces=arrays["faces"][:, :3],
            sha256=str(arrays["flame.sha256"]),
            blink=arrays.get("flame.blink"),
            jaw_regressor=arrays.get("flame.jaw_regressor"),
        )
    except (KeyError, ValueError, IndexError) as problem:
        raise ModelError(f"{path} is damaged ({problem}).", "Import the FLAME file again.") from problem


def _parts(model: FlameModel) -> tuple[Array, tuple[str, ...]]:
    """(F,) part of each face: the eyeballs are the connected pieces that ride on an eye joint."""
    piece = components(len(model.template), model.faces)
    part = np.zeros(len(model.faces), np.uint8)
    for index, joint in enumerate((EYE_LEFT, EYE_RIGHT)):
        rides = model.weights[:, joint] > 0.5
        share = np.bincount(piece, rides) / np.maximum(np.bincount(piece), 1)
        part[share[piece[model.faces[:, 0]]] > 0.9] = index + 1
    return part, ("body", "eye_left", "eye_right")


def _uv(model: FlameModel, parts: Array, joints: Array) -> Array:
    uv = np.zeros((len(model.faces), 4, 2), np.float32)
    skin = parts == 0
    axis = joints[[EYE_LEFT, EYE_RIGHT]].mean(axis=0)
    used = np.unique(model.faces[skin])
    axis[[0, 2]] = 0.0, 0.5 * (model.template[used, 2].min() + model.template[used, 2].max())
    uv[skin, :3] = cylinder_uv(model.template, model.faces[skin], axis)
    for index, joint in enumerate((EYE_LEFT, EYE_RIGHT)):
        own = parts == index + 1
        uv[own, :3] = disc_uv(model.template, model.faces[own], joints[joint], EYES[index])
    return uv


def _sparse_rows(regressor: Array) -> tuple[Array, Array]:
    """Rows (5, m) and weights (5, m) of the joints, padded with weight 0."""
    used = [np.flatnonzero(row) for row in regressor]
    width = max(1, *(len(rows) for rows in used))
    rows, weights = np.zeros((len(used), width), np.int32), np.zeros((len(used), width))
    for joint, own in enumerate(used):
        rows[joint, : len(own)], weights[joint, : len(own)] = own, regressor[joint, own]
    return rows, weights


def _tails(model: FlameModel) -> tuple[Array, Array]:
    """Rows (5, 1) and weights (5, 1) of the bones' tips: the crown, the chin, the pupils."""
    points, tips = model.template, np.zeros((len(JOINTS), 1), np.int32)
    tips[[ROOT, NECK], 0] = int(points[:, 1].argmax())
    hung = model.weights[:, JAW] > 0.5
    chin = np.where(hung, points[:, 2] - points[:, 1], -np.inf) if hung.any() else points[:, 2] - points[:, 1]
    tips[JAW, 0] = int(chin.argmax())
    for joint in (EYE_LEFT, EYE_RIGHT):
        own = model.weights[:, joint] > 0.5
        tips[joint, 0] = int(np.where(own, points[:, 2], -np.inf).argmax())
    return tips, np.ones((len(JOINTS), 1))
