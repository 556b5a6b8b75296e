# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sample's person says: one timeline from which both the sound and the lips are made, so that they
agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RATE = 30.0
DURATION = 3.1
"""Seconds; 93 frames at 30 frames per second."""
SPEECH_STARTS = 0.42


@dataclass(frozen=True)
class Phone:
    """One speech sound: how long (s), its formants (Hz), voice and noise level, and the lips' targets."""

    seconds: float
    formants: tuple[float, float, float]
    voice: float
    noise: float
    lips: dict[str, float]


def _pair(name: str, value: float) -> dict[str, float]:
    return {f"{name}Left": value, f"{name}Right": value}


OPEN_E = {
    "jawOpen": 0.30,
    **_pair("mouthStretch", 0.16),
    **_pair("mouthLowerDown", 0.18),
    **_pair("mouthUpperUp", 0.1),
}
TONGUE = {"jawOpen": 0.22, **_pair("mouthLowerDown", 0.22), **_pair("mouthUpperUp", 0.10)}
ROUND = {"jawOpen": 0.26, "mouthFunnel": 0.42, "mouthPucker": 0.34}
WIDE_A = {"jawOpen": 0.52, **_pair("mouthLowerDown", 0.20), **_pair("mouthUpperUp", 0.12)}
WIDE_I = {
    "jawOpen": 0.16,
    **_pair("mouthSmile", 0.26),
    **_pair("mouthStretch", 0.14),
    **_pair("mouthLowerDown", 0.12),
}
SHUT = {"jawOpen": 0.03, "mouthRollLower": 0.14, "mouthRollUpper": 0.10, **_pair("mouthPress", 0.30)}
HISS = {
    "jawOpen": 0.06,
    **_pair("mouthStretch", 0.22),
    **_pair("mouthLowerDown", 0.26),
    **_pair("mouthUpperUp", 0.14),
}
REST: dict[str, float] = {}

PHONES = (
    Phone(0.07, (560, 1750, 2500), 0.00, 0.30, OPEN_E),  # H
    Phone(0.10, (560, 1750, 2500), 0.90, 0.00, OPEN_E),  # e
    Phone(0.09, (360, 1250, 2700), 0.60, 0.00, TONGUE),  # ll
    Phone(0.12, (520, 900, 2450), 0.95, 0.00, ROUND),  # o
    Phone(0.14, (400, 780, 2400), 0.60, 0.00, ROUND),  # o, ending
    Phone(0.24, (400, 800, 2400), 0.00, 0.00, REST),
    Phone(0.13, (760, 1150, 2500), 1.00, 0.00, WIDE_A),  # I
    Phone(0.08, (360, 2150, 2900), 0.70, 0.00, WIDE_I),
    Phone(0.11, (680, 1680, 2420), 0.90, 0.00, WIDE_A),  # a
    Phone(0.09, (260, 1050, 2250), 0.35, 0.00, SHUT),  # m
    Phone(0.06, (290, 2250, 3000), 0.60, 0.00, WIDE_I),  # y
    Phone(0.14, (540, 880, 2400), 0.90, 0.00, ROUND),  # ou
    Phone(0.08, (440, 1250, 1600), 0.55, 0.00, ROUND),  # r
    Phone(0.08, (360, 1250, 2700), 0.60, 0.00, TONGUE),  # l
    Phone(0.14, (760, 1200, 2500), 1.00, 0.00, WIDE_A),  # i
    Phone(0.07, (380, 2100, 2800), 0.65, 0.00, WIDE_I),
    Phone(0.04, (400, 1800, 2500), 0.00, 0.00, TONGUE),  # k, closed
    Phone(0.03, (400, 1800, 2500), 0.00, 0.70, TONGUE),  # k, burst
    Phone(0.09, (260, 1450, 2350), 0.40, 0.00, TONGUE),  # n
    Phone(0.09, (580, 1500, 2450), 0.75, 0.00, OPEN_E),  # e
    Phone(0.17, (300, 1600, 2600), 0.00, 0.45, HISS),  # ss
)


def starts() -> np.ndarray:
    """(n + 1,) seconds at which each phone starts, and the end of the last."""
    return SPEECH_STARTS + np.concatenate([[0.0], np.cumsum([phone.seconds for phone in PHONES])])
