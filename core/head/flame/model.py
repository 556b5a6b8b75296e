# SPDX-License-Identifier: GPL-3.0-or-later
"""`FlameModel`: the arrays of one FLAME release, tagged with which one it is, and its forward pass's rows.

Frame: FLAME's own (metres, +X the subject's left, +Y up, +Z out of the face; its origin lies inside the head
and is not between the ears). Equations and shapes: formats-cap4d 2.1, 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ...errors import ModelError

Array = np.ndarray

VARIANTS = ("2020", "2023", "2023_no_jaw", "2023_open")
"""The releases. They share their vertices and nothing else: a coefficient of one means something else in
another.
"""
VERTICES, FACES, SHAPES, EXPRESSIONS, CORRECTIVES = 5023, 9976, 300, 100, 36
STANDARD, CAP4D = "standard", "cap4d"
MODES = (STANDARD, CAP4D)
"""The two forward passes, see `forward`."""
JOINTS = ("root", "neck", "jaw", "eye_left", "eye_right")
PARENTS = (-1, 0, 1, 1, 1)
ROOT, NECK, JAW, EYE_LEFT, EYE_RIGHT = range(5)
CAP4D_SHAPES, CAP4D_EXPRESSIONS, BLINK = 150, 65, 64
"""CAP4D uses the first 150 shapes, and 64 expressions with its blink shape after them."""


@dataclass(frozen=True)
class FlameRows:
    """The model at some of its vertices: all that a forward pass needs, the joints included.

    A slice at the landmarks is a hundred times cheaper to evaluate and gives the same points.
    """

    variant: str
    mode: str
    """`standard` or `cap4d`: which expressions these are."""
    rows: Array
    """(n,) int vertices of the model."""
    template: Array
    """(n, 3) float64 metres."""
    shapes: Array
    """(300, n, 3) float64 metres."""
    expressions: Array
    """(E, n, 3) float64 metres: 100 of the release, or CAP4D's 65."""
    correctives: Array
    """(4, 3, 3, n, 3) float64: what each entry of a joint's rotation adds; joints neck, jaw, left and right
    eye.
    """
    weights: Array
    """(n, 5) float64 skin weights."""
    joints: Array
    """(5, 3) float64 metres in the template."""
    joint_shapes: Array
    """(300, 5, 3) float64: how they follow the shapes."""
    joint_expressions: Array
    """(E, 5, 3) float64: how they follow the expressions, as CAP4D has it."""


@dataclass(frozen=True)
class FlameModel:
    """One release, read from the user's file by `read_flame`."""

    variant: str
    """One of `VARIANTS`."""
    template: Array
    """(5023, 3) float64 metres."""
    shapes: Array
    """(300, 5023, 3) float32 metres per unit of a coefficient, which is one standard deviation."""
    expressions: Array
    """(100, 5023, 3) float32 metres."""
    correctives: Array
    """(5023, 3, 36) float32 pose correctives, as stored."""
    weights: Array
    """(5023, 5) float64 skin weights."""
    regressor: Array
    """(5, 5023) float64: joints as weighted sums of vertices."""
    faces: Array
    """(9976, 3) int32."""
    sha256: str = ""
    """Of the file it was read from."""
    blink: Array | None = field(default=None)
    """(5023, 3) metres: CAP4D's blink shape, where the user's files have it."""
    jaw_regressor: Array | None = field(default=None)
    """(65, 3): CAP4D's rotation vector of the lower jaw per expression, where the user's files have it."""

    def __post_init__(self) -> None:
        shapes = {
            "template": (VERTICES, 3),
            "shapes": (SHAPES, VERTICES, 3),
            "expressions": (EXPRESSIONS, VERTICES, 3),
            "correctives": (VERTICES, 3, CORRECTIVES),
            "weights": (VERTICES, len(JOINTS)),
            "regressor": (len(JOINTS), VERTICES),
            "faces": (FACES, 3),
        }
        optional = {"blink": (VERTICES, 3), "jaw_regressor": (CAP4D_EXPRESSIONS, 3)}
        shapes |= {name: shape for name, shape in optional.items() if getattr(self, name) is not None}
        for name, shape in shapes.items():
            _require(name, getattr(self, name), shape)
        if self.faces.min() < 0 or self.faces.max() >= VERTICES:
            raise ModelError("The FLAME model's faces point outside its vertices.")
        if self.variant not in VARIANTS:
            raise ModelError(
                f"{self.variant!r} is no release of FLAME.", f"Choose one of {', '.join(VARIANTS)}."
            )

    @property
    def has_jaw(self) -> bool:
        """Whether a joint opens the mouth; in the release without a jaw the expressions do."""
        return self.variant != "2023_no_jaw"

    @cached_property
    def whole(self) -> FlameRows:
        """All vertices with the release's own 100 expressions."""
        return self.at(np.arange(VERTICES))

    @cached_property
    def cap4d(self) -> FlameRows:
        """All vertices with CAP4D's 65 expressions."""
        return self.at(np.arange(VERTICES), CAP4D)

    def at(self, rows: Array, mode: str = STANDARD) -> FlameRows:
        """The model at some vertices ((n,) int). In the mode `cap4d` it has CAP4D's 65 expressions, not the
        100.

        CAP4D's form exists for the release without a jaw and needs its blink shape; ModelError without them.
        """
        if mode not in MODES:
            raise ModelError(f"{mode!r} is no way to evaluate FLAME.", "Choose standard or cap4d.")
        expressions = self._cap4d_expressions() if mode == CAP4D else self.expressions
        shapes = self.shapes.astype(np.float64)
        moved = expressions.astype(np.float64)
        correctives = self.correctives[rows].astype(np.float64).reshape(len(rows), 3, 4, 3, 3)
        return FlameRows(
            variant=self.variant,
            mode=mode,
            rows=np.asarray(rows),
            template=self.template[rows],
            shapes=np.ascontiguousarray(shapes[:, rows]),
            expressions=np.ascontiguousarray(moved[:, rows]),
            correctives=np.ascontiguousarray(correctives.transpose(2, 3, 4, 0, 1)),
            weights=self.weights[rows],
            joints=self.regressor @ self.template,
            joint_shapes=self.regressor @ shapes,
            joint_expressions=self.regressor @ moved,
        )

    def _cap4d_expressions(self) -> Array:
        if self.variant != "2023_no_jaw":
            raise ModelError(
                f"CAP4D's files are made for FLAME 2023 without a jaw, and this is {self.variant}.",
                "Re-fit the parameters, or bring flame2023_no_jaw.pkl.",
            )
        if self.blink is None:
            raise ModelError(
                "CAP4D's blink shape is missing.",
                "Put blink_blendshape.npy beside the FLAME file and import it again.",
            )
        return np.concatenate([self.expressions[:BLINK], self.blink[None].astype(np.float32)])

    def origin_rows(self) -> Array:
        """(n,) int32: the ears (see `ears`), between which the head frame has its origin."""
        return ears(self.template, (self.regressor @ self.template)[EYE_LEFT:])

    def with_cap4d(self, blink: Array | None, jaw_regressor: Array | None) -> FlameModel:
        """The same model with CAP4D's two arrays."""
        return replace(self, blink=blink, jaw_regressor=jaw_regressor)


def ears(vertices: Array, eyes: Array, count: int = 24) -> Array:
    """(2 count,) int32: the outermost vertices of each side at the height of the ears.

    `vertices`: (V, 3) metres; `eyes`: (2, 3) centres of the eyeballs. Ears reach from the brows to the base
    of the nose and stand farther from the middle than all else there.
    """
    apart = float(np.linalg.norm(eyes[0] - eyes[1]))
    height = vertices[:, 1] - eyes[:, 1].mean()
    near = np.flatnonzero((height < 0.3 * apart) & (height > -0.7 * apart))
    order = near[np.argsort(vertices[near, 0], kind="stable")]
    return np.sort(np.concatenate([order[:count], order[-count:]])).astype(np.int32)


def _require(name: str, array: Array, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ModelError(f"The FLAME model's {name} has shape {array.shape}; {shape} is expected.")
    if array.dtype.kind not in "fiu" or not np.all(np.isfinite(array)):
        raise ModelError(f"The FLAME model's {name} has values that are no finite numbers.")
