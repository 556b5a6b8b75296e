# SPDX-License-Identifier: GPL-3.0-or-later
"""A small formant synthesiser: the sample's voice belongs to nobody."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from .score import DURATION, PHONES, starts

SAMPLE_RATE = 24_000
BANDWIDTHS = (80.0, 110.0, 160.0)
PITCH = (
    (0.0, 196.0),
    (0.55, 228.0),
    (0.95, 178.0),
    (1.2, 205.0),
    (1.5, 232.0),
    (2.0, 206.0),
    (2.6, 168.0),
    (3.4, 160.0),
)


def speak() -> np.ndarray:
    """(n,) float64 samples within -1..1 at `SAMPLE_RATE`."""
    time = np.arange(round(DURATION * SAMPLE_RATE)) / SAMPLE_RATE
    voice, noise, formants = _tracks(time)
    rng = np.random.default_rng(11)
    phase = (
        np.cumsum(np.interp(time, *np.array(PITCH).T) * (1 + 0.012 * np.sin(2 * np.pi * 5.1 * time)))
        / SAMPLE_RATE
    )
    cycle = phase % 1.0
    pulse = np.where(cycle < 0.62, cycle**2 * (0.62 - cycle), 0.0)
    source = voice * np.diff(pulse, prepend=0.0) * 14 + 0.02 * voice * rng.normal(size=len(time))
    hiss = np.diff(rng.normal(size=len(time)), prepend=0.0) * noise * 0.10
    sound = source
    for track, bandwidth in zip(formants.T, BANDWIDTHS, strict=True):
        sound = _resonate(sound, track, bandwidth)
    sound = sound / np.abs(sound).max()
    mixed = 0.75 * sound + hiss + 0.0006 * rng.normal(size=len(time))
    return np.clip(mixed / np.abs(mixed).max() * 0.8, -1, 1)


def _tracks(time: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voice level, noise level (n,) and formants (n, 3), each gliding from sound to sound."""
    edges = starts()
    middles = 0.5 * (edges[:-1] + edges[1:])
    voice, noise = (np.array([getattr(phone, kind) for phone in PHONES]) for kind in ("voice", "noise"))
    inside = (time >= edges[0]) & (time < edges[-1])
    which = np.clip(np.searchsorted(edges, time, side="right") - 1, 0, len(PHONES) - 1)
    window = np.hanning(round(0.03 * SAMPLE_RATE))
    window /= window.sum()
    levels = [
        np.convolve(np.where(inside, level[which], 0.0), window, mode="same") for level in (voice, noise)
    ]
    formants = np.array([phone.formants for phone in PHONES])
    return (
        levels[0],
        levels[1],
        np.stack([np.interp(time, middles, formants[:, k]) for k in range(3)], axis=1),
    )


def _resonate(signal: np.ndarray, frequency: np.ndarray, bandwidth: float) -> np.ndarray:
    """A two-pole resonator whose frequency (Hz) follows a track (Klatt 1980, equation 1)."""
    radius = np.exp(-np.pi * bandwidth / SAMPLE_RATE)
    b = 2 * radius * np.cos(2 * np.pi * frequency / SAMPLE_RATE)
    c = -(radius**2)
    result = np.empty_like(signal)
    last, before = 0.0, 0.0
    for i, (value, pole) in enumerate(zip((signal * (1 - b - c)).tolist(), b.tolist(), strict=True)):
        last, before = value + pole * last + c * before, last
        result[i] = last
    return result


def write_wav(path: Path) -> None:
    """The sound as 16-bit mono."""
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(SAMPLE_RATE)
        stream.writeframes((speak() * 32767).astype("<i2").tobytes())
