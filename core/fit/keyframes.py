# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames tell most about a person: calm ones, and ones that differ from each other."""

from __future__ import annotations

import numpy as np

Array = np.ndarray

MOST_LOOKED_AT = 600


def choose_keyframes(landmarks: Array, confidence: Array, count: int) -> Array:
    """(n,) sorted indices of at most `count` frames out of landmarks (T, 468, 2) px and confidence (T,).

    Half are the frames nearest to the take's usual face (calm), half the farthest from those already chosen
    (other views, other expressions): farthest-point sampling on landmarks without place, size and tilt.
    """
    total = len(landmarks)
    if total <= count:
        return np.arange(total)
    looked = np.unique(np.linspace(0, total - 1, min(total, MOST_LOOKED_AT)).astype(int))
    good = confidence[looked] >= 0.5 * np.median(confidence[looked])
    looked = looked[good] if np.count_nonzero(good) >= count else looked
    shapes = normalised(landmarks[looked]).reshape(len(looked), -1)
    usual = np.linalg.norm(shapes - np.median(shapes, axis=0), axis=1)
    chosen = spread_of_nearest(usual, count // 2)
    distance = np.full(len(looked), np.inf)
    for index in chosen:
        distance = np.minimum(distance, np.linalg.norm(shapes - shapes[index], axis=1))
    while len(chosen) < count:
        index = int(np.argmax(distance))
        chosen.append(index)
        distance = np.minimum(distance, np.linalg.norm(shapes - shapes[index], axis=1))
    return np.unique(looked[chosen])


def spread_of_nearest(distance: Array, count: int) -> list[int]:
    """Indices of `count` frames among the calmest third, evenly over time: neighbours say the same twice."""
    calm = np.sort(np.argsort(distance)[: max(count, len(distance) // 3)])
    return [int(i) for i in calm[np.linspace(0, len(calm) - 1, count).astype(int)]]


def normalised(landmarks: Array) -> Array:
    """Landmarks (T, n, 2) without place and size, and turned upright by the line of their principal axis."""
    centred = landmarks - landmarks.mean(axis=1, keepdims=True)
    centred = centred / np.sqrt(np.mean(centred**2, axis=(1, 2), keepdims=True))
    reference = centred.mean(axis=0)
    # Procrustes in the plane: one complex number turns each frame onto the mean.
    frames, mean = centred[..., 0] + 1j * centred[..., 1], reference[:, 0] + 1j * reference[:, 1]
    turn = np.sum(frames.conj() * mean, axis=1)
    turned = frames * (turn / np.maximum(np.abs(turn), 1e-12))[:, None]
    return np.stack([turned.real, turned.imag], axis=-1)
