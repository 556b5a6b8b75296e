# SPDX-License-Identifier: GPL-3.0-or-later
"""How far each tracked frame can be trusted, 0..1.

    confidence = size x sharpness x view x steadiness, and never under 0.01 where a face was found

- size: 0.1 at a face of 20 px, 1 from 110 px on (geometric mean of width and height) in the picture
  that the detector was given: its landmark model looks at about that many.
- sharpness: the variance of the Laplacian over the variance of brightness, in the face box scaled to 96 px.
  Relative to the take: 1 from half of its upper quartile on, in proportion below, at least 0.1.
- view: 1 up to 35 degrees from frontal, falling to 0.1 at 80 degrees, where half of the landmarks are
  guessed.
- steadiness: the rms second difference of the still parts without a 2D similarity, in parts of the face
  size: 1 up to 0.01, in proportion to its inverse above, at least 0.1. A detector that flutters is seen here;
  movement of head and face is not. Photos have none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .jitter import STILL_POINTS, second_differences
from .shape import box_size, boxes, profile_angle

LEAST = 0.01
_FLOOR = 0.1
_SMALL, _LARGE = 20.0, 110.0
_BLUR = 0.5
_FRONTAL, _PROFILE = np.radians(35.0), np.radians(80.0)
_STEADY = 0.01
_SIDE = 96


def confidence(
    time: np.ndarray, landmarks: np.ndarray, scale: np.ndarray, sharpness: np.ndarray, *, ordered: bool
) -> np.ndarray:
    """(T,) float32, 0 where lost.

    `time` (T,) s, `landmarks` (T, 478, 3) px as shown with NaN where lost, `scale` (T,) shown px per px of
    what the detector was given, `sharpness` (T,) of `sharpness_of`.
    """
    seen = np.isfinite(landmarks[:, 0, 0])
    result = np.zeros(len(landmarks), np.float32)
    if not seen.any():
        return result
    face = landmarks[seen].astype(np.float64)
    size = box_size(boxes(face))
    terms = by_size(size / scale[seen]) * by_sharpness(sharpness[seen]) * by_view(profile_angle(face))
    if ordered:
        wild = second_differences(time, landmarks, STILL_POINTS)[seen] / size
        terms = terms * by_steadiness(wild)
    result[seen] = np.clip(terms, LEAST, 1.0)
    return result


def by_size(size: np.ndarray) -> np.ndarray:
    """Trust (T,) in faces of `size` px."""
    return np.interp(size, [_SMALL, _LARGE], [_FLOOR, 1.0])


def by_sharpness(value: np.ndarray) -> np.ndarray:
    """Trust (T,) by sharpness relative to the take."""
    usual = np.percentile(value, 75)
    return np.clip(value / max(_BLUR * usual, 1e-9), _FLOOR, 1.0) if usual > 0 else np.ones(len(value))


def by_view(angle: np.ndarray) -> np.ndarray:
    """Trust (T,) by radians from frontal."""
    return np.interp(angle, [_FRONTAL, _PROFILE], [1.0, _FLOOR])


def by_steadiness(wild: np.ndarray) -> np.ndarray:
    """Trust (T,) by flutter in parts of the face size; NaN, where no neighbours are, is trusted."""
    return np.clip(_STEADY / np.maximum(np.nan_to_num(wild), 1e-9), _FLOOR, 1.0)


def sharpness_of(rgb: np.ndarray, box: np.ndarray) -> float:
    """How sharp the part `box` (4,) px of a picture (H, W, 3) uint8 is: about 0 blurred or empty, 1 noise."""
    import cv2

    height, width = rgb.shape[:2]
    x0, y0 = (int(max(0, value)) for value in np.floor(box[:2]))
    x1, y1 = int(min(width, np.ceil(box[2]))), int(min(height, np.ceil(box[3])))
    if x1 - x0 < 2 or y1 - y0 < 2:
        return 0.0
    grey: Any = cv2.cvtColor(rgb[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    spread = float(grey.var())
    return float(cv2.Laplacian(grey, cv2.CV_32F).var()) / spread if spread > 1.0 else 0.0
