# SPDX-License-Identifier: GPL-3.0-or-later
"""Decoding ahead in one thread and detecting in several, so that all cores work and memory stays small.

A detector's graph works on one picture at a time, so there are several detectors, and pictures go to them in
turn like cards that are dealt. Which detector gets which picture depends on nothing but their number: a take
gives the same track every time. Each follows the face at its share of the rate, which costs nothing
measurable with two (0.4 px of difference on 512 px footage, the same jitter); the task bundle looks at each
picture afresh and may have more.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass

import numpy as np

from .confidence import sharpness_of
from .detector import Detector, Face
from .pictures import Picture
from .shape import boxes
from .skin import skin_colour

AHEAD = 6
"""Pictures that wait for each detector at most."""
_WAIT = 0.1


@dataclass(frozen=True)
class Seen:
    """What was found in one picture; lengths in px as shown."""

    time: float
    size: tuple[int, int]
    scale: float
    """px as shown per px of what the detector was given."""
    faces: tuple[Face, ...]
    sharpness: tuple[float, ...]
    """Of each face."""
    brightness: float
    """Mean of the picture, 0..255; NaN where it was not looked at."""


def detect_all(
    pictures: Iterable[Picture],
    open_lane: Callable[[], Detector],
    lanes: int,
    progress: Callable[[int], None],
) -> list[Seen]:
    """What every picture shows, in order. `progress(count)` may raise to stop; so may any thread.

    Whatever is raised is raised here, after all threads have ended.
    """
    work = _Work(pictures, lanes)
    with ExitStack() as stack:
        detectors = [stack.enter_context(closing(open_lane())) for _ in range(lanes)]
        threads = [threading.Thread(target=work.deal, name="decode", daemon=True)]
        threads += [
            threading.Thread(target=work.look, args=(lane, detector), name=f"detect {lane}", daemon=True)
            for lane, detector in enumerate(detectors)
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(_WAIT)
                    progress(work.done)
        finally:
            work.stop.set()
            for thread in threads:
                thread.join()
    if work.failure is not None:
        raise work.failure
    return [work.results[index] for index in range(len(work.results))]


class _Work:
    """What the threads share."""

    def __init__(self, pictures: Iterable[Picture], lanes: int) -> None:
        self.stop = threading.Event()
        self.failure: BaseException | None = None
        self.results: dict[int, Seen] = {}
        self._pictures = pictures
        self._queues: list[queue.Queue[tuple[int, Picture] | None]] = [
            queue.Queue(AHEAD) for _ in range(lanes)
        ]

    @property
    def done(self) -> int:
        return len(self.results)

    def deal(self) -> None:
        """Decode, and give the pictures to the lanes in turn."""
        try:
            for index, picture in enumerate(self._pictures):
                self._put(index % len(self._queues), (index, picture))
                if self.stop.is_set():
                    return
            for lane in range(len(self._queues)):
                self._put(lane, None)
        except BaseException as problem:  # noqa: BLE001  raised again by the thread that waits
            self._fail(problem)

    def look(self, lane: int, detector: Detector) -> None:
        """Find the faces in this lane's pictures."""
        try:
            while not self.stop.is_set():
                try:
                    item = self._queues[lane].get(timeout=_WAIT)
                except queue.Empty:
                    continue
                if item is None:
                    return
                self.results[item[0]] = look_at(item[1], detector)
        except BaseException as problem:  # noqa: BLE001  raised again by the thread that waits
            self._fail(problem)

    def _put(self, lane: int, item: tuple[int, Picture] | None) -> None:
        while not self.stop.is_set():
            try:
                self._queues[lane].put(item, timeout=_WAIT)
                return
            except queue.Full:
                continue

    def _fail(self, problem: BaseException) -> None:
        self.failure = self.failure or problem
        self.stop.set()


def look_at(picture: Picture, detector: Detector) -> Seen:
    """Faces of one picture that lie in it, with their sharpness."""
    height, width = picture.inside.shape[:2]
    faces, sharp = [], []
    for face in detector.detect(picture.rgb, picture.time):
        box = boxes(face.landmarks)
        centre = (box[:2] + box[2:]) / 2.0
        if not np.all(np.isfinite(face.landmarks)) or np.any(centre < 0) or np.any(centre > (width, height)):
            continue
        sharp.append(sharpness_of(picture.inside, box))
        shown = face.landmarks * np.float32(picture.scale) + np.array([*picture.origin, 0.0], np.float32)
        skin = skin_colour(picture.inside, face.landmarks)
        faces.append(Face(shown, face.scores, face.transform, skin))
    brightness = float("nan") if faces else float(picture.inside[::8, ::8].mean())
    return Seen(picture.time, picture.size, picture.scale, tuple(faces), tuple(sharp), brightness)
