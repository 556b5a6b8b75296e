# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames a still is made of: sharp, calm, eyes open, mouth closed, and together from all sides.

What the performance knows (confidence, expression, motion, pose) makes a short list; only those pictures are
looked at for sharpness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arkit import INDEX
from ..performance import Performance
from .posed import PosedHead

Array = np.ndarray

MAIN = 8
"""Frames of a movie that skin is taken from."""
MOST_PHOTOS = 16
SHORT_LIST = 2
"""Times as many are looked at."""
_OPEN = ("jawOpen", "mouthFunnel", "mouthPucker", "tongueOut", "cheekPuff")
_TEETH = ("mouthUpperUpLeft", "mouthUpperUpRight", "mouthLowerDownLeft", "mouthLowerDownRight")
_SMILES = ("mouthSmileLeft", "mouthSmileRight")
_BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")
_NOT_SHAPE = tuple(name for name in INDEX if name.startswith("eyeLook"))


@dataclass(frozen=True)
class Choice:
    """Samples of a performance by what they are good for."""

    main: tuple[int, ...]
    """Skin; the first leads: what is seen best in it comes from it alone."""
    mouth: tuple[int, ...] = ()
    """Teeth are seen."""
    lids: tuple[int, ...] = ()
    """Both eyes are closed, so that the skin of the lids is seen."""

    @property
    def all(self) -> tuple[int, ...]:
        """Each once, rising."""
        return tuple(sorted({*self.main, *self.mouth, *self.lids}))


def calmness(performance: Performance) -> Array:
    """(T,) 0..1: tracked well, eyes open, mouth closed, near neutral, held still."""
    weights = np.clip(performance.weights, 0, 1.2)
    blink = _columns(weights, _BLINKS).max(axis=1)
    blink = np.maximum(blink - np.percentile(blink, 20), 0)
    opened = _columns(weights, _OPEN).max(axis=1)
    rest = np.delete(weights, [INDEX[name] for name in (*_NOT_SHAPE, *_BLINKS)], axis=1).sum(axis=1)
    rest = np.maximum(rest - np.percentile(rest, 5), 0)
    score = np.exp(-((blink / 0.3) ** 2) - (opened / 0.3) ** 2 - (rest / 3.0) ** 2)
    return (score * np.exp(-((_speed(performance) / 0.6) ** 2)) * performance.confidence**2).astype(
        np.float64
    )


def _columns(weights: Array, names: tuple[str, ...]) -> Array:
    return weights[:, [INDEX[name] for name in names]]


def _speed(performance: Performance) -> Array:
    """(T,) how fast the head turns (rad/s) and what it moves at 0.3 m/s counts as 1: both blur."""
    if performance.frame_count < 3 or performance.rate <= 2:  # photos have a number, not a time
        return np.zeros(performance.frame_count)
    step = np.gradient(performance.time)[:, None]
    speed = np.zeros(performance.frame_count)
    if performance.head_rotation is not None:
        turns = performance.head_rotation
        turns = turns * np.where(np.cumprod(_signs(turns)) < 0, -1, 1)[:, None]
        speed += 2 * np.linalg.norm(np.gradient(turns, axis=0) / step, axis=1)
    if performance.head_translation is not None:
        moved = np.gradient(performance.head_translation, axis=0) / step
        speed += np.linalg.norm(moved, axis=1) / 0.3
    return speed


def _signs(turns: Array) -> Array:
    """(T,) -1 where a quaternion is on the other side of the sphere than the one before."""
    dots = np.sum(turns[1:] * turns[:-1], axis=1)
    return np.concatenate([[1], np.where(dots < 0, -1, 1)])


def view_directions(head: PosedHead) -> Array:
    """(T, 3) unit: where the camera is, seen from the head, in the head frame."""
    directions = np.empty((head.count, 3))
    for i in range(head.count):
        towards = -head.translation(i)
        directions[i] = head.rotation(i).T @ (towards / np.linalg.norm(towards))
    return directions


def globe(count: int = 300) -> Array:
    """(count, 3) unit directions, even on the part of the sphere that a face and its sides look to."""
    turn = np.arange(count) * np.pi * (3 - np.sqrt(5))
    z = 1 - 1.4 * (np.arange(count) + 0.5) / count
    across = np.sqrt(1 - z * z)
    return np.stack([across * np.cos(turn), across * np.sin(turn), z], axis=1)


def covering(quality: Array, directions: Array, times: Array, count: int) -> list[int]:
    """Up to `count` samples, greedily: each adds most to what all sides of the head are seen by.

    quality: (T,) 0..1. directions: (T, 3) to the camera in the head frame. times: (T,) s. The best one from
    the front comes first; near neighbours in time tell little new.
    """
    facing = np.clip(directions @ globe().T, 0, 1) ** 2
    quality = quality.copy()
    chosen = [int(np.argmax(quality * np.clip(directions[:, 2], 0, 1) ** 4))]
    evidence = np.zeros(facing.shape[1])
    while len(chosen) < min(count, len(quality)):
        last = chosen[-1]
        evidence += 4 * quality[last] * facing[last]
        quality *= 1 - 0.9 * np.exp(-(((times - times[last]) / 0.25) ** 2))
        gain = np.log1p(evidence + 4 * quality[:, None] * facing).sum(axis=1) - np.log1p(evidence).sum()
        gain[chosen] = -1
        best = int(np.argmax(gain))
        if gain[best] <= 1e-9:
            break
        chosen.append(best)
    return chosen


def short_list(head: PosedHead, photos: bool, count: int = MAIN) -> Choice:
    """What is worth looking at: about twice as many as are wanted, by what the performance knows."""
    performance = head.performance
    calm, directions = calmness(performance), view_directions(head)
    if photos:
        order = np.argsort(-performance.confidence, kind="stable")[:MOST_PHOTOS]
        best = max(order, key=lambda i: calm[i] * max(directions[i, 2], 0) ** 2)
        return Choice((int(best), *(int(i) for i in order if i != best)))
    main = covering(np.maximum(calm, 1e-6), directions, performance.time, SHORT_LIST * count)
    front = np.clip(directions[:, 2], 0, 1) ** 2 * performance.confidence**2
    weights = np.clip(performance.weights, 0, 1)
    bared = _columns(weights, _TEETH).sum(axis=1) + 0.5 * _columns(weights, _SMILES).sum(axis=1)
    bared += 1.0 * np.minimum(weights[:, INDEX["jawOpen"]], 0.4)
    closed = _columns(weights, _BLINKS).min(axis=1)
    return Choice(
        tuple(main),
        _peaks(bared * front, performance.time, 2, 0.4),
        _peaks(closed * front, performance.time, 1, 0.5),
    )


def _peaks(score: Array, times: Array, count: int, least: float) -> tuple[int, ...]:
    """The highest samples, half a second apart, at least `least`."""
    score, found = score.copy(), []
    while len(found) < count:
        best = int(np.argmax(score))
        if score[best] < least:
            break
        found.append(best)
        score[np.abs(times - times[best]) < 0.5] = -1
    return tuple(found)


def sharpness(picture: Array, box: tuple[int, int, int, int]) -> float:
    """How sharp a part (left, top, right, bottom px) of a picture ((H, W, 3) uint8) is: the variance of its
    Laplacian over that of its brightness; higher is sharper, 0 for an empty part.
    """
    import cv2

    left, top, right, bottom = box
    part = picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if min(part.shape[:2]) < 8:
        return 0.0
    grey = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var() / (grey.var() + 25.0))


def final_choice(listed: Choice, head: PosedHead, sharp: dict[int, float], count: int = MAIN) -> Choice:
    """The best `count` of a movie's short list, now that their sharpness is known."""
    main = [i for i in listed.main if i in sharp]
    if not main:
        return Choice((), listed.mouth, listed.lids)
    values = np.sqrt([sharp[i] for i in main])
    share = np.clip(values / max(float(np.percentile(values, 80)), 1e-9), 0, 1) ** 2
    quality = np.maximum(calmness(head.performance)[main], 1e-6) * share
    order = covering(quality, view_directions(head)[main], head.performance.time[main], count)
    return Choice(tuple(main[i] for i in order), listed.mouth, listed.lids)
