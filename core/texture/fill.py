# SPDX-License-Identifier: GPL-3.0-or-later
"""What no picture shows: taken from the other side of the face, continued smoothly, given a grain, and the
gutters between charts.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .blend import Bands, completed, down, up

Array = np.ndarray

MOST_TINT = 0.35
"""Largest difference (natural logarithm) between what is seen and what is expected that spreads."""


def mirrored(picture: Array) -> Array:
    """What lies opposite on the head, for pictures (H, S) or (H, S, C): the skin's chart is symmetric about
    u = 1/2.
    """
    return np.ascontiguousarray(picture[:, ::-1])


def with_other_side(picture: Array, seen: Array, levels: int = 5) -> tuple[Array, Array]:
    """The picture (S, W, 3) float32, with the other side blended in where `seen` ((S, W) float32 0..1) is
    low and the other side is known; and how much of each place is known now.
    """
    other = mirrored(seen) * (1 - seen)
    blend = Bands((seen.shape[0], seen.shape[1]), levels)
    for layer, known, share in ((picture, seen, seen), (mirrored(picture), mirrored(seen), other)):
        blend.add(layer, known, share, share)
    return blend.result(), np.maximum(seen, other)


def continued(picture: Array, seen: Array, prior: Array, reach: float, near: float) -> Array:
    """Fill in what is not seen: (H, W, 3) float32.

    Within about `near` pixels of what is seen, whatever it is goes on smoothly. Farther away is `prior`
    ((H, W, 3), over 0), in the tint that seen places of the same kind have, which fades over some `reach`.
    """
    import cv2

    step = max(1, int(near) // 3)
    size = (seen.shape[1] // step, seen.shape[0] // step)
    weight = cv2.resize(seen, size, interpolation=cv2.INTER_AREA)
    shown = cv2.resize(picture * seen[..., None], size, interpolation=cv2.INTER_AREA)
    wanted = cv2.resize(prior, size, interpolation=cv2.INTER_AREA)
    ratio = np.log(np.maximum(shown / np.maximum(weight, 1e-3)[..., None], 0.02) / np.maximum(wanted, 0.02))
    known = np.minimum(4 * weight, 1)
    # Hair that hangs where skin is expected, or the reverse, says nothing about places far away.
    alike = known * np.clip(2 - np.abs(ratio).max(axis=2) / MOST_TINT, 0, 1)
    close, far = _fading(known, near / step), _fading(alike, reach / step)
    tint = completed(np.clip(ratio, -MOST_TINT, MOST_TINT), alike) * far[..., None]
    tint += close[..., None] * (completed(ratio, known) - tint)
    tint = cv2.resize(tint, seen.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return picture * seen[..., None] + prior * np.exp(tint) * (1 - seen[..., None])


def _fading(known: Array, reach: float) -> Array:
    """(H, W) float32 1 where something is known, falling with the distance from it in pixels."""
    import cv2

    away = cv2.distanceTransform((known < 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    return np.exp(-(np.minimum(away / max(reach, 1e-6), 10) ** 2)).astype(np.float32)


def grain_of(picture: Array, where: Array, bands: int = 3) -> list[float]:
    """Strength of the finest `bands` of a picture's brightness ((H, W) float32) where it is known
    ((H, W) bool), as robust standard deviations, finest first.
    """
    strengths, grey, mask = [], np.ascontiguousarray(picture, np.float32), where
    for _ in range(bands):
        grey, mask = _even(grey), _even(mask)
        small = down(grey)
        detail = np.abs(grey - up(small))[mask]
        strengths.append(1.4826 * float(np.median(detail)) if len(detail) else 0.0)
        grey, mask = small, mask[::2, ::2]
    return strengths


def grain(shape: tuple[int, ...], strengths: list[float], seed: int = 7) -> Array:
    """(H, W) float32 noise whose bands have these strengths, finest first, always the same."""
    total = np.zeros(shape[:2], np.float32)
    for level, strength in enumerate(strengths):
        if strength > 0:
            total += _noise(shape, level, seed) * np.float32(strength / _strength(level))
    return total


def _noise(shape: tuple[int, ...], level: int, seed: int) -> Array:
    """(H, W) float32 noise of one band."""
    import cv2

    size = (-(-shape[0] // 2**level) + 2, -(-shape[1] // 2**level) + 2)
    noise = np.random.default_rng(seed + level).standard_normal(size, np.float32)
    noise -= cv2.GaussianBlur(noise, (0, 0), 1.0)
    if level:
        noise = cv2.resize(noise, None, fx=2**level, fy=2**level, interpolation=cv2.INTER_CUBIC)
    return noise[: shape[0], : shape[1]]


@lru_cache(maxsize=16)
def _strength(level: int) -> float:
    """What `grain_of` finds in the band of `_noise`."""
    side = 64 << level
    return grain_of(_noise((side, side), level, 1), np.ones((side, side), bool), level + 1)[level]


def grained(albedo: Array, amount: Array, strength: float, tile: int = 512) -> Array:
    """The picture ((S, S, 3) uint8) with fine grain of a relative `strength` where `amount` ((S, S) float32
    0..1) says.
    """
    import cv2

    noise = grain((tile, tile), [strength, strength])
    times = -(-albedo.shape[0] // tile)
    gain = 1 + np.tile(noise, (times, times))[: albedo.shape[0], : albedo.shape[1]] * amount
    return cv2.multiply(albedo, cv2.merge([gain] * 3), dtype=cv2.CV_8U)


def with_gutters(picture: Array, inside: Array) -> Array:
    """The picture (S, S, C) float32 continued beyond the charts (`inside` (S, S) bool), so that neither
    filtering nor smaller copies bring in anything foreign.
    """
    import cv2

    distance, nearest = cv2.distanceTransformWithLabels(
        (~inside).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    del distance
    flat = np.empty(int(nearest.max()) + 1, np.int64)
    flat[nearest[inside]] = np.flatnonzero(inside)
    return picture.reshape(-1, picture.shape[2])[flat[nearest]]


def _even(picture: Array) -> Array:
    return picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
