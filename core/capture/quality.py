# SPDX-License-Identifier: GPL-3.0-or-later
"""How good a recording of weights is: length, rate, drops, drift against the movie, clipping, dead channels,
jitter.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .. import rotation
from ..arkit import ARKIT_NAMES
from ..performance import Performance
from .live_link import Reading
from .media import MediaFacts

CLIPPED_SHARE = 0.02
"""A channel that is at its end in this share of the frames has lost movement."""
DEAD_RANGE = 1e-3
"""A channel that moves less was not recorded or does not move."""
TOLERANCE = 0.01
"""How far a weight may leave 0..1 before it is named."""
NORMAL_JITTER = 0.01
"""Noise of a weight, as a standard deviation, that can be seen on a face at rest."""


@dataclass(frozen=True)
class Quality:
    """Figures of one recording; times in seconds."""

    seconds: float
    """From the first row to the last."""
    rows: int
    rate: float
    """Rows per second, by the median step."""
    dropped: int
    """Frames missing between rows, by the time codes."""
    dropped_share: float
    longest_gap: float
    """Longest time without a row (s)."""
    repeated: int
    """Rows left out because their time does not advance."""
    head_rotation: bool
    gaze: bool
    clipped: dict[str, float]
    """Share of frames at or beyond 1, for channels where it is noticeable."""
    out_of_range: dict[str, float]
    """Furthest value outside 0..1, by channel."""
    dead: tuple[str, ...]
    """Channels that do not move."""
    jitter: dict[str, float]
    """Noise of each channel: standard deviation of its weight from one frame to the next, movement taken
    off.
    """
    head_jitter: float | None
    """Noise of the head rotation in degrees."""
    start_offset: float | None = None
    """From the movie's first picture to the first row (s), where both are known."""
    end_offset: float | None = None
    """From the movie's end to the end of the last row (s)."""
    drift: float | None = None
    """Seconds by which the recording is longer than the movie."""
    drift_per_minute: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self) | {"dead": list(self.dead)}

    @property
    def worst_jitter(self) -> list[tuple[str, float]]:
        """The five noisiest channels."""
        return sorted(self.jitter.items(), key=lambda item: -item[1])[:5]


def measure(reading: Reading, movie: MediaFacts | None = None) -> Quality:
    """The figures of a recording, compared with its movie where there is one."""
    performance = reading.performance
    dropped, longest = _gaps(performance.time)
    values = performance.weights
    moving = np.ptp(values, axis=0) >= DEAD_RANGE
    clipped = (values >= 1.0 - 1e-6).mean(axis=0)
    beyond = np.where(
        values.max(axis=0) > 1.0 + TOLERANCE, values.max(axis=0), np.minimum(values.min(axis=0), 0.0)
    )
    noise = jitter(values)
    return Quality(
        seconds=performance.duration,
        rows=reading.rows,
        rate=performance.rate,
        dropped=dropped,
        dropped_share=dropped / (performance.frame_count + dropped),
        longest_gap=longest,
        repeated=reading.repeated,
        head_rotation=performance.head_rotation is not None,
        gaze=performance.gaze is not None,
        clipped={name: float(clipped[i]) for i, name in enumerate(ARKIT_NAMES) if clipped[i] > CLIPPED_SHARE},
        out_of_range={
            name: float(beyond[i]) for i, name in enumerate(ARKIT_NAMES) if not -TOLERANCE <= beyond[i] <= 0.0
        },
        dead=tuple(name for i, name in enumerate(ARKIT_NAMES) if not moving[i]),
        jitter={name: float(noise[i]) for i, name in enumerate(ARKIT_NAMES)},
        head_jitter=_head_jitter(performance),
        **_drift(performance, movie),
    )


def jitter(values: np.ndarray) -> np.ndarray:
    """(C,) float64 noise of each column of (T, C), T >= 5, else zeros: from fourth differences, by their
    median.

    Movement slower than a few hertz leaves next to nothing in a fourth difference, and white noise of
    deviation s leaves s sqrt(70) (the sum of the squares of 1 4 6 4 1); the median of absolute values passes
    over blinks and other fast movements, and 1.4826 makes it a deviation.
    """
    if len(values) < 5:
        return np.zeros(values.shape[1])
    differences = np.abs(np.diff(values.astype(np.float64), n=4, axis=0))
    return 1.4826 * np.median(differences, axis=0) / np.sqrt(70.0)


def _gaps(time: np.ndarray) -> tuple[int, float]:
    """Frames missing between rows, and the longest step in s."""
    steps = np.diff(time)
    if not len(steps):
        return 0, 0.0
    missing = np.maximum(np.round(steps / np.median(steps)) - 1.0, 0.0)
    return int(missing.sum()), float(steps.max())


def _head_jitter(performance: Performance) -> float | None:
    if performance.head_rotation is None:
        return None
    angles = np.stack(rotation.to_angles(performance.head_rotation), axis=1)
    return float(np.degrees(np.linalg.norm(jitter(np.unwrap(angles, axis=0)))))


def _drift(performance: Performance, movie: MediaFacts | None) -> dict[str, float | None]:
    """Offsets of the recording's ends from the movie's, and how much longer it is."""
    if movie is None or not movie.duration or performance.frame_count < 2:
        return {}
    step = 1.0 / performance.rate
    start = float(performance.time[0])
    end = float(performance.time[-1]) + step - movie.duration
    drift = end - start
    return {
        "start_offset": start,
        "end_offset": end,
        "drift": drift,
        "drift_per_minute": 60.0 * drift / movie.duration,
    }
