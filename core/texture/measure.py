# SPDX-License-Identifier: GPL-3.0-or-later
"""The colours of a person, and the size of iris and pupil, out of the still and the sharpest open eyes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..arkit import INDEX
from ..capture import Capture
from ..head.atlas import HeadAtlas
from .eye_patch import EyePatch, eye_patches
from .footage import footage_pictures
from .lighting import Lighting
from .measure_eye import EyeMeasure, measure_eyes
from .measure_still import Pictures, still_colours
from .posed import PosedHead

Array = np.ndarray

FRAMES = 10
"""Pictures in which eyes are looked at."""
WITHIN = 1800
"""Samples among which they are chosen: a minute holds open eyes, and a long movie takes long to read."""
OPEN = 0.35
"""eyeBlink from which on an eye is not open."""
NAMES = ("skin", "lip", "hair", "brow", "iris", "white")


class Lit(Pictures, Protocol):
    """What of a `still.Still` is read."""

    @property
    def lighting(self) -> list[Lighting]:
        """One for a movie, one per sample for photos."""
        ...

    @property
    def gain(self) -> Array:
        """(T, 3) float32."""
        ...


@dataclass(frozen=True)
class Measured:
    """Linear albedo, (3,) each, at the level of the still; None for what was not seen well enough."""

    skin: Array | None = None
    """Cheeks and forehead."""
    lip: Array | None = None
    hair: Array | None = None
    """A lock in even light."""
    brow: Array | None = None
    iris: Array | None = None
    """The main colour between pupil and outer ring."""
    white: Array | None = None
    """Of the eyes, as in plain light."""
    iris_radius: float | None = None
    """Share of the eyeball's radius."""
    pupil: float | None = None
    """Share of the iris's radius."""
    figures: dict[str, float] = field(default_factory=dict)
    """How sure that is: "eyes", how many were measured; "hair_seen", the share of the seen scalp that is
    hair."""

    def colours(self) -> dict[str, list[float]]:
        """What was seen, by name, as an `Avatar` keeps it."""
        found = {name: getattr(self, name) for name in NAMES}
        return {
            name: [round(float(channel), 5) for channel in colour]
            for name, colour in found.items()
            if colour is not None
        }

    def appearance(self) -> dict[str, float]:
        """Shares that were seen, by name, as an `Avatar` keeps them."""
        found = {"iris_radius": self.iris_radius, "pupil": self.pupil}
        return {name: round(value, 4) for name, value in found.items() if value is not None}


def measure(head: PosedHead, capture: Capture, atlas: HeadAtlas, still: Lit) -> Measured:
    """Measure a person in the footage that the head's performance was solved in. Needs av and cv2."""
    found, seen = still_colours(head.model, atlas, still)
    eyes = EyeMeasure()
    if "skin" in found:
        eyes = measure_eyes(_patches(head, capture, still), found["skin"])
    return Measured(
        skin=found.get("skin"),
        lip=found.get("lip"),
        hair=found.get("hair"),
        brow=found.get("brow"),
        iris=eyes.iris,
        white=eyes.white,
        iris_radius=eyes.iris_radius,
        pupil=eyes.pupil,
        figures={"eyes": float(eyes.patches), "hair_seen": seen},
    )


def _patches(head: PosedHead, capture: Capture, still: Lit) -> list[EyePatch]:
    found = []
    for index, picture, scale in footage_pictures(capture, head.performance, open_eyed(head)):
        light = still.lighting[index if len(still.lighting) > 1 else 0]
        found += eye_patches(head, index, picture, scale, light, still.gain[index])
    return found


def open_eyed(head: PosedHead, count: int = FRAMES) -> list[int]:
    """Samples with open eyes that look about at the camera, spread over the take, in order."""
    performance = head.performance
    samples = np.arange(min(head.count, WITHIN))
    blink = performance.weights[samples][:, [INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]].max(axis=1)
    away = np.array([_away(head, i) for i in samples])
    doubt = np.clip(blink, 0, 1) + away + (1 - performance.confidence[samples])
    usable = samples[(blink < OPEN) & (performance.confidence[samples] > 0)]
    parts = [part for part in np.array_split(usable, count) if len(part)]
    return sorted(int(part[np.argmin(doubt[part])]) for part in parts)


def _away(head: PosedHead, index: int) -> float:
    """Sine of the angle by which the head is turned from the camera."""
    sight = head.translation(index)
    facing = -float(head.rotation(index)[:, 2] @ sight) / float(np.linalg.norm(sight))
    return float(np.sqrt(max(0.0, 1 - facing * facing))) if facing > 0 else 2.0
