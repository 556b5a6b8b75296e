# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own mapping, with no data: parameters of a model that make its surface move as ARKit's shapes move
ours.

Both heads are seen at the same 468 landmarks (and the irises, where the target's expressions turn its eyes).
The motion of each shape is carried over by the similarity between the two resting faces, and the target's
expression and jaw are solved to reproduce it. Eyes that no expression turns get the angle that a score of 1
means.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arkit import ARKIT_NAMES, INDEX, canonical_name
from ...errors import ModelError
from ...head import HeadModel
from ...head.embedding import LandmarkEmbedding
from .geometry_report import GeometryReport, ShapeError
from .mapping import Mapping
from .motion import Similarity, eye_rotations, score_motions
from .names import POSE_COUNT
from .solve import Prior, Start, solve_shape
from .surface import Surface, jaw_joint

Array = np.ndarray

FACE = slice(0, 468)
FACE_AND_IRISES = slice(0, 478)
SURE = 1e-3
"""Metres: scatter of landmarks below this makes no difference."""
LEAST_TURN = 1e-3
"""Metres that an expression moves the middle of an iris which it turns."""
CONTEXT = {"mouthClose": "jawOpen"}
"""Shapes that mean something only on top of another: mouthClose brings the lips together over an open jaw."""
COMBINATIONS = (
    ("jawOpen", "mouthClose"),
    ("jawOpen", "mouthFunnel"),
    ("jawOpen", "jawLeft"),
    ("jawOpen", "mouthSmileLeft", "mouthSmileRight"),
    ("eyeBlinkLeft", "eyeBlinkRight", "cheekSquintLeft", "cheekSquintRight"),
    ("browInnerUp", "browOuterUpLeft", "browOuterUpRight", "eyeWideLeft", "eyeWideRight"),
)
"""Sets of scores that occur together and are checked together."""


@dataclass(frozen=True)
class Head:
    """A model and where its landmarks are."""

    model: HeadModel
    embedding: LandmarkEmbedding


def derive_mapping(
    source: Head, target: Head, prior: Prior | None = None, *, non_negative: bool | None = None
) -> tuple[Mapping, GeometryReport]:
    """The mapping from ARKit scores to the parameters of `target`, and how well each shape is met. About 1 s.

    `source` has ARKit's expressions (our body). `non_negative`: no score lowers an expression coefficient; by
    default so where the target's expressions are named as ARKit's are, since those are weights and not
    components. ModelError for models that cannot be compared.
    """
    prior = prior or Prior()
    turned = _turned_by_expressions(target)
    landmarks = FACE_AND_IRISES if turned else FACE
    surface = Surface.of(target.model, target.embedding, landmarks)
    resting = Surface.of(source.model, source.embedding, landmarks)
    if min(np.ptp(resting.points, axis=0).min(), np.ptp(surface.points, axis=0).min()) <= 0:
        raise ModelError("The landmarks of one of the head models lie in a plane.", "Calibrate it again.")
    weights = _trust(surface.scatter, resting.scatter)
    across = Similarity.between(resting.points, surface.points, weights)
    motions = across.motions(score_motions(source.model, source.embedding, landmarks))
    if non_negative is None:
        non_negative = named_like_arkit(target.model)
    matrix = _solve_all(surface, motions, weights, prior, non_negative)
    if not turned:
        matrix[:, -6:] = eye_rotations()
    report = _report(surface, motions, weights, matrix, across.scale)
    return Mapping.linear(
        ARKIT_NAMES, matrix, variant=variant_of(target.model), provenance=_how(source, target)
    ), report


def named_like_arkit(model: HeadModel) -> bool:
    """Whether most of a model's expressions are ARKit's by name, in any dialect."""
    known = sum(canonical_name(name) is not None for name in model.expression_names)
    return known > len(model.expression_names) / 2


def variant_of(model: HeadModel) -> str:
    """The tag of a model that parameters belong to: FLAME's release, else the model's name."""
    release = model.provenance.get("flame_variant")
    basis = model.provenance.get("expressions")
    return "/".join(part for part in (release, basis) if part) or model.name


def _trust(*scatters: Array) -> Array:
    """(L,) weights of mean 1: less where a landmark is not surely at the same place on both heads."""
    weights = 1.0 / (SURE**2 + np.sum(np.square(scatters), axis=0))
    return weights / weights.mean()


def _turned_by_expressions(head: Head) -> bool:
    """Whether a head has no joints for its eyes but expressions that turn them."""
    if all(isinstance(head.model.roles.get(role), str) for role in ("eye_left", "eye_right")):
        return False
    irises = Surface.of(head.model, head.embedding, slice(FACE.stop, FACE_AND_IRISES.stop))
    moved = irises.shapes.reshape(len(irises.shapes), 2, -1, 3).mean(axis=2)  # a wider pupil turns nothing
    return bool(np.max(np.abs(moved), initial=0.0) > LEAST_TURN)


def _solve_all(surface: Surface, motions: Array, weights: Array, prior: Prior, non_negative: bool) -> Array:
    """(52, E + 9): each shape alone, then those that stand on another."""
    count = len(surface.shapes)
    matrix = np.zeros((len(ARKIT_NAMES), count + POSE_COUNT))
    for name in sorted(ARKIT_NAMES, key=lambda name: name in CONTEXT):
        start = Start.rest(surface)
        if name in CONTEXT:
            below = matrix[INDEX[CONTEXT[name]]]
            start = Start(below[:count], below[count : count + 3])
        k = INDEX[name]
        found = solve_shape(surface, motions[k], weights, prior, start, non_negative)
        matrix[k, : count + 3] = np.concatenate(found)
    return matrix


def _report(surface: Surface, motions: Array, weights: Array, matrix: Array, scale: float) -> GeometryReport:
    """Each shape alone (on its context, where it has one) and each combination, as `convert` would give
    it.
    """

    def error(names: tuple[str, ...], below: tuple[str, ...] = ()) -> ShapeError:
        columns, base = [INDEX[name] for name in names], [INDEX[name] for name in below]
        before = _posed(surface, matrix[base].sum(axis=0))
        reached = _posed(surface, matrix[columns + base].sum(axis=0)) - before
        return ShapeError.of(
            names, below, motions[columns].sum(axis=0), reached, weights, matrix[columns].sum(axis=0)
        )

    shapes = tuple(error((n,), (CONTEXT[n],) if n in CONTEXT else ()) for n in ARKIT_NAMES)
    return GeometryReport(scale, shapes, tuple(error(names) for names in COMBINATIONS))


def _posed(surface: Surface, row: Array) -> Array:
    count = len(surface.shapes)
    return surface.at(row[:count], row[count : count + 3])


def _how(source: Head, target: Head) -> dict[str, str]:
    return {
        "method": "geometry at shared landmarks",
        "source": source.model.name,
        "source sha256": source.model.sha256,
        "target": target.model.name,
        "target sha256": target.model.sha256,
        "jaw": jaw_joint(target.model) or "expressions",
    }
