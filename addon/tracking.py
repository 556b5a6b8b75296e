# SPDX-License-Identifier: GPL-3.0-or-later
"""What concerns captures that have to be tracked: which ones, with what, and how well it went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.avatar import Avatar
from ..core.capture import Capture
from ..core.errors import AvatarError
from ..core.files import read_json

PACKAGES = ("av", "mediapipe", "pillow", "scipy")
"""What the worker's Python must have to track and fit."""
MOVIES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg")
PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
PICTURES = (*MOVIES, *PHOTOS)
"""Suffixes of captures that are nothing but pictures."""


TRACKED = " tracked"
"""How the name ends of a performance that was tracked in footage beside recorded weights."""


def has_pictures(capture: Capture) -> bool:
    """Whether there is something to track."""
    return capture.movie is not None or bool(capture.photos)


def needs_tracking(capture: Capture) -> bool:
    """Whether the performance has to be found in pictures, because no weights were recorded."""
    return capture.weights_csv is None and has_pictures(capture)


def first_choice(names: Sequence[str]) -> str:
    """Which of an avatar's performances a new double plays: the latest, and of a capture with recorded
    weights those; empty where there is none.
    """
    recorded = len(names) > 1 and names[-1].endswith(TRACKED)
    return names[-2 if recorded else -1] if names else ""


def lines(avatar: Avatar) -> list[str]:
    """How well the footage was tracked and fitted, from the avatar's report.json; none where it was not."""
    path = avatar.folder / "report.json"
    try:
        report = read_json(path, AvatarError) if path.is_file() else {}
    except AvatarError:
        return []
    return report_lines(report) if isinstance(report, dict) else []


def report_lines(report: Mapping[str, Any]) -> list[str]:
    """The tracking figures of a report.json, one sentence each; what is not there is left out."""
    fit, tracking = report.get("fit"), report.get("tracking")
    if not isinstance(fit, dict):
        return []
    found = []
    share, pixels = _number(fit, "landmark_error_of_face"), _number(fit, "landmark_error_px")
    if share is not None:
        of = f" ({pixels:.2f} px)" if pixels is not None else ""
        found.append(f"Landmarks: {share:.2%} of the face off{of}")
    jitter = _number(fit, "jitter_px")
    if jitter is not None:
        before = _number(fit, "jitter_detector_px")
        of = f" (the detector's {before:.2f})" if before is not None else ""
        found.append(f"Jitter: {jitter:.2f} px{of}")
    return found + (_tracking_lines(tracking) if isinstance(tracking, dict) else [])


def _tracking_lines(tracking: Mapping[str, Any]) -> list[str]:
    found = []
    total, tracked = _number(tracking, "total"), _number(tracking, "tracked")
    if total is not None and tracked is not None:
        more = {"lost": _number(tracking, "lost"), "damaged": _number(tracking, "dropped")}
        parts = [f", {count:.0f} {word}" for word, count in more.items() if count]
        found.append(f"Frames: {tracked:.0f} of {total:.0f} tracked{''.join(parts)}")
    if isinstance(tracking.get("detector"), str):
        found.append(f"Detector: {tracking['detector'][:80]}")
    people = _number(tracking, "faces")
    if people is not None and people > 1:
        found.append(f"People seen: {people:.0f}; the one that stays was followed")
    return found


def _number(values: Mapping[str, Any], key: str) -> float | None:
    value = values.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
