# SPDX-License-Identifier: GPL-3.0-or-later
"""Several faces: who is who from picture to picture, and which one the take is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .shape import box_size, boxes, overlap

SAME = 0.25
"""Overlap from which a face continues one of the picture before."""
MEMORY = 0.5
"""s after which overlap says nothing any more, because the face has moved on."""
NEAR = 1.0
"""Distance, in face sizes, within which a lost face is taken up again, however long it was away ..."""
GROWN = 2.0
"""... unless its size has changed by more than this factor."""
WORTH = 0.1
"""A second face counts as seen from this share of the first one's presence; less is a stray detection."""


@dataclass
class Person:
    """One face's way through the take, as (frame, candidate) pairs in order."""

    frames: list[int] = field(default_factory=list)
    picks: list[int] = field(default_factory=list)
    weight: float = 0.0
    """Presence x area: sum over its frames of the area of its box (px^2) in seconds or frames."""
    first: np.ndarray = field(default_factory=lambda: np.zeros(4))
    last: np.ndarray = field(default_factory=lambda: np.zeros(4))

    def add(self, frame: int, pick: int, box: np.ndarray) -> None:
        """Take the face `pick` of picture `frame`, whose box (4,) is in shown px."""
        if not self.frames:
            self.first = box
        self.frames.append(frame)
        self.picks.append(pick)
        self.weight += float(box_size(box)) ** 2
        self.last = box


def people(time: np.ndarray, candidates: Sequence[np.ndarray]) -> list[Person]:
    """Everybody in an ordered take, the one with the greatest presence x area first.

    `time` (T,) s; `candidates`: per frame (K, 478, 3) landmarks in px. A face continues where its box
    overlaps; after a gap where it is near the place it was lost at and of similar size. No face is used
    twice, and the way never jumps to another face while its own is there.
    """
    parts = _parts(time, candidates)
    parts.sort(key=lambda person: -person.weight)
    joined: list[Person] = []
    for part in parts:
        home = next((person for person in joined if _continues(person, part)), None)
        if home is None:
            joined.append(part)
        else:
            _join(home, part)
    return sorted(joined, key=lambda person: -person.weight)


def largest(candidates: Sequence[np.ndarray]) -> list[int]:
    """For photos: the largest face of each, -1 where there is none."""
    return [int(np.argmax(box_size(boxes(faces)))) if len(faces) else -1 for faces in candidates]


def seen(everybody: Sequence[Person]) -> int:
    """How many people there are, without stray detections."""
    return sum(len(person.frames) >= WORTH * len(everybody[0].frames) for person in everybody)


def _parts(time: np.ndarray, candidates: Sequence[np.ndarray]) -> list[Person]:
    """Ways without a gap longer than `MEMORY`."""
    parts: list[Person] = []
    alive: list[Person] = []
    for frame, faces in enumerate(candidates):
        alive = [part for part in alive if time[frame] - time[part.frames[-1]] <= MEMORY]
        now = boxes(faces) if len(faces) else np.zeros((0, 4))
        free = set(range(len(now)))
        pairs = [
            (value, part, pick)
            for part in alive
            for pick, value in enumerate(overlap(part.last, now))
            if value >= SAME
        ]
        taken: set[int] = set()
        for _value, part, pick in sorted(pairs, key=lambda pair: -pair[0]):
            if pick in free and id(part) not in taken:
                part.add(frame, pick, now[pick])
                free.remove(pick)
                taken.add(id(part))
        for pick in sorted(free):
            part = Person()
            part.add(frame, pick, now[pick])
            parts.append(part)
            alive.append(part)
    return parts


def _continues(person: Person, part: Person) -> bool:
    """Whether `part` fits before or after the way of `person`, in time and place."""
    if part.frames[0] > person.frames[-1]:
        before, after = person.last, part.first
    elif part.frames[-1] < person.frames[0]:
        before, after = part.last, person.first
    else:
        return False
    sizes = box_size(np.stack([before, after]))
    distance = np.linalg.norm((before[:2] + before[2:] - after[:2] - after[2:]) / 2.0)
    return bool(distance <= NEAR * sizes.max() and sizes.max() <= GROWN * sizes.min())


def _join(person: Person, part: Person) -> None:
    if part.frames[0] > person.frames[-1]:
        person.last = part.last
        person.frames += part.frames
        person.picks += part.picks
    else:
        person.first = part.first
        person.frames = part.frames + person.frames
        person.picks = part.picks + person.picks
    person.weight += part.weight
