# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be rendered in a given time: size and step from what frames cost on this machine."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import log2
from pathlib import Path

SCALES = (1.0, 0.75, 0.5, 0.375, 0.3, 0.25)
"""Parts of the wanted width and height that are tried."""
STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30)
"""Steps that are tried, in frames."""
SMOOTH = 0.7
"""How much a halved frame rate weighs beside a halved width and height."""


@dataclass(frozen=True)
class Cost:
    """Seconds of a frame as a line over its pixels."""

    fixed: float
    per_pixel: float

    @staticmethod
    def measured(small: tuple[int, float], large: tuple[int, float]) -> Cost:
        """From two frames, (pixels, s) each; never falls with size and never starts below zero."""
        (pixels, seconds), (more, longer) = small, large
        slope = max(0.0, (longer - seconds) / max(1, more - pixels))
        fixed = seconds - slope * pixels
        return Cost(fixed, slope) if fixed >= 0.0 else Cost(0.0, longer / more)

    def of(self, pixels: float) -> float:
        """Seconds of a frame with this many pixels."""
        return self.fixed + self.per_pixel * pixels


@dataclass(frozen=True)
class Plan:
    """What is rendered."""

    scale: float
    """Part of the wanted width and height."""
    step: int
    """Every how manieth frame."""
    count: int
    """Frames rendered; fewer than the range holds only when nothing else fits."""
    seconds: float
    """Expected time."""

    def sentence(self, total: int, budget: float) -> str:
        """What was reduced, for the report."""
        parts = []
        if self.scale < 1.0:
            parts.append(f"{self.scale:.0%} of the size")
        if self.step > 1:
            parts.append(f"every {self.step}th frame".replace("2th", "2nd").replace("3th", "3rd"))
        if self.count * self.step < total:
            parts.append(f"the first {self.count} of these")
        if not parts:
            return f"Everything fits into {budget:.0f} s."
        return f"To fit into {budget:.0f} s: {', '.join(parts)}; --full renders all."


def plan(cost: Cost, pixels: int, total: int, seconds: float) -> Plan:
    """The least reduction of a full frame of `pixels` and a range of `total` frames that fits into
    `seconds`.
    """
    options = sorted(
        ((scale, step) for scale in SCALES for step in STEPS if step == 1 or total // step >= 8),
        key=lambda option: -log2(option[0]) + SMOOTH * log2(option[1]),
    )
    for scale, step in options:
        count = -(-total // step)
        expected = count * cost.of(pixels * scale * scale)
        if expected <= seconds:
            return Plan(scale, step, count, expected)
    scale, step = SCALES[-1], max(step for _scale, step in options)
    each = cost.of(pixels * scale * scale)
    count = min(-(-total // step), max(1, int(seconds / max(each, 1e-6))))
    return Plan(scale, step, count, count * each)


def draws_in_software() -> bool:
    """Whether OpenGL is surely without a graphics card: a Linux machine that has no device of one."""
    if not sys.platform.startswith("linux"):
        return False
    cards = [*Path("/dev/dri").glob("renderD*"), Path("/dev/nvidia0"), Path("/dev/dxg")]
    return not any(card.exists() for card in cards)
