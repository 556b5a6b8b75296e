# SPDX-License-Identifier: GPL-3.0-or-later
"""Clips of the sample's person, made for a purpose: turned, at odd times, twice in a picture, dark."""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.capture import Capture, open_capture

SAMPLE = Path(__file__).resolve().parents[2] / "core" / "data" / "sample" / "likeness_sample.zip"
TICKS = 600
"""Of a second, in the clips' time stamps."""


@functools.cache
def sample_frames(count: int = 12, start: int = 30) -> np.ndarray:
    """(count, H, W, 3) uint8 of the sample's movie, from picture `start` on."""
    av = pytest.importorskip("av")
    movie = open_capture(SAMPLE).movie
    assert movie is not None
    with movie.open() as stream, av.open(stream) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    chosen = np.stack(frames[start : start + count])
    chosen.flags.writeable = False
    return chosen


def write_clip(
    path: Path, frames: Sequence[np.ndarray] | np.ndarray, times: Sequence[float] | None = None, turn: int = 0
) -> Path:
    """An MPEG-4 movie of pictures (H, W, 3) at `times` (s), shown turned clockwise by `turn` degrees."""
    av = pytest.importorskip("av")
    from fractions import Fraction

    times = [index / 30.0 for index in range(len(frames))] if times is None else times
    with av.open(str(path), "w") as movie:
        video = movie.add_stream("mpeg4", rate=30)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt, video.bit_rate, video.gop_size = "yuv420p", 8_000_000, 1
        video.codec_context.time_base = Fraction(1, TICKS)
        for picture, time in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            frame.time_base, frame.pts = Fraction(1, TICKS), round(time * TICKS)
            movie.mux(video.encode(frame))
        movie.mux(video.encode())
    if turn:
        _turn(path, turn)
    return path


def _turn(path: Path, degrees: int) -> None:
    """Put a rotation into the movie's track header, whose matrix begins 40 bytes into its content."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    data[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, -b << 16, a << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(data))


def clip(path: Path, frames: Sequence[np.ndarray] | np.ndarray, **options: object) -> Capture:
    """A capture of a clip."""
    return open_capture(write_clip(path, frames, **options))  # type: ignore[arg-type]
