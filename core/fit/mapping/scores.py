# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores out of the files people have: a performance, a track, or a Live Link Face table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ...arkit import ARKIT_NAMES
from ...errors import SettingsError
from ...files import read_npz
from ...performance import Performance
from .mapping import Mapping

Array = np.ndarray

_MOST_BYTES = 2 * 2**30


def read_scores(path: Path) -> Performance:
    """The file as a performance: a performance's own .npz, the scores of a track, or a table of weights.

    Frames without a face are bridged in time, with confidence 0. SettingsError for a file without scores;
    AvatarError and CaptureError for a damaged one.
    """
    path = Path(path)
    if path.suffix.lower() == ".npz":
        names = set(read_npz(path, SettingsError, _MOST_BYTES))
        return Performance.load(path) if "weights" in names else _from_track(path)
    from ...capture.live_link import read_live_link
    from ...capture.member import Member

    try:
        member = Member(path.name, path.stat().st_size, path)
    except OSError as problem:
        raise SettingsError(f"{path} cannot be read: {problem.strerror or problem}.") from problem
    return read_live_link(member, path.stem).performance


def with_flame(performance: Performance, mapping: Mapping) -> Performance:
    """The performance with expression, jaw and eyes of the mapping's model beside its weights.

    They replace what was there: parameters of two variants must not lie side by side.
    """
    flame = mapping.convert(performance.weights).as_dict()
    note = f"expression, jaw and eyes for {mapping.variant or 'an unnamed model'}"
    source = f"{performance.source}; {note}" if performance.source else note
    return replace(performance, flame=flame, source=source)


def _from_track(path: Path) -> Performance:
    from ...track import Track

    track = Track.load(path)
    if track.scores is None:
        raise SettingsError(
            f"{path.name} was tracked without scores.", "Track with the face_landmarker.task bundle."
        )
    seen = (track.confidence > 0) & np.all(np.isfinite(track.scores), axis=1)
    if not seen.any():
        raise SettingsError(f"{path.name} has no frame with a face.")
    weights = np.stack(
        [np.interp(track.time, track.time[seen], track.scores[seen, k]) for k in range(len(ARKIT_NAMES))],
        axis=1,
    )
    return Performance(
        name=track.name,
        time=track.time,
        weights=weights.astype(np.float32),
        confidence=np.where(seen, track.confidence, 0.0),
        source=f"scores of {track.source or path.name}",
    )
