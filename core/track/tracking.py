# SPDX-License-Identifier: GPL-3.0-or-later
"""From a capture to the track of the one face it is about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..arkit import ARKIT_NAMES
from ..capture import Capture
from ..errors import CaptureError
from ..progress import Progress, silent
from .confidence import confidence
from .detector import FACES
from .looking import DARK, STAGE, Looked, Options, look
from .mediapipe_module import quiet
from .people import largest, people, seen
from .source import Source
from .track import LANDMARKS, Track

_SENTENCES = 5


def track_capture(
    capture: Capture,
    progress: Progress = silent,
    *,
    models: Sequence[Path] = (),
    detector: str = "auto",
    media: str = "auto",
    faces: int = FACES,
) -> Track:
    """Track the face in a capture's movie, or in its photos or numbered frames where it has no movie.

    `models`: folders where the task bundle may be; `detector` one of `core.track.detector.KINDS`; `media`
    insists on the movie or the photos. Lost frames are marked and not filled (see `core.track.bridged`). The
    face with the greatest presence x area is kept; a warning says how many there were.

    Errors: CaptureError when there is nothing to look at, nothing readable, a movie of a single frame or no
    face; WorkerError when a library is missing; ModelError for a damaged bundle. `progress` may raise
    Cancelled.
    """
    source = Source.of(capture, media)
    progress(0.0, STAGE, f"Looking for the face in {source.name}")
    with quiet():
        looked = look(source, Options(tuple(models), detector, faces), progress)
    _refuse_useless(source, looked)
    track = _track(capture, source, looked)
    progress(1.0, STAGE, f"{int(track.tracked.sum())} of {track.frame_count} pictures show the face")
    return track


def _refuse_useless(source: Source, looked: Looked) -> None:
    """One sentence for footage that gives no track."""
    name, found = source.name, looked.found
    if not found:
        hint = looked.problems[0] if looked.problems else "The file is damaged: copy it again."
        raise CaptureError(f"No picture of {name} can be read.", hint)
    if source.movie and len(found) == 1:
        raise CaptureError(
            f"The movie {name} has a single picture, which is no performance.",
            "Save it as a photo to use it.",
        )
    if looked.count:
        return
    if np.nanmax([one.brightness for one in found]) < DARK:
        raise CaptureError(f"{name} is almost black, so no face was found in it.", "Record with more light.")
    raise CaptureError(
        f"No face was found in {name}.", "Choose footage that shows one face large and from the front."
    )


def _track(capture: Capture, source: Source, looked: Looked) -> Track:
    """The arrays of the face that is kept."""
    found = looked.found
    time = np.array([one.time for one in found])
    none = np.zeros((0, LANDMARKS, 3))
    candidates = [np.stack([f.landmarks for f in one.faces]) if one.faces else none for one in found]
    picks, faces = _choice(time, candidates, source.ordered)
    both = list(zip(found, picks, strict=True))
    chosen = [one.faces[pick] if pick >= 0 else None for one, pick in both]
    landmarks = _rows([face and face.landmarks for face in chosen], (LANDMARKS, 3))
    assert landmarks is not None
    sharpness = np.array([one.sharpness[pick] if pick >= 0 else 0.0 for one, pick in both])
    scale = np.array([one.scale for one in found])
    return Track(
        name=capture.name,
        time=time,
        landmarks=landmarks,
        confidence=confidence(time, landmarks, scale, sharpness, ordered=source.ordered),
        size=np.array([one.size for one in found]),
        scores=_rows([face and face.scores for face in chosen], (len(ARKIT_NAMES),)),
        transform=_rows([face and face.transform for face in chosen], (4, 4)),
        skin=_rows([face and face.skin for face in chosen], (3,)),
        ordered=source.ordered,
        detector=looked.detector,
        source=source.name,
        skipped=looked.skipped,
        faces=faces,
        warnings=(*looked.notes, *_warnings(source, looked, faces, lost=picks.count(-1))),
    )


def _choice(time: np.ndarray, candidates: list[np.ndarray], ordered: bool) -> tuple[list[int], int]:
    """Which face of each frame is kept (-1: none), and how many faces there were."""
    if not ordered:
        return largest(candidates), max(len(faces) for faces in candidates)
    everybody = people(time, candidates)
    picks = [-1] * len(candidates)
    for frame, pick in zip(everybody[0].frames, everybody[0].picks, strict=True):
        picks[frame] = pick
    return picks, seen(everybody)


def _rows(values: list, shape: tuple[int, ...]) -> np.ndarray | None:
    """(T, *shape) float32 with NaN where a row is None; None when all are."""
    if all(value is None for value in values):
        return None
    result = np.full((len(values), *shape), np.nan, np.float32)
    for row, value in enumerate(values):
        if value is not None:
            result[row] = value
    return result


def _warnings(source: Source, looked: Looked, faces: int, lost: int) -> list[str]:
    """What the user should know about the track."""
    warnings = list(looked.problems[:_SENTENCES])
    unsaid = looked.skipped - len(warnings)
    if unsaid > 0:
        warnings.append(f"{unsaid} damaged pictures of {source.name} were left out.")
    if faces > 1:
        which = "that is there longest and largest" if source.ordered else "that is largest in each photo"
        warnings.append(f"{source.name} shows {faces} faces; the one {which} was used.")
    if lost:
        what = "pictures" if source.ordered else "photos"
        warnings.append(f"The face was not found in {lost} {what} of {source.name}.")
    return warnings
