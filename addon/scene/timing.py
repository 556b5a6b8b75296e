# SPDX-License-Identifier: GPL-3.0-or-later
"""Scene rate and range from seconds."""

from __future__ import annotations

import math

import bpy

from ...core.performance import Performance
from .double import ID_KEY, person_roots

STANDARD_RATES = (
    (24, 1.001), (24, 1.0), (25, 1.0), (30, 1.001), (30, 1.0), (48, 1.0), (50, 1.0), (60, 1.001), (60, 1.0),
    (90, 1.0), (100, 1.0), (120, 1.001), (120, 1.0), (240, 1.0),
)  # fmt: skip
_RANGE_KEY = "likeness_range"


def rate_of(scene: bpy.types.Scene) -> float:
    """Frames per second of a scene."""
    return scene.render.fps / scene.render.fps_base


def as_fraction(rate: float) -> tuple[int, float]:
    """`fps` and `fps_base` for a rate: a standard one within 0.04 %, else the exact value.

    The tolerance tells 29.97 from 30, which differ by 0.1 %, and forgives time stamps in whole milliseconds.
    """
    fps, base = min(STANDARD_RATES, key=lambda pair: abs(pair[0] / pair[1] / rate - 1.0))
    if abs(fps / base / rate - 1.0) < 4e-4:
        return fps, base
    whole = max(1, math.ceil(rate))
    return whole, whole / rate


def set_rate(scene: bpy.types.Scene, rate: float) -> None:
    """Give a scene this many frames per second."""
    scene.render.fps, scene.render.fps_base = as_fraction(rate)


def fit_range(
    scene: bpy.types.Scene, root: bpy.types.Object, performance: Performance, first_frame: int
) -> None:
    """Make the scene's range that of all performances in it; playback drops frames to keep up with the
    sound.
    """
    fit_span(scene, root, float(performance.time[0]), float(performance.time[-1]), first_frame)


def fit_span(
    scene: bpy.types.Scene, root: bpy.types.Object, begin: float, end: float, first_frame: int
) -> None:
    """The same for somebody who plays from `begin` to `end` seconds."""
    root[_RANGE_KEY] = [begin, end, float(first_frame)]
    ranges = [tuple(other[_RANGE_KEY]) for other in person_roots(scene) if _RANGE_KEY in other]
    rate = rate_of(scene)
    start = min(first + begin * rate for begin, _end, first in ranges)
    stop = max(first + end * rate for _begin, end, first in ranges)
    # A sample a hair before a whole frame belongs to that frame.
    scene.frame_start = max(0, math.floor(start + 0.01))
    scene.frame_end = max(scene.frame_start, math.floor(stop + 0.01))
    scene.sync_mode = "AUDIO_SYNC"


def is_only_performer(scene: bpy.types.Scene, root: bpy.types.Object) -> bool:
    """Whether nobody else in the scene has a performance, so that the rate is this one's to set."""
    others = (other for other in person_roots(scene) if other.get(ID_KEY) != root.get(ID_KEY))
    return all(_RANGE_KEY not in other for other in others)
