# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's forward pass in two modes, batched over frames.

`standard` is the published model: a kinematic chain from the root through the neck to jaw and eyes, pose
correctives fed by R - I, joints regressed from the shaped vertices (Li et al. 2017, eq. 1-4).

`cap4d` is what CAP4D's weights were trained on (formats-cap4d 0.2, 0.3, 2.2): each joint turns about its own
centre with no chain, the centres follow the expression too, the neck's rotation sits on joint 0, the
correctives are fed by R - 2I (the identity is subtracted twice, so a resting face carries a constant offset),
and the head's rotation and translation come last, about the origin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ... import rotation
from ...errors import ModelError
from .model import CAP4D, EYE_LEFT, EYE_RIGHT, JAW, MODES, NECK, PARENTS, ROOT, STANDARD, VARIANTS, FlameRows

Array = np.ndarray

_FRAMES = 32
"""Frames that are evaluated at once: about 50 MB for the whole mesh."""


@dataclass(frozen=True)
class FlameParameters:
    """T frames of one person, and which release and which forward pass they are for.

    Arrays that are left out (None) are zero. A wrong shape is a ValueError.
    """

    variant: str
    mode: str
    shape: Array
    """(S,) identity coefficients, S up to 300."""
    expression: Array
    """(T, E) coefficients; CAP4D's mode has 65."""
    rotation: Array
    """(T, 3) rotation vector of the head; of joint 0 in the standard mode."""
    translation: Array
    """(T, 3) metres."""
    neck: Array
    """(T, 3) rotation vector of joint 1; of joint 0 in CAP4D's mode."""
    jaw: Array
    """(T, 3)."""
    eyes: Array
    """(T, 6) rotation vectors of the left and of the right eye."""

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS or self.mode not in MODES:
            raise ValueError(f"{self.variant!r} in mode {self.mode!r} is no form of FLAME")
        frames = len(self.expression)
        widths = {"rotation": 3, "translation": 3, "neck": 3, "jaw": 3, "eyes": 6}
        for name, width in widths.items():
            if getattr(self, name).shape != (frames, width):
                raise ValueError(
                    f"{name} has shape {getattr(self, name).shape}, expected ({frames}, {width})"
                )
        if self.expression.ndim != 2 or self.shape.ndim != 1:
            raise ValueError("shape must be (S,) and expression (T, E)")

    @staticmethod
    def of(
        variant: str,
        shape: Array,
        expression: Array,
        *,
        mode: str = STANDARD,
        rotation: Array | None = None,
        translation: Array | None = None,
        neck: Array | None = None,
        jaw: Array | None = None,
        eyes: Array | None = None,
    ) -> FlameParameters:
        """From what there is; the rest is zero. `eyes` may be (T, 3): both eyes alike."""
        frames = len(expression)

        def filled(given: Array | None, width: int) -> Array:
            return np.zeros((frames, width)) if given is None else np.asarray(given, np.float64)

        both = None if eyes is None else np.asarray(eyes, np.float64)
        if both is not None and both.ndim == 2 and both.shape[1] == 3:
            both = np.concatenate([both, both], axis=1)
        return FlameParameters(
            variant=variant,
            mode=mode,
            shape=np.asarray(shape, np.float64),
            expression=np.asarray(expression, np.float64),
            rotation=filled(rotation, 3),
            translation=filled(translation, 3),
            neck=filled(neck, 3),
            jaw=filled(jaw, 3),
            eyes=filled(both, 6),
        )

    @property
    def frame_count(self) -> int:
        """T."""
        return len(self.expression)

    def sliced(self, frames: slice) -> FlameParameters:
        """Some of the frames."""
        names = ("expression", "rotation", "translation", "neck", "jaw", "eyes")
        return replace(self, **{name: getattr(self, name)[frames] for name in names})


def vertices(rows: FlameRows, parameters: FlameParameters) -> Array:
    """(T, n, 3) float64 metres, with the head's rotation and translation.

    ModelError when the parameters are for another release: they would mean something else.
    """
    local = local_vertices(rows, parameters)
    turn, shift = head_transform(rows, parameters)
    return np.einsum("tij,tnj->tni", turn, local) + shift[:, None]


def local_vertices(rows: FlameRows, parameters: FlameParameters) -> Array:
    """(T, n, 3) float64 metres, in the head's own frame: all but the head's rotation and translation."""
    _require_same(rows, parameters)
    blocks = [slice(start, start + _FRAMES) for start in range(0, parameters.frame_count, _FRAMES)]
    parts = [_block(rows, parameters.sliced(block)) for block in blocks]
    return np.concatenate(parts) if parts else np.zeros((0, len(rows.rows), 3))


def head_transform(rows: FlameRows, parameters: FlameParameters) -> tuple[Array, Array]:
    """Rotations (T, 3, 3) and translations (T, 3) that take `local_vertices` to `vertices`.

    The standard mode turns the head about its root joint, CAP4D's about the origin.
    """
    turn = matrices(parameters.rotation)
    if parameters.mode == CAP4D:
        return turn, parameters.translation
    centre = _shaped_joints(rows, parameters)[ROOT]
    return turn, parameters.translation + centre - turn @ centre


def matrices(vectors: Array) -> Array:
    """(..., 3, 3) rotations of rotation vectors (..., 3)."""
    return rotation.to_matrix(rotation.from_rotation_vector(vectors))


def shaped(rows: FlameRows, shape: Array) -> Array:
    """(n, 3) metres: the person of these identity coefficients ((S,), S up to 300), with no expression and no
    pose corrective.
    """
    used = rows.shapes[: len(shape)]
    return rows.template + (shape @ used.reshape(len(used), 3 * len(rows.rows))).reshape(-1, 3)


def joint_rotations(parameters: FlameParameters) -> Array:
    """(T, 5, 3, 3): each joint's own rotation without the head's, by the conventions of the mode."""
    turns = np.tile(np.eye(3), (parameters.frame_count, 5, 1, 1))
    turns[:, ROOT if parameters.mode == CAP4D else NECK] = matrices(parameters.neck)
    turns[:, JAW] = matrices(parameters.jaw)
    turns[:, EYE_LEFT] = matrices(parameters.eyes[:, :3])
    turns[:, EYE_RIGHT] = matrices(parameters.eyes[:, 3:])
    return turns


def skinning(rows: FlameRows, parameters: FlameParameters) -> tuple[Array, Array]:
    """Blended transforms at each row: rotations (T, n, 3, 3) and translations (T, n, 3)."""
    turns = joint_rotations(parameters)
    joints = np.broadcast_to(_shaped_joints(rows, parameters), (parameters.frame_count, 5, 3))
    if parameters.mode == CAP4D:
        used = parameters.expression.shape[1]
        joints = joints + np.tensordot(parameters.expression, rows.joint_expressions[:used], 1)
        shifts = joints - np.einsum("tjab,tjb->tja", turns, joints)
    else:
        turns, shifts = _chain(turns, joints)
    flat = np.concatenate([turns.reshape(*turns.shape[:2], 9), shifts], axis=2)
    blended = rows.weights @ flat
    return blended[..., :9].reshape(*blended.shape[:2], 3, 3), blended[..., 9:]


def pose_features(parameters: FlameParameters) -> Array:
    """(T, 4, 3, 3): what feeds the correctives of neck, jaw, left and right eye."""
    turns = joint_rotations(parameters)
    if parameters.mode == CAP4D:
        return turns[:, [ROOT, JAW, EYE_LEFT, EYE_RIGHT]] - 2 * np.eye(3)
    return turns[:, NECK:] - np.eye(3)


def _block(rows: FlameRows, parameters: FlameParameters) -> Array:
    used = parameters.expression.shape[1]
    count = len(rows.rows)
    expressions = rows.expressions[:used].reshape(used, 3 * count)
    correctives = rows.correctives.reshape(36, 3 * count)
    features = pose_features(parameters).reshape(-1, 36)
    moved = parameters.expression @ expressions + features @ correctives
    points = shaped(rows, parameters.shape) + moved.reshape(-1, count, 3)
    turns, shifts = skinning(rows, parameters)
    return np.einsum("tnij,tnj->tni", turns, points) + shifts


def _shaped_joints(rows: FlameRows, parameters: FlameParameters) -> Array:
    used = len(parameters.shape)
    return rows.joints + np.tensordot(parameters.shape, rows.joint_shapes[:used], 1)


def _chain(turns: Array, joints: Array) -> tuple[Array, Array]:
    """World rotations (T, 5, 3, 3) and translations (T, 5, 3) of the kinematic tree: each joint turns about
    itself and carries what hangs on it.
    """
    world, shifts = np.empty_like(turns), np.empty(joints.shape)
    for joint, parent in enumerate(PARENTS):
        own = joints[:, joint] - np.einsum("tab,tb->ta", turns[:, joint], joints[:, joint])
        if parent < 0:
            world[:, joint], shifts[:, joint] = turns[:, joint], own
            continue
        world[:, joint] = world[:, parent] @ turns[:, joint]
        shifts[:, joint] = np.einsum("tab,tb->ta", world[:, parent], own) + shifts[:, parent]
    return world, shifts


def _require_same(rows: FlameRows, parameters: FlameParameters) -> None:
    if rows.variant != parameters.variant:
        raise ModelError(
            f"These parameters are for FLAME {parameters.variant} and the model is {rows.variant}.",
            "Re-fit them to this model.",
        )
    if rows.mode != parameters.mode:
        raise ModelError(f"These parameters are for the {parameters.mode} form and the model is {rows.mode}.")
    for what, given, most in (
        ("expression", parameters.expression.shape[1], len(rows.expressions)),
        ("identity", len(parameters.shape), len(rows.shapes)),
    ):
        if given > most:
            raise ModelError(f"{given} {what} coefficients given; {most} are there.")
