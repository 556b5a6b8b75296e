# SPDX-License-Identifier: GPL-3.0-or-later
"""How much landmarks flutter by themselves: what a fit may not exceed, measured where the face is still."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .shape import FACE, aligned

STILL_SHARE = 0.3
"""Share of the frames, the quietest, that counts as still."""
STILL_POINTS: tuple[int, ...] = (
    *(10, 151, 9, 8, 67, 109, 103, 54, 21, 338, 297, 332, 284, 251, 108, 337, 69, 299, 104, 333),
    *(168, 6, 197, 195, 5, 122, 351, 196, 419),
    *(33, 133, 362, 263, 130, 359, 243, 463),
    *(127, 356, 234, 454, 227, 447, 116, 345, 143, 372, 34, 264),
)
"""Landmarks that expressions move least: forehead, bridge of the nose, corners of the eyes, temples."""
_GAP = 1.5
"""Steps longer than this many usual ones are gaps, over which there is no difference."""


def second_differences(
    time: np.ndarray, landmarks: np.ndarray, points: Sequence[int] = range(FACE)
) -> np.ndarray:
    """(T,) float64 px: rms over `points` of how far they are from the middle of their neighbours in time,
    after each neighbour was laid on the frame by its own 2D similarity.

    The distance is that of the plain second difference x[t-1] - 2 x[t] + x[t+1] at even steps. `time` (T,) s,
    `landmarks` (T, N, 2 or 3) px. NaN at the ends, beside lost frames and beside gaps.
    """
    result = np.full(len(landmarks), np.nan)
    if len(landmarks) < 3:
        return result
    placed = landmarks[:, list(points), :2].astype(np.float64)
    middle = placed[1:-1]
    before, after = np.diff(time)[:-1], np.diff(time)[1:]
    share = (before / (before + after))[:, None, None]
    expected = (1.0 - share) * aligned(placed[:-2], middle) + share * aligned(placed[2:], middle)
    difference = 2.0 * np.sqrt(np.mean(np.sum((middle - expected) ** 2, axis=-1), axis=-1))
    usual = np.median(np.diff(time))
    result[1:-1] = np.where(np.maximum(before, after) <= _GAP * usual, difference, np.nan)
    return result


def still_frames(time: np.ndarray, landmarks: np.ndarray, share: float = STILL_SHARE) -> np.ndarray:
    """(T,) bool: the quietest `share` of the frames, by how the still parts change over a third of a second.

    Over that long, movement adds up and flutter does not, so the choice does not favour frames that happen to
    flutter little.
    """
    points = landmarks[:, list(STILL_POINTS), :2].astype(np.float64)
    usual = np.median(np.diff(time)) if len(time) > 1 else 1.0
    reach = max(2, round(0.33 / max(usual, 1e-6) / 2))
    change = np.full(len(points), np.nan)
    if len(points) > 2 * reach:
        moved = aligned(points[: -2 * reach], points[2 * reach :]) - points[2 * reach :]
        change[reach:-reach] = np.sqrt(np.mean(np.sum(moved**2, axis=-1), axis=-1))
    known = np.isfinite(change)
    if not known.any():
        return known
    return known & (np.nan_to_num(change, nan=np.inf) <= np.quantile(change[known], share))


def jitter_px(time: np.ndarray, landmarks: np.ndarray, still: np.ndarray | None = None) -> float:
    """Rms second difference (px) of the still parts of landmarks (T, 468 or 478, 2 or 3), without the
    movement of the head in the picture, over the still frames.

    `still` (T,) bool is `still_frames` unless given: give the track's own to compare something smoother with
    it. NaN where the take has no three neighbouring frames that can be judged.
    """
    still = still_frames(time, landmarks) if still is None else still
    values = second_differences(time, landmarks, STILL_POINTS)[still]
    values = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(values**2))) if len(values) else float("nan")
