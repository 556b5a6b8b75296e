# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters over a performance. They return a new one; the caller keeps the raw one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from . import rotation
from .arkit import ARKIT_NAMES, INDEX, MIRROR, SWAP_MOUTH, canonical_name
from .decimate import decimate, decimate_channels
from .errors import SettingsError
from .performance import Performance
from .smoothing import one_euro, savitzky_golay

__all__ = ["SMOOTHING", "FilterSettings", "apply", "decimate", "decimate_channels", "per_shape"]

SMOOTHING = ("NONE", "ONE_EURO", "SAVITZKY_GOLAY")
_COUNT = len(ARKIT_NAMES)


@dataclass(frozen=True)
class FilterSettings:
    """What `apply` does to a performance. The defaults change nothing. A bad value is a SettingsError.

    The numbers of the two smoothings were chosen on a real take of 4030 frames: One Euro halves the jitter
    of a still face and keeps 0.98 of the height of blinks, Savitzky-Golay keeps 0.99 and takes off a
    seventh.
    """

    smoothing: str = "NONE"
    """NONE, ONE_EURO (follows fast motion, calms slow motion) or SAVITZKY_GOLAY (keeps the height of
    peaks).
    """
    cutoff: float = 1.5
    """One Euro: cutoff frequency at rest, in Hz. Lower is calmer."""
    beta: float = 10.0
    """One Euro: rise of the cutoff in Hz per unit of speed (weight, radian or metre per second). Higher
    lags less.
    """
    derivative_cutoff: float = 5.0
    """One Euro: cutoff frequency of the speed estimate, in Hz."""
    two_way: bool = True
    """One Euro: run forwards and backwards, so that nothing lags behind the sound. Off is what a live
    stream gets.
    """
    window: int = 5
    """Savitzky-Golay: samples in the sliding window, odd."""
    order: int = 2
    """Savitzky-Golay: order of the polynomial, below the window."""
    gain: Sequence[float] = (1.0,) * _COUNT
    """(52,) factor of each shape."""
    offset: Sequence[float] = (0.0,) * _COUNT
    """(52,) added to each shape after the gain."""
    minimum: Sequence[float] = (-np.inf,) * _COUNT
    """(52,) lower limit of each shape, applied last."""
    maximum: Sequence[float] = (np.inf,) * _COUNT
    """(52,) upper limit of each shape, applied last."""
    swap_mouth: bool = False
    """Exchange left and right of jaw and mouth shifts only, for senders that name them as an observer does.
    """
    mirror: bool = False
    """Exchange left and right of everything: weights, head and gaze. FLAME parameters are dropped."""
    limit_mouth_close: bool = False
    """Keep mouthClose at or below jawOpen: closed lips beyond the open jaw push through each other."""

    def __post_init__(self) -> None:
        """Check every value and store the per-shape ones as tuples."""
        if self.smoothing not in SMOOTHING:
            raise SettingsError(f"Smoothing is {self.smoothing!r}.", f"Choose one of {', '.join(SMOOTHING)}.")
        for name in ("cutoff", "derivative_cutoff"):
            if not getattr(self, name) > 0.0:
                raise SettingsError(
                    f"The filter value {name} is {getattr(self, name):g} Hz; it must be above 0."
                )
        if not self.beta >= 0.0:
            raise SettingsError(f"The filter value beta is {self.beta:g}; it must be 0 or more.")
        if self.window < 1 or self.window % 2 == 0 or not 0 <= self.order < self.window:
            raise SettingsError(
                f"The smoothing window has {self.window} samples for a polynomial of order {self.order}.",
                "Choose an odd window above the order.",
            )
        for name in ("gain", "offset", "minimum", "maximum"):
            object.__setattr__(self, name, _per_shape_values(name, getattr(self, name)))


def per_shape(values: Mapping[str, float], default: float) -> tuple[float, ...]:
    """(52,) values with `default` where `values`, by any dialect of the names, has none. SettingsError for
    no shape.
    """
    table = [default] * _COUNT
    for name, value in values.items():
        known = canonical_name(name)
        if known is None:
            raise SettingsError(f"{name!r} is not one of the 52 ARKit shapes.")
        table[INDEX[known]] = value
    return tuple(table)


def _per_shape_values(name: str, values: Sequence[float]) -> tuple[float, ...]:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (_COUNT,) or np.any(np.isnan(array)):
        raise SettingsError(f"The filter value {name} must hold {_COUNT} numbers, one for each shape.")
    return tuple(array.tolist())


def apply(performance: Performance, settings: FilterSettings) -> Performance:
    """A filtered copy, in this order: mouth swap, smoothing, gain, offset, limits, mouthClose limit, mirror.

    Time, confidence and FLAME parameters stay as they are. Default settings give equal arrays.
    """
    weights = performance.weights[:, SWAP_MOUTH] if settings.swap_mouth else performance.weights
    changed = _smoothed(replace(performance, weights=weights), settings)
    changed = replace(changed, weights=_shaped(changed.weights, settings))
    return _mirrored(changed) if settings.mirror else changed


def _shaped(weights: np.ndarray, settings: FilterSettings) -> np.ndarray:
    """Weights (T, 52) float32 with gain, offset and limits; computed in float64."""
    shaped = weights.astype(np.float64) * np.array(settings.gain) + np.array(settings.offset)
    shaped = np.clip(shaped, settings.minimum, settings.maximum)
    if settings.limit_mouth_close:
        close = INDEX["mouthClose"]
        shaped[:, close] = np.minimum(shaped[:, close], np.maximum(shaped[:, INDEX["jawOpen"]], 0.0))
    return shaped.astype(np.float32)


def _smoothed(performance: Performance, settings: FilterSettings) -> Performance:
    if settings.smoothing == "NONE" or performance.frame_count < 2:
        return performance

    def smooth(values: np.ndarray | None) -> np.ndarray | None:
        if values is None:
            return None
        table = values.reshape(len(values), -1)
        return _smooth(performance.time, table, settings).reshape(values.shape).astype(values.dtype)

    return replace(
        performance,
        weights=smooth(performance.weights),
        gaze=smooth(performance.gaze),
        head_translation=smooth(performance.head_translation),
        head_rotation=_smooth_rotation(performance.time, performance.head_rotation, settings),
    )


def _smooth(time: np.ndarray, values: np.ndarray, settings: FilterSettings) -> np.ndarray:
    """Values (T, C) float64, each channel by itself."""
    if settings.smoothing == "SAVITZKY_GOLAY":
        return savitzky_golay(time, values, settings.window, settings.order)
    options = settings.cutoff, settings.beta, settings.derivative_cutoff
    smooth = one_euro(time, values, *options)
    return one_euro(-time[::-1], smooth[::-1], *options)[::-1] if settings.two_way else smooth


def _smooth_rotation(
    time: np.ndarray, quaternions: np.ndarray | None, settings: FilterSettings
) -> np.ndarray | None:
    """Quaternions (T, 4) smoothed by their parts and made unit again.

    The signs are made continuous first, or a jump from q to -q would be smoothed through zero. A part of a
    quaternion changes by half the angle, so speeds are doubled to be those of the head in radians.
    """
    if quaternions is None:
        return None
    smooth = _smooth(time, 2.0 * rotation.continuous(quaternions), settings)
    return rotation.normalized(smooth)


def _mirrored(performance: Performance) -> Performance:
    """The performance seen in a mirror; twice is the identity (FLAME parameters have no mirror and are
    dropped).
    """
    head, gaze = performance.head_rotation, performance.gaze
    translation = performance.head_translation
    return replace(
        performance,
        weights=performance.weights[:, MIRROR],
        head_rotation=None if head is None else rotation.mirrored(head),
        head_translation=None if translation is None else translation * np.array([-1.0, 1.0, 1.0]),
        gaze=None if gaze is None else gaze[:, ::-1] * np.array([-1.0, 1.0]),
        flame=None,
    )
