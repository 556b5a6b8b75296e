# SPDX-License-Identifier: GPL-3.0-or-later
"""A track to a person with a performance: the fit as the pipeline asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import CaptureError
from ..head import HeadModel
from ..head.embedding import load_embedding
from ..performance import Performance
from ..progress import Progress, silent, subrange
from ..track import Track
from ..track.jitter import jitter_px, still_frames
from ..track.skin import melanin
from .face_mesh import MeshFit
from .person import FittedPerson, fit_person
from .take import TakeFit, fit_take

Array = np.ndarray

POOR = 0.03
"""Landmark error as a share of the face box from which the user is warned."""


@dataclass(frozen=True)
class Likeness:
    """Who the footage shows, and what they do in it."""

    person: FittedPerson
    performance: Performance
    figures: dict[str, float]
    """`landmark_error_px`, `landmark_error_of_face`, `jitter_px`, `jitter_detector_px`, `focal_px`."""
    warnings: tuple[str, ...]
    """What the user should know, one sentence each."""
    fit: TakeFit
    """The solved take, with its errors by frame."""
    appearance: dict[str, float]
    """What the footage shows besides shape (see `core.avatar.Avatar.appearance`)."""


def fit_likeness(
    track: Track,
    model: HeadModel,
    *,
    known: Mapping[str, float] | None = None,
    scan: MeshFit | None = None,
    focal: float | None = None,
    name: str = "",
    neutral_time: float | None = None,
    progress: Progress = silent,
) -> Likeness:
    """Identity, surface and performance of the face in `track`.

    known: identity parameters that somebody told. scan: the person by a face mesh. focal: px, where the
    camera is known. neutral_time: s, the moment that shows the neutral face. Needs scipy. CaptureError when
    no frame shows the face.
    """
    if not np.any(track.tracked):
        raise CaptureError(f"No face was found in {track.name}.", "Choose footage that shows a face.")
    embedding = load_embedding(model)
    progress(0.0, "identity", "Fitting the head")
    person = fit_person(track, model, embedding, focal=focal, known=known, scan=scan)
    progress(0.3, "performance", "Solving the performance")
    fit = fit_take(track, person, name=name, neutral_time=neutral_time, progress=subrange(progress, 0.3, 1.0))
    return Likeness(
        fit.person,
        fit.performance,
        figures_of(track, fit),
        tuple(_warnings(track, fit)),
        fit,
        appearance_of(track),
    )


def figures_of(track: Track, fit: TakeFit) -> dict[str, float]:
    """How well a take was fitted, for its report."""
    seen = np.isfinite(fit.errors)
    figures = {
        "landmark_error_px": float(np.mean(fit.errors[seen])),
        "landmark_error_of_face": float(np.mean(fit.errors[seen] / fit.face_size[seen])),
        "focal_px": float(fit.person.lens[0].focal),
    }
    if track.ordered and np.count_nonzero(seen) > 4:
        still = still_frames(track.time, track.landmarks)
        figures["jitter_px"] = jitter_px(track.time, fit.projected, still)
        figures["jitter_detector_px"] = jitter_px(track.time, track.landmarks, still)
    return {key: round(value, 5) for key, value in figures.items() if np.isfinite(value)}


def appearance_of(track: Track) -> dict[str, float]:
    """What colours the track saw, as the materials want them."""
    if track.skin is None:
        return {}
    return {"melanin": round(melanin(np.nanmedian(track.skin, axis=0)), 3)}


def _warnings(track: Track, fit: TakeFit) -> list[str]:
    found = list(track.warnings)
    error = float(np.nanmean(fit.errors / fit.face_size))
    if error > POOR:
        found.append(
            f"The fitted face is off by {100 * error:.1f}% of its size on average; "
            "sharper or better lit footage would give a closer head."
        )
    return found
