# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters of one FLAME release as those of another, through the vertices that both share.

A coefficient of one release means something else in the next, so nothing is copied but rotations: the source
is evaluated, and shape, expression, jaw and eyes of the target are found whose surface is nearest. For a
given jaw and gaze the target is linear in its expression once the skinning is undone, and the matrix is the
same in all frames: one factorisation serves a whole performance, and the three columns of the jaw, which
differ per frame, join by their Schur complement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ... import rotation
from ...errors import ModelError
from .forward import (
    FlameParameters,
    head_transform,
    joint_rotations,
    local_vertices,
    pose_features,
    shaped,
    skinning,
)
from .model import CAP4D, CAP4D_SHAPES, NECK, STANDARD, VERTICES, FlameModel, FlameRows

Array = np.ndarray

_RIDGE = 1e-7
"""Square metres, summed over the vertices, per squared unit of a coefficient: one that moves the surface by
less than 5 um rms is held back.
"""
_JAW_STEP = 1e-3
_ROUNDS = 4
_BLOCK = 64


@dataclass(frozen=True)
class Refit:
    """The target's parameters and how far its vertices are from the source's."""

    parameters: FlameParameters
    error_mm: Array
    """(T,) float64: weighted rms distance over the vertices of each frame."""
    worst_mm: float
    """The largest distance in any frame, of vertices that count at least a quarter as much as the mean."""


def refit(
    source: FlameModel,
    parameters: FlameParameters,
    target: FlameModel,
    *,
    mode: str | None = None,
    weights: Array | None = None,
    ridge: float = _RIDGE,
) -> Refit:
    """The parameters of `target` that reproduce `parameters` of `source`, vertex by vertex.

    `mode`: the target's forward pass; by default CAP4D's for the release without a jaw, else the standard
    one. `weights`: (5023,) how much each vertex counts; by default those that the neck joint or what hangs
    on it carry, as the releases hold the rim of the neck in different ways. `ridge`: pull of the
    coefficients to zero. Some 30 ms per frame with a jaw, 6 without. The head's pose is carried over exactly
    and is no part of the error.
    """
    mode = mode or (CAP4D if target.variant == "2023_no_jaw" else STANDARD)
    given, rows = (m.at(np.arange(VERTICES), form) for m, form in ((source, parameters.mode), (target, mode)))
    share = _share(target) if weights is None else np.asarray(weights, np.float64)
    if share.shape != (len(rows.rows),) or np.any(share < 0) or not np.any(share > 0):
        raise ModelError("The weights of a re-fit must be one number per vertex, not negative, not all zero.")
    share = np.sqrt(share / share.mean())
    wanted = local_vertices(given, parameters)
    turn, shift = head_transform(given, parameters)
    neck, wanted, turn, shift = _carry_neck(given, parameters, mode, wanted, turn, shift)
    shape = _fit_shape(rows, shaped(given, parameters.shape), share, ridge)
    start = FlameParameters.of(
        target.variant,
        shape,
        np.zeros((parameters.frame_count, len(rows.expressions))),
        mode=mode,
        neck=neck,
        eyes=parameters.eyes,
    )
    found = _fit_frames(rows, start, wanted, share, ridge, target.has_jaw)
    away = np.linalg.norm(local_vertices(rows, found) - wanted, axis=2)
    error = np.sqrt(away**2 @ share**2 / (share @ share))
    worst = away[:, share > 0.5].max(initial=0.0)
    return Refit(_with_head(rows, found, turn, shift), 1000 * error, float(1000 * worst))


def _share(model: FlameModel) -> Array:
    """(5023,) 1 for the head, falling to 0 where the root joint holds the neck."""
    return model.weights[:, NECK:].sum(axis=1)


def _carry_neck(
    rows: FlameRows, parameters: FlameParameters, mode: str, wanted: Array, turn: Array, shift: Array
) -> tuple[Array | None, Array, Array, Array]:
    """The neck's rotation for the target: kept where both have the chain, else made part of the head's
    pose.
    """
    if parameters.mode == mode:
        return parameters.neck, wanted, turn, shift
    if parameters.mode == CAP4D or not np.any(parameters.neck):
        return None, wanted, turn, shift
    bend = joint_rotations(parameters)[:, NECK]
    centre = (rows.joints + np.tensordot(parameters.shape, rows.joint_shapes[: len(parameters.shape)], 1))[
        NECK
    ]
    straight = np.einsum("tji,tnj->tni", bend, wanted - centre) + centre
    moved = shift + np.einsum("tij,tj->ti", turn, centre - bend @ centre)
    return None, straight, turn @ bend, moved


def _fit_shape(rows: FlameRows, person: Array, share: Array, ridge: float) -> Array:
    """(S,) identity coefficients whose resting person is nearest to `person` ((5023, 3))."""
    count = CAP4D_SHAPES if rows.mode == CAP4D else len(rows.shapes)
    basis = (rows.shapes[:count] * share[:, None]).reshape(count, -1)
    away = ((person - rows.template) * share[:, None]).ravel()
    return np.linalg.solve(basis @ basis.T + ridge * np.eye(count), basis @ away)


def _fit_frames(
    rows: FlameRows, start: FlameParameters, wanted: Array, share: Array, ridge: float, jaw: bool
) -> FlameParameters:
    """Expression, and jaw where there is one, of every frame."""
    basis = (rows.expressions * share[:, None]).reshape(len(rows.expressions), -1)
    normal = basis @ basis.T + ridge * np.eye(len(basis))
    inverse = np.linalg.inv(normal)
    blocks = []
    for first in range(0, start.frame_count, _BLOCK):
        part = slice(first, first + _BLOCK)
        blocks.append(_fit_block(rows, start.sliced(part), wanted[part], share, basis, inverse, ridge, jaw))
    if not blocks:
        return start
    joined = {name: np.concatenate([getattr(b, name) for b in blocks]) for name in ("expression", "jaw")}
    return replace(start, **joined)


def _fit_block(
    rows: FlameRows,
    current: FlameParameters,
    wanted: Array,
    share: Array,
    basis: Array,
    inverse: Array,
    ridge: float,
    jaw: bool,
) -> FlameParameters:
    """Gauss-Newton on the jaw with the expression eliminated; without a jaw only the joints' centres, which
    follow the expression in CAP4D's form, make a second round worthwhile.
    """
    person = shaped(rows, current.shape)
    for _ in range(_ROUNDS):
        away = _unposed(rows, current, wanted) - person
        data = (away * share[:, None]).reshape(len(away), -1)
        right = data @ basis.T
        if jaw:
            columns = _jaw_columns(rows, current, share)
            against = columns @ basis.T
            left = columns @ columns.transpose(0, 2, 1) - against @ inverse @ against.transpose(0, 2, 1)
            slope = np.einsum("tkn,tn->tk", columns, data) - np.einsum("tke,te->tk", against @ inverse, right)
            step = np.linalg.solve(left + 1e-6 * np.eye(3), slope[..., None])[..., 0]
            turned = rotation.multiply(
                rotation.from_rotation_vector(step), rotation.from_rotation_vector(current.jaw)
            )
            current = replace(
                current,
                jaw=rotation.to_rotation_vector(turned),
                expression=(right - np.einsum("tke,tk->te", against, step)) @ inverse,
            )
        else:
            current = replace(current, expression=right @ inverse)
    return current


def _unposed(rows: FlameRows, parameters: FlameParameters, points: Array) -> Array:
    """(T, n, 3): points with skinning and pose correctives undone, so that only shape and expression
    remain.
    """
    turns, shifts = skinning(rows, parameters)
    straight = np.linalg.solve(turns, (points - shifts)[..., None])[..., 0]
    features = pose_features(parameters).reshape(-1, 36)
    return straight - (features @ rows.correctives.reshape(36, -1)).reshape(straight.shape)


def _jaw_columns(rows: FlameRows, parameters: FlameParameters, share: Array) -> Array:
    """(T, 3, 3n): how the surface moves with a turn of the jaw, in the frame before skinning."""
    still = local_vertices(rows, parameters)
    inverse = np.linalg.inv(skinning(rows, parameters)[0])
    columns = []
    for axis in np.eye(3):
        step = rotation.from_rotation_vector(_JAW_STEP * axis)
        turned = rotation.to_rotation_vector(
            rotation.multiply(step, rotation.from_rotation_vector(parameters.jaw))
        )
        moved = (local_vertices(rows, replace(parameters, jaw=turned)) - still) / _JAW_STEP
        straight = np.einsum("tnij,tnj->tni", inverse, moved) * share[:, None]
        columns.append(straight.reshape(len(moved), -1))
    return np.stack(columns, axis=1)


def _with_head(rows: FlameRows, found: FlameParameters, turn: Array, shift: Array) -> FlameParameters:
    """The parameters with the head's pose: rotations (T, 3, 3) and translations (T, 3) of the local frame."""
    vectors = rotation.to_rotation_vector(rotation.from_matrix(turn))
    posed = replace(found, rotation=vectors, translation=np.zeros_like(shift))
    _, offset = head_transform(rows, posed)
    return replace(posed, translation=shift - offset)
