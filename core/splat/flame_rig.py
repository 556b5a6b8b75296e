# SPDX-License-Identifier: GPL-3.0-or-later
"""One person of FLAME under Gaussians, posed by FLAME's own forward pass.

A moment is said by the 52 weights, through a mapping, or exactly by FLAME's own parameters: these follow the
52 in the same row, so that all that plays weights plays them too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..arkit import ARKIT_NAMES
from ..fit.flame_exchange import eye_rotation_of, variant_of
from ..fit.mapping import Mapping
from ..head.flame.compile import origin_of
from ..head.flame.forward import FlameParameters, local_vertices, shaped
from ..head.flame.model import CAP4D, STANDARD, FlameModel
from ..performance import Performance

Array = np.ndarray

WEIGHTS = len(ARKIT_NAMES)
_POSE = 12
"""Numbers of a row after the expression: neck 3, jaw 3, left eye 3, right eye 3."""


def mode_of(flame: FlameModel) -> str:
    """The forward pass that files of a release are for: CAP4D's without a jaw, else the published one."""
    return STANDARD if flame.has_jaw else CAP4D


class FlameRig:
    """Rows of one person in the head frame: without the head's rotation and translation, ears at the
    origin.
    """

    def __init__(
        self,
        flame: FlameModel,
        shape: Array,
        rows: Array | None = None,
        *,
        offset: Array | None = None,
        mapping: Mapping | None = None,
    ) -> None:
        """shape: (S,) identity coefficients. rows: (n,) of FLAME's vertices, by default all. offset: (5023,
        3) metres that the person differs from what the shape says. mapping: from the 52 weights to this form
        of FLAME.
        """
        self.flame, self.mode, self.mapping = flame, mode_of(flame), mapping
        self.shape = np.asarray(shape, np.float64)
        self.offset = None if offset is None else np.asarray(offset, np.float64)
        wanted = np.arange(len(flame.template)) if rows is None else np.asarray(rows)
        part = flame.whole if self.mode == STANDARD else flame.cap4d
        if len(wanted) < len(part.rows):
            part = flame.at(wanted, self.mode)
        self.origin = origin_of(flame, self.shape)
        """(3,) metres: the head frame's origin in FLAME's frame."""
        template = shaped(part, self.shape)
        joints = part.joints + np.tensordot(self.shape, part.joint_shapes[: len(self.shape)], 1)
        if self.offset is not None:
            template = template + self.offset[wanted]
            joints = joints + flame.regressor @ self.offset
            ears = self.offset[flame.origin_rows()].mean(axis=0)
            self.origin = self.origin + ears * np.array([0.0, 1.0, 1.0])
        # The person is part of the template: nothing of it is worked out again in every moment.
        empty = {"shapes": part.shapes[:0], "joint_shapes": part.joint_shapes[:0]}
        self._rows = replace(part, template=template, joints=joints, **empty)

    @property
    def expression_count(self) -> int:
        """Coefficients of an expression."""
        return len(self._rows.expressions)

    @property
    def rest(self) -> Array:
        """(n, 3) float32 metres: without expression, looking ahead."""
        return self.posed(self._parameters(np.zeros((1, self.expression_count + _POSE))))[0]

    def points(self, weights: Array, gaze: Array) -> Array:
        """(n, 3) float32 metres. weights: (52,) in ARKit's order, which the gaze (2, 2) goes with, or a row
        of `own`. Without a mapping the 52 alone move nothing.
        """
        weights = np.asarray(weights, np.float64)
        row = weights[None, WEIGHTS:]
        if not row.size:
            row = np.zeros((1, self.expression_count + _POSE))
            row[0, -6:] = eye_rotation_of(np.asarray(gaze, np.float64)).ravel()
            if self.mapping is not None:
                motion = self.mapping.convert(weights[None])
                row[:, : self.expression_count] = motion.expression
                row[:, -9:-6] = motion.jaw if self.flame.has_jaw else 0.0
        return self.posed(self._parameters(row))[0]

    def posed(self, parameters: FlameParameters) -> Array:
        """(T, n, 3) float32 metres of frames of this person; their shape and head pose are left out."""
        plain = replace(parameters, shape=np.zeros(0))
        return (local_vertices(self._rows, plain) - self.origin).astype(np.float32)

    def parameters_of(self, performance: Performance) -> FlameParameters | None:
        """FLAME's parameters in a performance; None where it has none, or those of another release."""
        kept = performance.flame or {}
        count = performance.frame_count
        expression, eyes = kept.get("expr"), kept.get("eye_rot")
        if variant_of(kept) != self.flame.variant or expression is None or eyes is None:
            return None
        try:
            if expression.shape != (count, self.expression_count):
                return None
            return FlameParameters.of(
                self.flame.variant,
                self.shape,
                expression,
                mode=self.mode,
                rotation=kept.get("rot"),
                translation=kept.get("tra"),
                neck=kept.get("neck_rot"),
                jaw=kept.get("jaw_rot"),
                eyes=eyes,
            )
        except ValueError:
            return None

    def own(self, performance: Performance) -> Array | None:
        """(T, 52 + n) float32: the weights of a performance and FLAME's parameters; None without these."""
        found = self.parameters_of(performance)
        if found is None:
            return None
        parts = (performance.weights, found.expression, found.neck, found.jaw, found.eyes)
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _parameters(self, rows: Array) -> FlameParameters:
        count = self.expression_count
        return FlameParameters.of(
            self.flame.variant,
            np.zeros(0),
            rows[:, :count],
            mode=self.mode,
            neck=rows[:, count : count + 3],
            jaw=rows[:, count + 3 : count + 6],
            eyes=rows[:, count + 6 :],
        )
