# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample's performance: lips from the score; lids, brows, gaze and head as a person would move them."""

from __future__ import annotations

import numpy as np

from core.arkit import ARKIT_NAMES, INDEX
from core.performance import EYE_ANGLE, Performance
from core.rotation import from_angles

from .score import DURATION, PHONES, RATE, starts

BLINKS = (0.25, 1.22, 2.86)
LEAD = 0.03
"""Lips are ahead of the sound, seconds."""
HEAD_DEGREES = (
    # time, yaw, pitch, roll
    (0.0, -2.0, 0.5, 0.0),
    (0.40, -1.0, 1.5, 0.5),
    (0.62, 4.0, 4.5, 1.5),
    (0.95, 6.5, -2.5, 2.5),
    (1.30, 5.0, -0.5, 2.0),
    (1.60, -5.0, 1.5, -1.0),
    (2.00, -8.5, -2.0, -3.0),
    (2.45, -3.0, 2.0, -1.5),
    (2.80, 2.0, -1.5, 2.0),
    (3.40, 1.0, 0.5, 3.0),
)
GLANCE_DEGREES = (
    (0.0, 0.0, 0.0),
    (1.10, 0.0, 0.0),
    (1.17, 14.0, -7.0),
    (1.42, 14.0, -7.0),
    (1.50, 0.0, 0.0),
    (3.4, 0.0, 0.0),
)
"""Time, yaw, pitch: a look aside in the pause, otherwise at the camera."""
MOODS = {
    "browInnerUp": (
        (0.0, 0.08),
        (0.45, 0.1),
        (0.62, 0.45),
        (0.95, 0.15),
        (1.5, 0.28),
        (2.1, 0.1),
        (3.4, 0.12),
    ),
    "browOuterUp": ((0.0, 0.05), (0.45, 0.05), (0.62, 0.35), (1.0, 0.08), (3.4, 0.08)),
    "mouthSmile": ((0.0, 0.12), (0.4, 0.1), (1.0, 0.22), (1.3, 0.12), (2.5, 0.14), (2.85, 0.55), (3.4, 0.5)),
    "cheekSquint": ((0.0, 0.05), (2.5, 0.08), (2.9, 0.4), (3.4, 0.35)),
    "eyeSquint": ((0.0, 0.06), (2.5, 0.08), (2.9, 0.28), (3.4, 0.24)),
    "mouthDimple": ((0.0, 0.05), (2.5, 0.06), (2.9, 0.2), (3.4, 0.18)),
}


def perform() -> Performance:
    """The whole performance at `RATE` frames per second, with head rotation and gaze."""
    time = np.arange(round(DURATION * RATE)) / RATE
    weights = np.zeros((len(time), len(ARKIT_NAMES)))
    _lips(time, weights)
    _moods(time, weights)
    yaw, pitch, roll = (_curve(time, HEAD_DEGREES, column) for column in (1, 2, 3))
    gaze = _gaze(time, yaw, pitch)
    _lids(time, weights, gaze)
    return Performance(
        name="likeness_sample", time=time, weights=np.clip(weights, 0, 1).astype(np.float32),
        head_rotation=from_angles(yaw, pitch, roll), gaze=gaze, source="synthetic", timecode=36_000.0,
    )  # fmt: skip


def _curve(time: np.ndarray, keys: tuple[tuple[float, ...], ...], column: int) -> np.ndarray:
    """Radians along degrees at key times, eased in and out."""
    table = np.radians(np.array(keys))
    return _eased(time, np.array(keys)[:, 0], table[:, column])


def _eased(time: np.ndarray, at: np.ndarray, values: np.ndarray) -> np.ndarray:
    which = np.clip(np.searchsorted(at, time, side="right") - 1, 0, len(at) - 2)
    u = np.clip((time - at[which]) / (at[which + 1] - at[which]), 0, 1)
    return values[which] + (values[which + 1] - values[which]) * u * u * (3 - 2 * u)


def _lips(time: np.ndarray, weights: np.ndarray) -> None:
    """Targets of each phone, blurred into each other as a mouth does."""
    fine = np.arange(0, DURATION, 0.002)
    edges = starts() - LEAD
    which = np.searchsorted(edges, fine, side="right") - 1
    kernel = np.exp(-0.5 * (np.arange(-60, 61) * 0.002 / 0.036) ** 2)
    kernel /= kernel.sum()
    for name in {name for phone in PHONES for name in phone.lips}:
        level = np.array([phone.lips.get(name, 0.0) for phone in PHONES])
        target = np.where(
            (which >= 0) & (which < len(PHONES)), level[np.clip(which, 0, len(PHONES) - 1)], 0.0
        )
        weights[:, INDEX[name]] += np.interp(time, fine, np.convolve(target, kernel, mode="same"))


def _moods(time: np.ndarray, weights: np.ndarray) -> None:
    for name, keys in MOODS.items():
        value = _eased(time, *np.array(keys).T)
        sides = [name] if name in INDEX else [f"{name}Left", f"{name}Right"]
        for side, share in zip(sides, (1.0, 0.92), strict=False):
            weights[:, INDEX[side]] += share * value


def _gaze(time: np.ndarray, yaw: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """(T, 2, 2): eyes hold the camera while the head moves, but for the glance."""
    aside = np.stack([_curve(time, GLANCE_DEGREES, column) for column in (1, 2)], axis=1)
    held = np.stack([-yaw, -pitch], axis=1) + aside
    converge = np.radians([1.8, 0.0])
    return np.stack([held - converge, held + converge], axis=1)


def _lids(time: np.ndarray, weights: np.ndarray, gaze: np.ndarray) -> None:
    """Blinks, and the eyeLook weights that a phone would give for the same gaze."""
    for at in BLINKS:
        close = np.clip((time - at) / 0.08, 0, 1) * np.clip((at + 0.26 - time) / 0.16, 0, 1)
        for name in ("eyeBlinkLeft", "eyeBlinkRight"):
            weights[:, INDEX[name]] = np.maximum(weights[:, INDEX[name]], np.clip(1.08 * close, 0, 1))
    share = gaze / EYE_ANGLE
    for eye, (out, inward) in enumerate(
        (("eyeLookOutLeft", "eyeLookInLeft"), ("eyeLookInRight", "eyeLookOutRight"))
    ):
        side = "Left" if eye == 0 else "Right"
        weights[:, INDEX[out]] = np.clip(share[:, eye, 0], 0, None)
        weights[:, INDEX[inward]] = np.clip(-share[:, eye, 0], 0, None)
        weights[:, INDEX[f"eyeLookUp{side}"]] = np.clip(share[:, eye, 1], 0, None)
        weights[:, INDEX[f"eyeLookDown{side}"]] = np.clip(-share[:, eye, 1], 0, None)
