# SPDX-License-Identifier: GPL-3.0-or-later
"""The lighting sets as plain values: what stands where, in watts and degrees around the face."""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[float, float, float]

WHITE: Colour = (1.0, 1.0, 1.0)
WARM: Colour = (1.0, 0.81, 0.62)
"""About 4300 K, linear RGB."""
COOL: Colour = (0.76, 0.87, 1.0)
"""About 8000 K."""
LOW_SUN: Colour = (1.0, 0.56, 0.25)


@dataclass(frozen=True)
class Lamp:
    """One light that is aimed at the face."""

    name: str
    azimuth: float
    """Degrees; 0 in front of the face, 90 at the subject's left, 180 behind."""
    elevation: float
    """Degrees above the eyes."""
    distance: float
    """Metres from the face."""
    size: tuple[float, float]
    """Width and height in metres."""
    power: float
    """Watts."""
    colour: Colour = WHITE


@dataclass(frozen=True)
class Backdrop:
    """The world: what lights from all sides, and what the camera sees behind the person."""

    ambient: Colour
    strength: float
    centre: Colour
    """Of the backdrop behind the head."""
    edge: Colour
    """At the corners of the picture."""


@dataclass(frozen=True)
class LightSet:
    """A lighting set with the name and the description that a menu shows."""

    title: str
    description: str
    lamps: tuple[Lamp, ...]
    backdrop: Backdrop


SETS: dict[str, LightSet] = {
    "NEUTRAL": LightSet(
        "Neutral",
        "Soft light from the front that shows form and colour as they are",
        (
            Lamp("Key", 35, 28, 1.9, (1.4, 1.4), 34),
            Lamp("Fill", -45, 12, 2.1, (1.6, 1.6), 16),
            Lamp("Hair", 165, 48, 1.7, (0.9, 0.5), 18),
        ),
        Backdrop((1.0, 1.0, 1.0), 0.22, (0.24, 0.25, 0.26), (0.11, 0.115, 0.12)),
    ),
    "STUDIO": LightSet(
        "Studio",
        "Three points: key, fill and a rim that parts hair and shoulders from the background",
        (
            Lamp("Key", 42, 34, 1.6, (0.8, 0.8), 40, (1.0, 0.95, 0.89)),
            Lamp("Fill", -50, 6, 2.0, (1.4, 1.4), 8, (0.88, 0.94, 1.0)),
            Lamp("Rim", -148, 36, 1.6, (0.4, 1.0), 46, (0.92, 0.96, 1.0)),
            Lamp("Background", 150, -20, 1.8, (0.6, 0.6), 6),
        ),
        Backdrop((0.85, 0.92, 1.0), 0.06, (0.10, 0.115, 0.14), (0.022, 0.025, 0.03)),
    ),
    "REMBRANDT": LightSet(
        "Rembrandt",
        "One high light from the side that leaves a triangle on the far cheek",
        (
            Lamp("Key", 52, 44, 1.5, (0.5, 0.5), 60, (1.0, 0.88, 0.74)),
            Lamp("Fill", -60, 4, 2.2, (1.4, 1.4), 3.5, WARM),
            Lamp("Hair", -155, 50, 1.6, (0.5, 0.3), 12, WARM),
        ),
        Backdrop((1.0, 0.85, 0.7), 0.025, (0.060, 0.043, 0.030), (0.008, 0.006, 0.005)),
    ),
    "BUTTERFLY": LightSet(
        "Butterfly",
        "A high light in front and a reflector below, for smooth cheeks and clear cheekbones",
        (
            Lamp("Key", 0, 50, 1.5, (0.7, 0.7), 32),
            Lamp("Reflector", 0, -42, 1.1, (0.9, 0.5), 6),
            Lamp("Rim Left", 145, 30, 1.7, (0.3, 1.0), 20),
            Lamp("Rim Right", -145, 30, 1.7, (0.3, 1.0), 20),
        ),
        Backdrop((1.0, 1.0, 1.0), 0.08, (0.30, 0.29, 0.29), (0.10, 0.098, 0.098)),
    ),
    "SPLIT": LightSet(
        "Split",
        "Light from one side only, half of the face in shadow",
        (
            Lamp("Key", 92, 10, 1.5, (0.5, 0.9), 72, (1.0, 0.94, 0.86)),
            Lamp("Fill", -80, 10, 2.4, (1.2, 1.2), 2.0, COOL),
        ),
        Backdrop((0.8, 0.9, 1.0), 0.018, (0.022, 0.026, 0.032), (0.004, 0.005, 0.006)),
    ),
    "NOIR": LightSet(
        "Noir",
        "Two hard rims from behind and a whisper of light in front",
        (
            Lamp("Rim Left", 138, 26, 1.4, (0.25, 0.8), 60, (0.93, 0.96, 1.0)),
            Lamp("Rim Right", -132, 30, 1.4, (0.25, 0.8), 75, (0.93, 0.96, 1.0)),
            Lamp("Front", 25, 35, 2.2, (0.5, 0.5), 9),
        ),
        Backdrop((0.7, 0.8, 1.0), 0.012, (0.012, 0.014, 0.018), (0.002, 0.002, 0.003)),
    ),
    "WINDOW": LightSet(
        "Window",
        "Daylight through a large window at the side, a bright room around",
        (
            Lamp("Window", 68, 14, 1.8, (1.4, 2.0), 62, (0.86, 0.93, 1.0)),
            Lamp("Room", -70, 8, 2.6, (2.2, 2.0), 9, (1.0, 0.92, 0.82)),
        ),
        Backdrop((0.93, 0.97, 1.0), 0.24, (0.42, 0.40, 0.37), (0.20, 0.18, 0.16)),
    ),
    "GOLDEN_HOUR": LightSet(
        "Golden Hour",
        "A low sun behind the shoulder and a glowing sky",
        (
            Lamp("Sun", 128, 14, 3.2, (0.3, 0.3), 330, LOW_SUN),
            Lamp("Glow", 40, 16, 2.2, (1.8, 1.2), 24, (1.0, 0.74, 0.5)),
            Lamp("Sky", -50, 40, 2.6, (2.4, 2.0), 12, (0.72, 0.82, 1.0)),
        ),
        Backdrop((0.80, 0.78, 0.9), 0.16, (0.85, 0.44, 0.19), (0.26, 0.17, 0.17)),
    ),
}
"""Lighting sets by key; the first is the default."""


def items() -> tuple[tuple[str, str, str], ...]:
    """Enum items: key, title, description."""
    return tuple((key, entry.title, entry.description) for key, entry in SETS.items())
