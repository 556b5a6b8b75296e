# SPDX-License-Identifier: GPL-3.0-or-later
"""How long and how finely Gaussians are trained, and what that costs before it is begun."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import SettingsError

STEP_BASE, STEP_PER_GAUSSIAN, STEP_PER_PIXEL = 4.0e-3, 6.0e-7, 8.0e-8
"""Seconds of one processor for a step: itself, per Gaussian, and per pixel of the head's box."""
PER_PICTURE = 0.05
"""Seconds to cut the head out of a picture."""
HEAD_SHARE = 0.6
"""Of a picture that the box around the head takes, roughly."""


@dataclass(frozen=True)
class SplatPreset:
    """One choice of speed against detail."""

    name: str
    iterations: int
    gaussians: int
    """At most, after densifying."""
    resolution: int
    """px: longest side of the footage as it is used."""
    latents: int = 8
    """Directions of expression that offsets are learned for."""

    @property
    def seed_count(self) -> int:
        """Gaussians before any is added."""
        return max(20_000, self.gaussians // 2)


PRESETS = {
    preset.name: preset
    for preset in (
        SplatPreset("draft", 800, 20_000, 384, 4),
        SplatPreset("low", 1500, 25_000, 512, 6),
        SplatPreset("medium", 2500, 32_000, 512, 8),
        SplatPreset("default", 4000, 40_000, 512, 8),
        SplatPreset("high", 10_000, 70_000, 1024, 12),
    )
}


def preset_of(name: str) -> SplatPreset:
    """The preset of a name; SettingsError for another word."""
    if name not in PRESETS:
        raise SettingsError(f"There is no preset {name!r}.", f"Choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]


def estimate(name: str, frames: int, cores: int = 2, size: tuple[int, int] = (512, 512)) -> float:
    """Seconds that training will take, roughly, for footage of `frames` pictures of a size in px."""
    preset = preset_of(name)
    shrink = min(1.0, preset.resolution / max(size))
    pixels = HEAD_SHARE * size[0] * size[1] * shrink**2
    step = STEP_BASE + STEP_PER_GAUSSIAN * preset.gaussians + STEP_PER_PIXEL * pixels
    threads = 1.0 + 0.5 * (min(max(cores, 1), 16) - 1)
    return preset.iterations * step / threads + PER_PICTURE * min(frames, 1000)
