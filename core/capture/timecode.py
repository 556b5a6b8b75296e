# SPDX-License-Identifier: GPL-3.0-or-later
"""Time codes of the Live Link Face app: `HH:MM:SS:FF.mmm`, FF counting sixtieths whatever the frame rate.

Measured on real takes (formats-capture 4.2): 30 frames/s recordings advance FF by two, and .mmm is a
thousandth of FF.
"""

from __future__ import annotations

import re

import numpy as np

BASE = 60.0
DAY = 86_400.0
_TIMECODE = re.compile(r"^\s*(\d{1,2})[:;.](\d{1,2})[:;.](\d{1,2})[:;.](\d{1,3}(?:\.\d+)?)\s*$")


def parse_timecode(text: str) -> float | None:
    """Seconds since midnight of one time code, or None when it is not one."""
    match = _TIMECODE.match(text)
    if not match:
        return None
    fields = np.array([[float(group) for group in match.groups()]])
    return None if bad_fields(fields).any() else float(seconds_of(fields)[0])


def bad_fields(fields: np.ndarray, base: float = BASE) -> np.ndarray:
    """(T,) bool: rows of (T, 4) hour, minute, second, frame that are no time of day."""
    limits = np.array([24.0, 60.0, 60.0, base])
    good = (fields >= 0.0) & (fields < limits) & np.isfinite(fields)
    return ~good.all(axis=1)


def seconds_of(fields: np.ndarray, base: float = BASE) -> np.ndarray:
    """(T,) float64 seconds since midnight of (T, 4) hour, minute, second, frame."""
    return fields @ np.array([3600.0, 60.0, 1.0, 1.0 / base])


def frame_base(fields: np.ndarray) -> float:
    """Frames per second that FF counts: 60, as the app does, unless the whole take speaks for 24, 25 or 30.

    Tables made by other tools count in their own rate. Over three seconds or more a count of sixtieths
    passes 30, so a count that never does is of another base.
    """
    frames = np.floor(fields[:, 3])
    seconds = fields[:, :3] @ np.array([3600.0, 60.0, 1.0])
    if len(np.unique(seconds)) < 4 or frames.max() > 29.0:
        return BASE
    return next(base for base in (24.0, 25.0, 30.0) if frames.max() < base)


def unwrapped(seconds: np.ndarray) -> np.ndarray:
    """(T,) seconds that run on over midnight instead of starting again."""
    jumps = np.diff(seconds, prepend=seconds[:1])
    return seconds + DAY * np.cumsum(jumps < -DAY / 2)


def difference(later: float, earlier: float) -> float:
    """Seconds from one time of day to another, between -12 h and +12 h."""
    return (later - earlier + DAY / 2) % DAY - DAY / 2
