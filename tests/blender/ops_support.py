# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures for the operator tests, made here so that nothing from outside is needed."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np

Importer = Callable[[str], ModuleType]


def write_take(
    module: Importer, path: Path, seconds: float = 1.0, rate: float = 30.0, head: bool = True
) -> Path:
    """A Live Link Face CSV: the jaw opens and closes once a second, and the head turns."""
    count = int(seconds * rate) + 1
    time = np.arange(count) / rate
    arkit, performance = module("core.arkit"), module("core.performance")
    weights = np.zeros((count, 52), np.float32)
    weights[:, arkit.INDEX["jawOpen"]] = 0.4 - 0.4 * np.cos(2 * np.pi * time)
    weights[:, arkit.INDEX["eyeBlinkLeft"]] = weights[:, arkit.INDEX["eyeBlinkRight"]] = np.sin(3 * time) ** 8
    turn = 0.2 * np.sin(2 * np.pi * time)
    zero = np.zeros(count)
    rotation = np.stack([np.cos(turn / 2), zero, np.sin(turn / 2), zero], axis=1) if head else None
    performance.Performance("take", time, weights, head_rotation=rotation).save_live_link_csv(path)
    return path


def write_sound(path: Path, seconds: float = 1.0) -> Path:
    """A tone."""
    samples = (8000 * np.sin(np.arange(int(16000 * seconds)) * 0.2)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return path
