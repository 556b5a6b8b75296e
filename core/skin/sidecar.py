# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine needs to drive the bones of a compressed skin from shape coefficients, as JSON and as npz.

`NAME.skin.json` is complete; `NAME.skin.npz` holds the same in arrays, and the mesh where it is asked for.
docs/compressed-skinning.md describes both and how to use them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError
from . import trs
from .rig_logic import COUNT, hats, products

if TYPE_CHECKING:
    from .compressed import CompressedSkin

MODEL_AXES, GLTF_AXES = "model", "gltf"
"""The coordinates: those of the model (in Blender the object's, Z up), or a glTF file's, Y up."""
Y_UP = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
"""Blender's coordinates as glTF's: (x, y, z) becomes (x, z, -y)."""


@dataclass(frozen=True)
class Sidecar:
    """Bones j of P and shapes k of S. In the coordinates of `axes`, a point x moves with bone j to
    x + R x (x - centre) + T, where (R, T) is row block j of the sparse matrix times the coefficients.
    """

    bone_names: tuple[str, ...]
    """As in the exported file."""
    pivots: np.ndarray
    """(P, 3) float32: where the bones stand at rest."""
    centre: np.ndarray
    """(3,) float64: the point that all transforms turn about."""
    shape_names: tuple[str, ...]
    """S"""
    n_controls: int
    """C: the first C shapes are set from outside, the tables make the others."""
    indptr: np.ndarray
    """(6P + 1,) int32: where the row of each output starts; row 6j + d is number d of bone j, rx to tz."""
    indices: np.ndarray
    """(Z,) int32: shapes."""
    values: np.ndarray
    """(Z,) float32"""
    inbetweens: tuple[tuple[float, ...], ...] = ()
    """Output column, source column, and the three places of the hat."""
    combinations: tuple[tuple[int, ...], ...] = ()
    """Output column, then factor columns, in the order of evaluation."""
    axes: str = MODEL_AXES
    unit_in_metres: float | None = None
    """Length of 1; None where nobody said."""
    mesh: str = ""
    """The exported file this belongs to."""
    parents: tuple[str, ...] = ()
    """The bone that carries each, "" for none; empty: none has one."""
    errors: Mapping[str, float] = field(default_factory=dict)
    """As measured at the fit, in the model's unit."""
    rest: np.ndarray | None = None
    """(N, 3) float32, or None without the mesh."""
    joints: np.ndarray | None = None
    """(N, K) int32: the bones of each vertex."""
    weights: np.ndarray | None = None
    """(N, K) float32, rows sum to 1."""

    @property
    def n_bones(self) -> int:
        """P"""
        return len(self.bone_names)

    @property
    def n_shapes(self) -> int:
        """S"""
        return len(self.shape_names)

    def transforms(self) -> np.ndarray:
        """(S, P, 6) float32, dense."""
        out = np.zeros((6 * self.n_bones, self.n_shapes), np.float32)
        rows = np.repeat(np.arange(6 * self.n_bones), np.diff(self.indptr))
        out[rows, self.indices] = self.values
        return out.T.reshape(self.n_shapes, self.n_bones, 6)

    def matrices(self, coefficients: np.ndarray) -> np.ndarray:
        """(T, P, 3, 4) float64: the bones' motions for (T, S) coefficients, in the coordinates of `axes`."""
        six = np.einsum("ts,spd->tpd", np.asarray(coefficients, np.float64), self.transforms())
        turn, shift = six[..., :3], six[..., 3:]
        out = np.zeros((*six.shape[:2], 3, 4))
        out[..., :3] = np.eye(3) + _cross(turn)
        out[..., 3] = shift - np.cross(turn, self.centre)
        return out


def _cross(vectors: np.ndarray) -> np.ndarray:
    """(..., 3, 3) matrices [v]x of (..., 3) vectors."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def sidecar_of(
    skin: CompressedSkin,
    bone_names: Sequence[str | None] | None = None,
    parents: Sequence[str] = (),
    unit_in_metres: float | None = None,
    mesh: str = "",
    with_mesh: bool = False,
) -> Sidecar:
    """The sidecar of a skin, in the model's coordinates.

    Bones get the names "bone_000" and so on, or those given; None leaves a bone out, which must then be one
    that never moves. `with_mesh` adds rest positions and weights, for whoever has no exported file.
    """
    names = list(bone_names) if bone_names is not None else [f"bone_{j:03d}" for j in range(skin.n_bones)]
    _require_still(skin, names)
    kept = np.array([j for j, name in enumerate(names) if name is not None], np.int64)
    indptr, indices, values = _sparse(np.asarray(skin.transforms)[:, kept])
    joints, weights = _largest(skin.weights) if with_mesh else (None, None)
    centre = np.asarray(skin.centre, np.float64)
    return Sidecar(
        bone_names=tuple(str(names[j]) for j in kept),
        pivots=(trs.pivots(skin.weights, skin.rest)[kept] + centre).astype(np.float32),
        centre=centre,
        shape_names=tuple(skin.names),
        n_controls=skin.n_shapes - _added(skin.inbetween_info) - _added(skin.combination_info),
        indptr=indptr,
        indices=indices,
        values=values,
        inbetweens=_hat_rows(skin.inbetween_info),
        combinations=_product_rows(skin.combination_info),
        unit_in_metres=unit_in_metres,
        mesh=mesh,
        parents=tuple(parents),
        errors=_numbers_of(skin.errors),
        rest=(skin.rest + centre).astype(np.float32) if with_mesh else None,
        joints=joints,
        weights=weights,
    )


def _require_still(skin: CompressedSkin, names: Sequence[str | None]) -> None:
    moving = np.any(skin.transforms != 0.0, axis=(0, 2)) & np.any(skin.weights > 0.0, axis=0)
    if any(name is None and moves for name, moves in zip(names, moving, strict=True)):
        raise ModelError("A bone that moves has no name.", "Name every bone that a shape moves.")


def _numbers_of(errors: Mapping[str, Any]) -> dict[str, float]:
    """What of the fit's errors is a single number."""
    single = {name: value for name, value in errors.items() if isinstance(value, int | float | np.number)}
    return {str(name): float(value) for name, value in single.items()}


def _added(table: Mapping[Any, Any]) -> int:
    """How many shapes a table makes."""
    return int(table.get(COUNT, 0))


def _sparse(transforms: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """indptr, indices and values of (S, P, 6), rows being outputs and columns shapes."""
    table = transforms.reshape(len(transforms), -1).T
    rows, columns = np.nonzero(table)
    indptr = np.searchsorted(rows, np.arange(len(table) + 1)).astype(np.int32)
    return indptr, columns.astype(np.int32), table[rows, columns].astype(np.float32)


def _largest(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bones and weights (N, K) of each vertex, the largest first; K is what the densest vertex needs."""
    count = max(int((weights > 0).sum(axis=1).max(initial=0)), 1)
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :count].astype(np.int32)
    return joints, np.take_along_axis(weights, joints, axis=1).astype(np.float32)


def _hat_rows(table: Mapping[Any, Any]) -> tuple[tuple[float, ...], ...]:
    """(output, source, low, peak, high) of each in-between."""
    return tuple(
        (int(target), int(source), *places)
        for places, (targets, sources) in hats(table)
        for target, source in zip(targets, sources, strict=True)
    )


def _product_rows(table: Mapping[Any, Any]) -> tuple[tuple[int, ...], ...]:
    """(output, factors...) of each combination. A group is read before it is written, rows are not: one that
    reads what it writes itself cannot be told in rows.
    """
    found: list[tuple[int, ...]] = []
    for columns in products(table):
        *factors, outputs = [[int(value) for value in part] for part in columns]
        if any(set(outputs).intersection(part) for part in factors):
            raise ModelError(
                "A group of combinations has one of its own results as a factor.",
                "Put that combination into a later group.",
            )
        found.extend(zip(outputs, *factors, strict=True))
    return tuple(found)


def placed(sidecar: Sidecar, matrix: np.ndarray, axes: str, unit_in_metres: float | None = None) -> Sidecar:
    """The same motions in other coordinates: `matrix` (4, 4) takes the present ones there.

    It may turn, move and scale evenly; ModelError for a mirrored or uneven one, in which the transforms would
    be of another kind.
    """
    matrix = np.asarray(matrix, np.float64)
    scale = float(np.cbrt(np.linalg.det(matrix[:3, :3])))
    if scale <= 0 or np.abs(matrix[:3, :3] @ matrix[:3, :3].T / scale**2 - np.eye(3)).max() > 1e-4:
        raise ModelError("The object is scaled unevenly or mirrored.", "Apply its scale first.")
    turn = matrix[:3, :3] / scale
    six = sidecar.transforms().astype(np.float64)
    moved = np.concatenate([six[..., :3] @ turn.T, scale * six[..., 3:] @ turn.T], axis=-1)
    # A rotation by parts leaves crumbs where exact zeros were meant.
    moved[np.abs(moved) < 1e-7 * np.abs(moved).max(initial=0.0)] = 0.0
    indptr, indices, values = _sparse(moved)
    shift, linear = matrix[:3, 3], matrix[:3, :3].T
    return replace(
        sidecar,
        pivots=(sidecar.pivots @ linear + shift).astype(np.float32),
        centre=sidecar.centre @ linear + shift,
        indptr=indptr,
        indices=indices,
        values=values,
        axes=axes,
        unit_in_metres=unit_in_metres,
        rest=None if sidecar.rest is None else (sidecar.rest @ linear + shift).astype(np.float32),
    )


def sidecar_paths(target: Path) -> tuple[Path, Path]:
    """NAME.skin.json and NAME.skin.npz beside `target`, which may be the mesh, the result or one of them."""
    target = Path(target)
    stem = target.stem.removesuffix(".skin") if target.suffix else target.name
    return target.with_name(f"{stem}.skin.json"), target.with_name(f"{stem}.skin.npz")


def write_sidecar(skin: CompressedSkin, path: Path, unit_in_metres: float | None = None) -> tuple[Path, Path]:
    """Write NAME.skin.json and NAME.skin.npz beside `path`, in the model's coordinates and with its mesh."""
    from .sidecar_files import write

    return write(sidecar_of(skin, unit_in_metres=unit_in_metres, with_mesh=True), path)


def read_sidecar(path: Path) -> Sidecar:
    """The sidecar in a .json or .npz. ModelError for what is none, damaged, or from a newer version."""
    from .sidecar_files import read

    return read(Path(path))
