# SPDX-License-Identifier: GPL-3.0-or-later
"""The 52 ARKit blendshape names, their order and every dialect of them.

The order is that of the Live Link Face UDP packet (formats-capture 4.1). The app's CSV has left and right
of the jaw and of the mouth the other way round, so CSV is read by header name and UDP by index.
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

ARKIT_NAMES: tuple[str, ...] = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft",
    "eyeSquintLeft", "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight",
    "eyeLookOutRight", "eyeLookUpRight", "eyeSquintRight", "eyeWideRight", "jawForward", "jawLeft",
    "jawRight", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight",
    "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft",
    "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight", "mouthRollLower", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft",
    "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft", "browDownRight",
    "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft",
    "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
"""The 52 names in Live Link Face UDP order."""

INDEX: dict[str, int] = {name: index for index, name in enumerate(ARKIT_NAMES)}
"""Column of each name in a (T, 52) array of weights."""

ROTATION_NAMES: tuple[str, ...] = (
    "headYaw", "headPitch", "headRoll", "leftEyeYaw", "leftEyePitch", "leftEyeRoll", "rightEyeYaw",
    "rightEyePitch", "rightEyeRoll",
)  # fmt: skip
"""The nine rotation channels that follow the 52 weights in Live Link Face packets and files, in radians."""

LIVE_LINK_SIGNS: tuple[int, ...] = (1, 1, 1, -1, -1, -1, -1, -1, -1)
"""Factors from `ROTATION_NAMES` as the app writes them to yaw, pitch, roll of `core.rotation` (left, up,
right shoulder).

The eyes: in a real take of 4030 rows LeftEyeYaw falls with eyeLookOutLeft - eyeLookInLeft and LeftEyePitch
rises with eyeLookDownLeft (|r| > 0.99), so the app's eye angles are to the right and down. The head has the
opposite signs: in 180 recorded packets the eyes keep looking at the phone, and their recorded angles rise
with those of the head.
"""

SWAP_MOUTH_PAIRS: tuple[tuple[str, str], ...] = (("mouthLeft", "mouthRight"), ("jawLeft", "jawRight"))
"""The shapes that move the mouth sideways; some senders name them as an observer sees them."""


def _other_side(name: str) -> str:
    if name.endswith("Left"):
        return name[: -len("Left")] + "Right"
    if name.endswith("Right"):
        return name[: -len("Right")] + "Left"
    return name


def _permutation(pairs: dict[str, str]) -> np.ndarray:
    return np.array([INDEX[pairs.get(name, name)] for name in ARKIT_NAMES], dtype=np.intp)


MIRROR: np.ndarray = _permutation({name: _other_side(name) for name in ARKIT_NAMES})
"""(52,) permutation: `weights[:, MIRROR]` is the performance seen in a mirror."""

SWAP_MOUTH: np.ndarray = _permutation(
    dict(SWAP_MOUTH_PAIRS) | {right: left for left, right in SWAP_MOUTH_PAIRS}
)
"""(52,) permutation that exchanges left and right of the mouth and jaw shifts only."""

MIRROR.flags.writeable = False
SWAP_MOUTH.flags.writeable = False


def _csv_order() -> tuple[str, ...]:
    """The 61 value columns as the app writes them: right before left for the sideways shapes."""
    columns = [ARKIT_NAMES[index] for index in SWAP_MOUTH] + list(ROTATION_NAMES)
    return tuple(name[0].upper() + name[1:] for name in columns)


LIVE_LINK_CSV_NAMES: tuple[str, ...] = _csv_order()
"""The 61 value columns of the app's CSV, UpperCamel, after `Timecode` and `BlendShapeCount`."""


def _spellings() -> dict[str, str]:
    table = {}
    for name in ARKIT_NAMES:
        plain = name.lower()
        table[plain] = name
        for side in ("left", "right"):
            if plain.endswith(side):
                table[plain[: -len(side)] + side[0]] = name
    return table


_SPELLINGS = _spellings()
_TOKENS = re.compile(r"[A-Za-z0-9]+")


@lru_cache(maxsize=4096)
def canonical_name(name: str) -> str | None:
    """The ARKit name that `name` is a dialect of, or None.

    Understands `EyeBlinkLeft`, `eyeBlink_L`, `eye_blink_left`, `EYE-BLINK-L`, prefixes of other tools
    (`head_`, `Face.M_`, `blendShape1.`) and Blender's numbering (`.001`). Case does not matter.
    """
    if len(name) > 200:
        return None
    tokens = _TOKENS.findall(re.sub(r"\.\d{3,}$", "", name.strip()))
    for start in range(len(tokens)):
        found = _SPELLINGS.get("".join(tokens[start:]).lower())
        if found:
            return found
    return None
