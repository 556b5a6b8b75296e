# SPDX-License-Identifier: GPL-3.0-or-later
"""A take in FLAME's own parameters: shape from its keyframes, then head, expression, jaw and eyes of every
frame.

What the 52 weights of the take say of FLAME's parameters (a mapping) is where each frame starts and what it
is held near; the landmarks refine it by FLAME's own forward pass, and the head's pose is solved for FLAME's
head, whose neutral face is not that of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import SettingsError
from ..head import HeadModel
from ..head.embedding import LandmarkEmbedding
from ..performance import Performance
from ..progress import Progress, silent, subrange
from ..track import Track
from .flame_face import FlameFace
from .flame_frames import FlameFrames, FlameTakeFit
from .flame_head import FlameHead, calibrated
from .frame import Expected
from .identity import fit_identity
from .mapping import Mapping
from .person import fit_person, keyframes
from .projection import Lens
from .slices import FACE, IdentityRows
from .take import TakeFit, fit_take

Array = np.ndarray

EXPRESSION_SPREAD = 0.5
"""How far a mapped coefficient is off, in deviations of FLAME's expressions."""
JAW_SPREAD = 0.1
"""Radians that a mapped jaw is off."""


def fit_flame_take(
    track: Track,
    performance: Performance,
    flame: FlameHead,
    mapping: Mapping | None = None,
    *,
    progress: Progress = silent,
) -> FlameTakeFit:
    """FLAME's parameters of the face in `track`, starting from what `performance` was solved from it.

    mapping: from weights to this form of FLAME, by default derived by geometry. The focal length is the
    performance's where it has one. Needs scipy. CaptureError for a track without a face, SettingsError where
    track and performance are of different times.
    """
    if len(performance.time) != len(track.time) or np.abs(performance.time - track.time).max() > 1e-6:
        raise SettingsError(
            f"{performance.name!r} is not in time with its track.", "Import the footage again."
        )
    motion = (mapping or flame.mapping()).convert(performance.weights)
    means = motion.expression.astype(np.float64)
    if flame.model.has_jaw:
        means = np.concatenate([means, motion.jaw], axis=1)
    eyes = motion.eyes.astype(np.float64).reshape(-1, 2, 3).mean(axis=1)
    expected = _expectations(means, flame.expression_count)
    progress(0.0, "identity", "Fitting FLAME's head")
    shape, lenses = _identity(track, performance, flame, (means, eyes, expected))
    solved = FlameFrames(track, performance, FlameFace.of(flame, shape), lenses, means, eyes, expected)
    solved.solve(subrange(progress, 0.3, 1.0))
    return solved.result(shape)


def take_fit_with_model(
    track: Track, model: HeadModel, embedding: LandmarkEmbedding | None = None, *, progress: Progress = silent
) -> TakeFit:
    """Person and performance by any head model that has ARKit's expressions (ICT-FaceKit): the weights come
    under ARKit's names.

    The model is calibrated first where it never was, unless its landmarks are given. Errors: those of
    `fit_person` and `calibrate`.
    """
    embedding = embedding or calibrated(model, progress=progress)
    progress(0.0, "identity", f"Fitting the head {model.name}")
    person = fit_person(track, model, embedding)
    return fit_take(track, person, progress=subrange(progress, 0.3, 1.0))


def _expectations(means: Array, expressions: int) -> list[Expected]:
    """What the mapping says, as a prior of every frame: means (T, n)."""
    spread = np.full(means.shape[1], JAW_SPREAD)
    spread[:expressions] = EXPRESSION_SPREAD
    precision = np.diag(spread**-2.0)
    return [Expected(precision, mean * spread**-2.0) for mean in means]


def _identity(
    track: Track,
    performance: Performance,
    flame: FlameHead,
    told: tuple[Array, Array, Sequence[Expected]],
) -> tuple[Array, tuple[Lens, ...]]:
    """Shape coefficients (S,) and lenses: one for a video, one per tracked photo. told: weights, eyes and
    priors of every frame.
    """
    means, eyes, expected = told
    pictures, cameras, frames = keyframes(track, expected)
    face = FlameFace.of(flame, np.zeros(0))
    resting = face.resting
    exact = face.points(means[frames], eyes[frames])[:, :FACE]
    straight = resting.points + np.tensordot(means[frames], resting.expression, 1)
    pictures = [replace(p, offset=off) for p, off in zip(pictures, exact - straight, strict=True)]
    rows = IdentityRows.of(flame.head, flame.embedding)
    fit = fit_identity(rows, resting, pictures, cameras=cameras, focal=_known_focal(performance))
    shape = flame.head.identity_coefficients(fit.values).astype(np.float64)
    return shape, fit.lenses[:1] if track.ordered else fit.lenses


def _known_focal(performance: Performance) -> float | None:
    """The focal length that the performance was solved with, where it is one."""
    if performance.camera is None or np.ptp(performance.camera.focal) > 1e-6:
        return None
    return float(performance.camera.focal[0])
