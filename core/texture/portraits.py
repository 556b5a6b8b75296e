# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos beside a movie: a phone's archive brings a portrait with many times the pixels of its movie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..capture import Capture
from ..errors import CaptureError
from ..fit.face_mesh import MeshFit
from ..fit.likeness import fit_likeness
from ..head import HeadModel, Rest
from ..performance import Performance
from ..track import track_capture
from ..track.lens import focal_px

MOST = 8
"""Photos that are looked at."""
_UNKNOWN = {
    "weights": np.zeros(0, np.float32),
    "rotation": np.eye(3),
    "translation": np.zeros(3),
    "identity_error_mm": (0.0, 0.0),
    "error_mm": (0.0, 0.0),
    "paired": 1.0,
    "size": (0.0, 0.0, 0.0),
    "scale": 1.0,
    "warnings": (),
}


def portraits(
    capture: Capture,
    model: HeadModel,
    rest: Rest,
    coefficients: np.ndarray,
    models: Sequence[Path] = (),
) -> tuple[Capture, Performance] | None:
    """The photos of a capture that is also a movie, and how the known person stands in them: one sample per
    photo, with a camera each. None where there is no photo, or no face in any.
    """
    if capture.movie is None or not capture.photos:
        return None
    photos = replace(capture, movie=None, photos=capture.photos[:MOST], kind="photos")
    plain = model.rest(coefficients)
    detail = model.template_rows(rest.vertices) - model.template_rows(plain.vertices)
    known = MeshFit(values={}, coefficients=coefficients, detail=detail, **_UNKNOWN)
    try:
        track = track_capture(photos, models=models, media="photos")
        found = fit_likeness(track, model, scan=known, focal=focal_px(photos.photos))
    except CaptureError:
        return None
    return photos, found.performance
