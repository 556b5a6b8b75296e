# SPDX-License-Identifier: GPL-3.0-or-later
"""ICT-FaceKit (USC Institute for Creative Technologies, MIT) as a `HeadModel`: the user's own copy, compiled.

Source: a folder with `ict_facekit_core.npz` (mesh, UV, expressions; centimetres) and
`ict_facekit_identity_f16.npz` (100 identity modes). The model has no skeleton; it gets a root, a neck, a head
and the two eyes. Its eyeballs turn by those joints, so what its eyeLook shapes do to them is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..arkit import ARKIT_NAMES, canonical_name
from ..errors import ModelError
from ..files import read_npz
from .basis import DenseBasis
from .components import components
from .derived import affine_weights
from .eyes import fit_eyeball
from .flame.model import ears
from .model import HeadModel
from .phenotype import LinearParameters
from .storage import save_linear

Array = np.ndarray

CORE, IDENTITY = "ict_facekit_core.npz", "ict_facekit_identity_f16.npz"
JOINTS = ("root", "neck", "head", "eye_left", "eye_right")
PARENTS = (-1, 0, 1, 2, 2)
ROOT, NECK, HEAD, EYE_LEFT, EYE_RIGHT = range(5)
_CENTIMETRE = np.float32(0.01)
_LARGEST = 512 << 20
_PAIRED = {"browInnerUp": ("browInnerUp_L", "browInnerUp_R"), "cheekPuff": ("cheekPuff_L", "cheekPuff_R")}
"""ARKit's shapes that this model has one of for each side."""
_PARTS = {
    "M_Face": "body",
    "M_BackHead": "body",
    "M_IrisLeft": "eye_left",
    "M_IrisRight": "eye_right",
    "M_ScleraLeft": "cornea_left",
    "M_ScleraRight": "cornea_right",
    "M_GumsTongue": "gums",
    "M_Teeth": "teeth",
    "M_EyeLashes": "lashes",
    "M_LacrimalFluid": "tear",
    "M_EyeOcclusion": "tear_occlusion",
    "M_EyeBlend": "tear_blend",
}
"""Parts by material. (The "sclera" is the clear outer shell; the "iris" is the whole eyeball within.)"""
_SIDED = ("lashes", "tear", "tear_occlusion", "tear_blend")


def is_ict(folder: Path) -> bool:
    """Whether a folder holds ICT-FaceKit's two files."""
    return (folder / CORE).is_file() and (folder / IDENTITY).is_file()


def compile_ict(folder: Path, target: Path) -> HeadModel:
    """Read the folder and write the head model; some seconds. ModelError for missing or damaged files."""
    model, identity, expression = read_ict(folder)
    save_linear(target, model, identity, expression)
    return model


def sha256_of_ict(folder: Path) -> str:
    """Hex SHA-256 over the two files."""
    digest = hashlib.sha256()
    for name in (CORE, IDENTITY):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def read_ict(folder: Path) -> tuple[HeadModel, Array, Array]:
    """The model, its identity shapes (100, V, 3) and its expression shapes (E, V, 3), float32 metres."""
    core = read_npz(folder / CORE, ModelError, limit=_LARGEST)
    modes = read_npz(folder / IDENTITY, ModelError, limit=_LARGEST)
    try:
        return _model(core, modes["identity_deltas_f16"], sha256_of_ict(folder))
    except (KeyError, IndexError, ValueError, TypeError) as problem:
        raise ModelError(
            f"{folder} holds no ICT-FaceKit that can be used ({problem}).", "Copy its two files again."
        ) from problem


def _model(core: dict[str, Array], modes: Array, sha256: str) -> tuple[HeadModel, Array, Array]:
    points = np.asarray(core["neutral"], np.float32) * _CENTIMETRE
    faces = np.asarray(core["faces"], np.int32)
    if points.ndim != 2 or points.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 4:
        raise ValueError("its mesh has another form")
    if not 0 <= faces[:, :3].min() <= faces.max() < len(points):
        raise ValueError("its faces point outside the mesh")
    part, names = _parts(core, points, faces)
    balls = [np.unique(faces[part == names.index(f"eye_{side}")]) for side in ("left", "right")]
    balls = [rows[rows >= 0] for rows in balls]
    expression_names, expression = _expressions(core, _eye_rows(faces, part, names))
    identity = _shapes(modes, len(points))
    centres = np.stack([fit_eyeball(points[rows])[0] for rows in balls])
    heads, tails = _skeleton(points, balls, centres)
    weights = _weights(points, balls, _eye_rows(faces, part, names))
    origin_rows = ears(points.astype(np.float64), centres)
    origin = points[origin_rows].mean(axis=0) * np.array([0, 1, 1], np.float32)
    order = np.argsort(-weights, axis=1, kind="stable")[:, :3]
    every = np.arange(len(points))
    model = HeadModel(
        name="ict",
        template=points - origin,
        visible_count=len(points),
        identity=DenseBasis(every, identity),
        parameters=LinearParameters(tuple(f"identity_{i:03d}" for i in range(len(identity)))),
        expression_names=expression_names,
        expression=DenseBasis(every, expression),
        faces=faces,
        uv=_uv(core, part, names),
        face_part=part,
        part_names=names,
        joint_names=JOINTS,
        joint_parents=np.array(PARENTS),
        head_rows=heads[0],
        head_weights=heads[1],
        tail_rows=tails[0],
        tail_weights=tails[1],
        rolls=np.zeros(len(JOINTS)),
        skin_joints=order.astype(np.uint8),
        skin_weights=np.take_along_axis(weights, order, axis=1).astype(np.float32),
        origin_rows=origin_rows,
        roles={
            "root": "root",
            "neck": ("neck",),
            "head": "head",
            "eye_left": "eye_left",
            "eye_right": "eye_right",
        },
        provenance={"source": "ICT-FaceKit", "licence": "MIT", "source_sha256": sha256},
    )
    return model, identity, expression


def _shapes(deltas: Array, count: int) -> Array:
    """(K, V, 3) float32 metres."""
    if deltas.ndim != 3 or deltas.shape[1:] != (count, 3) or deltas.dtype.kind != "f":
        raise ValueError(f"its shapes have the form {deltas.shape}")
    shapes = deltas.astype(np.float32) * _CENTIMETRE
    if not np.all(np.isfinite(shapes)):
        raise ValueError("its shapes have values that are not finite")
    return shapes


def _expressions(core: dict[str, Array], eyes: Array) -> tuple[tuple[str, ...], Array]:
    """Names and shapes: ARKit's in their order, then what else the model has. The eyeballs do not turn."""
    own = [str(name) for name in core["expr_names"]]
    deltas = _shapes(np.asarray(core["expr_deltas"]), len(core["neutral"]))
    if len(own) != len(deltas):
        raise ValueError("its expressions and their names differ in number")
    paired = {half: whole for whole, halves in _PAIRED.items() for half in halves}
    shapes: dict[str, Array] = {}
    for name, shape in zip(own, deltas, strict=True):
        known = paired.get(name) or canonical_name(name) or name
        if known.startswith("eyeLook"):
            shape[eyes] = 0
        shapes[known] = shapes[known] + shape if known in shapes else shape
    order = [n for n in ARKIT_NAMES if n in shapes] + [n for n in shapes if n not in ARKIT_NAMES]
    return tuple(order), np.stack([shapes[name] for name in order])


def _parts(core: dict[str, Array], points: Array, faces: Array) -> tuple[Array, tuple[str, ...]]:
    """(F,) uint8 part of each face and the parts' names, the skin first."""
    materials = [_PARTS.get(str(name), "body") for name in core["material_names"]]
    material = np.asarray(core["face_material"], np.int64)
    piece = components(len(points), faces)
    size = np.bincount(piece)
    middle = np.stack([np.bincount(piece, points[:, k]) / size for k in range(3)], axis=1)[piece[faces[:, 0]]]
    gums = np.array([materials[m] == "gums" for m in material])
    gum = float(middle[gums, 1].mean()) if gums.any() else 0.0
    labels = [_finer(materials[m], x, y, gum) for m, x, y in zip(material, *middle[:, :2].T, strict=True)]
    names = ("body", *sorted(set(labels) - {"body"}))
    place = {name: index for index, name in enumerate(names)}
    return np.array([place[label] for label in labels], np.uint8), names


def _finer(part: str, x: float, y: float, gum: float) -> str:
    """Left and right, upper and lower, by the middle of the connected piece."""
    if part == "teeth":
        return "teeth_upper" if y > gum else "teeth_lower"
    return f"{part}_{'left' if x > 0 else 'right'}" if part in _SIDED else part


def _eye_rows(faces: Array, part: Array, names: Sequence[str]) -> Array:
    """(n,) rows of the eyeballs and their clear shells."""
    wanted = [i for i, name in enumerate(names) if name.startswith(("eye_", "cornea_"))]
    rows = np.unique(faces[np.isin(part, wanted)])
    return rows[rows >= 0]


def _uv(core: dict[str, Array], part: Array, names: Sequence[str]) -> Array:
    """(F, 4, 2) float32. The face alone keeps the first tile; parts that share it get tiles of their own."""
    corners = np.asarray(core["faces_uv"], np.int64)
    uv = np.asarray(core["uv"], np.float32)
    if corners.max() >= len(uv):
        raise ValueError("its faces point outside its UV")
    laid_out = uv[np.maximum(corners, 0)] * (corners >= 0)[..., None]
    free = int(np.floor(uv[:, 0].max())) + 1
    for index in range(len(names)):
        own = part == index
        if index and laid_out[own, :3, 0].max() <= 1.0:
            laid_out[own, :, 0] += free
            free += 1
    return laid_out.astype(np.float32)


def _skeleton(
    points: Array, balls: list[Array], centres: Array
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Rows and weights of the joints' heads and tails. Neck and head turn where a spine would be."""
    low = float(points[:, 1].min())
    eyes = centres.mean(axis=0)
    skull = np.array([0.0, eyes[1] - 0.055, eyes[2] - 0.085])
    neck = np.array([0.0, low + 0.06, skull[2] - 0.01])
    root = np.array([0.0, low + 0.01, skull[2] - 0.01])
    crown = int(points[:, 1].argmax())
    heads = [_regressed(points, target) for target in (root, neck, skull)]
    heads += [_anchored(points, rows, centre) for rows, centre in zip(balls, centres, strict=True)]
    tails = [heads[NECK], heads[HEAD], (np.array([crown]), np.ones(1))]
    tails += [
        _anchored(points, rows, c + np.array([0, 0, 0.014])) for rows, c in zip(balls, centres, strict=True)
    ]
    return _padded(heads), _padded(tails)


def _regressed(points: Array, target: Array, count: int = 200) -> tuple[Array, Array]:
    """Rows of the skin nearest to an inner point, and weights that give it and follow affine motion."""
    return _anchored(points, np.argsort(np.linalg.norm(points - target, axis=1))[:count], target)


def _anchored(points: Array, rows: Array, target: Array) -> tuple[Array, Array]:
    return rows, affine_weights(points[rows].astype(np.float64), np.asarray(target, np.float64)[None])[0]


def _padded(entries: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    width = max(len(rows) for rows, _ in entries)
    rows, weights = np.zeros((len(entries), width), np.int32), np.zeros((len(entries), width))
    for joint, (own, share) in enumerate(entries):
        rows[joint, : len(own)], weights[joint, : len(own)] = own, share
    return rows, weights


def _weights(points: Array, balls: list[Array], eyes: Array) -> Array:
    """(V, 5) skin weights: the head follows its joint down to a slanted plane under chin and nape, the rim
    stays.
    """
    low, back = float(points[:, 1].min()), float(points[balls[0], 2].mean()) - 0.085
    height = points[:, 1] + 0.25 * (points[:, 2] - back)
    head = _smooth((height - (low + 0.065)) / 0.05)
    rim = 1 - _smooth((points[:, 1] - low) / 0.06)
    weights = np.zeros((len(points), len(JOINTS)))
    weights[:, HEAD], weights[:, ROOT] = head, (1 - head) * rim
    weights[:, NECK] = 1 - weights.sum(axis=1)
    sides = np.where(points[eyes, 0] > 0, EYE_LEFT, EYE_RIGHT)
    weights[eyes] = np.eye(len(JOINTS))[sides]
    return weights


def _smooth(value: Array) -> Array:
    share = np.clip(value, 0, 1)
    return share * share * (3 - 2 * share)
