# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing the CSV of the Live Link Face app (formats-capture 4.2). `core.capture.live_link` reads it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import rotation
from .arkit import LIVE_LINK_CSV_NAMES, LIVE_LINK_SIGNS, SWAP_MOUTH
from .errors import AvatarError
from .files import atomic_path

if TYPE_CHECKING:
    from .performance import Performance

_DAY_SECONDS = 86_400
_TICKS = 60_000  # a second is 60 frames of a thousand parts, whatever the rate of the video


def format_timecode(seconds: float) -> str:
    """`HH:MM:SS:FF.mmm` of a time of day in s, FF on a base of 60, to a thousandth of a frame; wraps at
    midnight.
    """
    ticks = round(seconds * _TICKS) % (_DAY_SECONDS * _TICKS)
    minutes, ticks = divmod(ticks, 60 * _TICKS)
    second, ticks = divmod(ticks, _TICKS)
    frame, thousandth = divmod(ticks, 1000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}:{frame:02d}.{thousandth:03d}"


def live_link_values(performance: Performance) -> np.ndarray:
    """(T, 61) float64 in the column order and with the signs of the app; radians for the last nine."""
    angles = np.zeros((performance.frame_count, 9))
    if performance.head_rotation is not None:
        angles[:, :3] = np.stack(rotation.to_angles(performance.head_rotation), axis=1)
    gaze = performance.gaze_or_from_weights()
    angles[:, 3:5], angles[:, 6:8] = gaze[:, 0], gaze[:, 1]
    weights = performance.weights[:, SWAP_MOUTH].astype(np.float64)
    return np.concatenate([weights, angles * np.array(LIVE_LINK_SIGNS)], axis=1) + 0.0  # + 0.0: no "-0.0"


def write_live_link_csv(performance: Performance, path: Path) -> None:
    """Write the file beside `path` and rename it; AvatarError where that is impossible."""
    start = 0.0 if performance.timecode is None else performance.timecode
    seconds = start + (performance.time - performance.time[0])
    try:
        with atomic_path(path) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
            stream.write(",".join(("Timecode", "BlendShapeCount", *LIVE_LINK_CSV_NAMES)) + "\n")
            for second, row in zip(seconds.tolist(), live_link_values(performance).tolist(), strict=True):
                cells = ",".join(f"{value:.10f}" for value in row)
                stream.write(f"{format_timecode(second)},{len(row)},{cells}\n")
    except OSError as problem:
        reason = problem.strerror or problem
        raise AvatarError(f"The CSV cannot be written to {path}: {reason}.") from problem
