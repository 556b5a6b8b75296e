# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded weights of a capture as a Performance, aligned with its movie."""

from __future__ import annotations

from ..performance import Performance
from .capture import Capture
from .live_link import Reading, read_live_link
from .take import movie_start


def read_recording(capture: Capture) -> Reading | None:
    """The capture's weights with everything met while reading them, or None where it has none.

    Time 0 is the first picture of the movie where take.json or the frame log says when that was, else the
    first row. CaptureError says which line and column cannot be used.
    """
    if capture.weights_csv is None:
        return None
    start = movie_start(capture.metadata) if capture.movie is not None else None
    return read_live_link(capture.weights_csv, capture.name, start)


def read_performance(capture: Capture, warnings: list[str] | None = None) -> Performance | None:
    """The capture's recorded weights, head rotation and gaze, or None where it has none; warnings go to
    `warnings`.
    """
    reading = read_recording(capture)
    if reading is None:
        return None
    if warnings is not None:
        warnings.extend(reading.warnings)
    return reading.performance
