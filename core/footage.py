# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the way that needs the worker's libraries: from footage to a fitted head and performance."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .capture import Capture, Member, read_face_mesh
from .errors import CaptureError, LikenessError
from .head import HeadModel
from .progress import Previews, Progress, subrange
from .report import Report

if TYPE_CHECKING:
    from .fit.face_mesh import MeshFit
    from .fit.likeness import Likeness
    from .track import Track

LIBRARIES = {"av": "av", "cv2": "opencv", "mediapipe": "mediapipe", "PIL": "pillow", "scipy": "scipy"}
"""What tracking and fitting import, and what those who install it call it."""


def missing_libraries() -> list[str]:
    """Names of the libraries that tracking needs and this Python lacks."""
    return [name for module, name in LIBRARIES.items() if importlib.util.find_spec(module) is None]


def wanted(capture: Capture, tracking: bool | None, report: Report) -> bool:
    """Whether the footage is to be tracked; what stands against it where nobody decided is a warning."""
    if tracking is False or (capture.movie is None and not capture.photos):
        return False
    lacking = missing_libraries()
    if lacking and tracking is None:
        report.warnings.append(
            f"The footage was not tracked, as this Python has no {', '.join(lacking)}; "
            "with the worker environment the head is fitted to the face."
        )
        return False
    return True


def track_and_fit(
    capture: Capture,
    model: HeadModel,
    known: Mapping[str, float],
    report: Report,
    models: Sequence[Path],
    progress: Progress,
    recorded: bool,
) -> tuple[Track, Likeness] | None:
    """Find the face in the footage and fit head and performance to it.

    recorded: there are recorded weights, so footage without a face is a warning and not an error.
    """
    from .fit.likeness import fit_likeness
    from .track import track_capture
    from .track.lens import focal_px

    scan = scanned(capture.face_meshes, model, known, report)
    try:
        with report.stage("track"):
            track = track_capture(capture, subrange(progress, 0.0, 0.6), models=models)
        name = f"{capture.name} tracked" if recorded else capture.name
        with report.stage("fit"):
            show(capture, track)
            focal = None if track.ordered else focal_px(capture.photos)
            likeness = fit_likeness(
                track,
                model,
                known=known,
                scan=scan,
                focal=focal,
                name=name,
                progress=subrange(progress, 0.6, 1.0),
            )
    except CaptureError as problem:
        if not recorded:
            raise
        report.warnings.append(f"The head is not fitted to the footage: {problem.message}")
        return None
    show(capture, track, likeness.fit.projected)
    report.fit = likeness.figures
    report.warnings += likeness.warnings
    seen = int(track.tracked.sum())
    counts = {"total": track.frame_count, "tracked": seen, "dropped": track.skipped}
    report.frames = report.frames if recorded else counts
    report.tracking = {**counts, "lost": track.frame_count - seen, "faces": track.faces}
    report.tracking["detector"] = track.detector
    return track, likeness


def scanned(
    meshes: Sequence[Member], model: HeadModel, known: Mapping[str, float], report: Report
) -> MeshFit | None:
    """The person by the first face mesh, where there is one; a mesh that is no face is a warning."""
    from .fit.face_mesh import fit_face_mesh
    from .head.embedding import load_embedding

    if not meshes:
        return None
    try:
        with report.stage("face mesh"):
            scan = fit_face_mesh(read_face_mesh(meshes[0]), model, load_embedding(model), known)
    except CaptureError as problem:
        report.warnings.append(f"The face mesh was not used: {problem.message}")
        return None
    report.warnings += scan.warnings
    return scan


def show(capture: Capture, track: Track, fitted: np.ndarray | None = None) -> None:
    """Show a picture of the footage with what was found, if somebody looks. It is no reason to fail."""
    if Previews.show is None:
        return
    from .track.preview import draw_preview

    with contextlib.suppress(LikenessError, OSError, ValueError):
        path = draw_preview(capture, track, fitted)
        if path is not None:
            Previews.show(str(path))
