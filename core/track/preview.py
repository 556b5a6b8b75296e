# SPDX-License-Identifier: GPL-3.0-or-later
"""A small picture of the footage with what was found in it, for whoever waits."""

from __future__ import annotations

import atexit
import contextlib
import tempfile
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from ..capture import Capture
from .source import Source
from .track import Track

SIDE = 256
"""Longest side, px."""
EARLY = 60
"""Pictures at the start of a movie among which the one that is shown is looked for: going on costs
decoding."""
FOUND, FITTED = (255, 200, 60), (90, 220, 255)
"""Colours of observed and of fitted landmarks, sRGB."""


def draw_preview(capture: Capture, track: Track, fitted: np.ndarray | None = None) -> Path | None:
    """Write a picture of the capture with the landmarks of `track`, and over them `fitted` ((T, n, 2) px),
    into a folder that is gone when this process ends. None where there is nothing to show.
    """
    frames = np.flatnonzero(track.tracked)
    if not len(frames):
        return None
    frame = int(frames[np.argmax(track.confidence[frames[frames < frames[0] + EARLY]])])
    with Source.of(capture, "auto").open(most=SIDE) as pictures:
        # Damaged pictures are in no track, so pictures are counted as the track counts them.
        picture = next(islice(iter(pictures), frame, None), None)
    if picture is None:
        return None
    image = np.ascontiguousarray(picture.inside)
    _dot(image, track.landmarks[frame, :, :2] / picture.scale, FOUND)
    if fitted is not None:
        _dot(image, fitted[frame] / picture.scale, FITTED)
    return _write(image)


def _dot(image: np.ndarray, points: np.ndarray, colour: tuple[int, int, int]) -> None:
    x, y = np.rint(points - 0.5).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < image.shape[1]) & (y < image.shape[0])
    image[y[inside], x[inside]] = colour


def _write(image: np.ndarray) -> Path | None:
    from PIL import Image

    path = _folder() / "preview.jpg"
    scratch = path.with_suffix(".part")
    with contextlib.suppress(OSError):
        Image.fromarray(image).save(scratch, "JPEG", quality=85)
        scratch.replace(path)
        return path
    return None


@lru_cache(maxsize=1)
def _folder() -> Path:
    """A face is personal data: its picture lives no longer than the work on it."""
    folder = tempfile.TemporaryDirectory(prefix="likeness-preview-")
    atexit.register(folder.cleanup)
    return Path(folder.name)
