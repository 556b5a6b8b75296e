# SPDX-License-Identifier: GPL-3.0-or-later
"""A movie of texture pictures: H.264 that scrubs well, at exact times, in colours that players agree on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import WorkerError
from ..files import atomic_path

Array = np.ndarray

TICKS = 90_000
"""Of a second: the clock of H.264 in containers. It divides 24, 25, 30, 50, 60 and the 1000/1001 rates."""
GROUP = 12
"""Pictures from one that stands alone to the next: what a player decodes at most for a jump."""
QUALITY = 16
"""x264's constant rate factor; below 18 nobody sees a difference."""
PRESET, TOOLS = "ultrafast", "deblock=0,0"
"""superfast makes files a tenth smaller for twice the time. Deblocking, which ultrafast leaves out, costs
next to nothing, and skin is smooth.
"""
_BT709, _SRGB, _LIMITED = 1, 13, 1
"""ITU-T H.273: matrix and primaries, transfer; 16..235 as FFmpeg numbers it."""


@contextlib.contextmanager
def write_movie(
    path: Path,
    size: int | tuple[int, int],
    times: Array,
    *,
    quality: int = QUALITY,
    preset: str = PRESET,
    threads: int = 1,
) -> Iterator[MovieWriter]:
    """A movie to write to; it appears at `path` whole, at the end, or not at all.

    size: side of square pictures in px, or width and height; even. times: (T,) s, strictly increasing, from 0
    or later. WorkerError without av or its H.264 encoder; ValueError for times that the clock cannot tell
    apart, and for another number of pictures.
    """
    ticks = ticks_of(times)
    av = _library()
    clock = {"movie_timescale": str(TICKS)}  # of the edit list, which says when the first picture is due
    with (
        atomic_path(Path(path)) as beside,
        av.open(str(beside), "w", format="mp4", options=clock) as container,
    ):
        options = {"crf": str(quality), "preset": preset, "x264-params": TOOLS}
        stream = container.add_stream("libx264", rate=_rate(ticks), options=options)
        stream.width, stream.height = (size, size) if isinstance(size, int) else size
        stream.codec_context.thread_count = threads
        writer = MovieWriter(container, stream, ticks)
        yield writer
        writer.finish()


def _library() -> Any:
    try:
        import av
        from av.codec import Codec

        Codec("libx264", "w")
    except (ImportError, ValueError) as problem:
        raise WorkerError(
            "Movies cannot be written: the 'av' library or its H.264 encoder is missing.",
            "Make the worker environment in the preferences, or run build.py setup.",
        ) from problem
    return av


class MovieWriter:
    """Writes the pictures of a movie in their order.

    Each is decoded without those after it (no B pictures), so that no player shifts the start.
    """

    def __init__(self, container: Any, stream: Any, ticks: Array) -> None:
        self._container, self._stream, self._ticks = container, stream, ticks
        self.count = 0
        context = stream.codec_context
        stream.pix_fmt = "yuv420p"
        stream.time_base = context.time_base = Fraction(1, TICKS)
        context.gop_size, context.max_b_frames = GROUP, 0
        context.colorspace = context.color_primaries = _BT709
        context.color_trc, context.color_range = _SRGB, _LIMITED

    def write(self, picture: Array) -> None:
        """The next picture, (H, W, 3) uint8 sRGB."""
        self.write_planes(*planes_of(picture))

    def write_planes(self, luma: Array, blue: Array, red: Array) -> None:
        """The next picture as `planes_of` gives it."""
        import av

        if self.count >= len(self._ticks):
            raise ValueError(f"the movie has {len(self._ticks)} times, this is one picture more")
        frame = av.VideoFrame(luma.shape[1], luma.shape[0], "yuv420p")
        for plane, values in zip(frame.planes, (luma, blue, red), strict=True):
            _fill(plane, values)
        frame.colorspace, frame.color_range = _BT709, _LIMITED
        frame.pts, frame.time_base = int(self._ticks[self.count]), Fraction(1, TICKS)
        frame.duration = self._duration(self.count)
        self._container.mux(self._stream.encode(frame))
        self.count += 1

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if self.count != len(self._ticks):
            raise ValueError(f"the movie has {self.count} pictures for {len(self._ticks)} times")
        self._container.mux(self._stream.encode())

    def _duration(self, n: int) -> int:
        """Ticks that picture `n` stays; the last as long as usual."""
        if n + 1 < len(self._ticks):
            return int(self._ticks[n + 1] - self._ticks[n])
        return int(np.median(np.diff(self._ticks))) if n else TICKS // 30


def ticks_of(times: Array) -> Array:
    """(T,) int64 of `times` (s) on the movie's clock; ValueError where they do not rise on it."""
    ticks = np.rint(np.asarray(times, np.float64) * TICKS).astype(np.int64)
    if not len(ticks) or ticks[0] < 0 or np.any(np.diff(ticks) <= 0):
        raise ValueError("the times of a movie must rise from 0 or later")
    return ticks


def _rate(ticks: Array) -> Fraction:
    """Pictures per second to announce: the usual distance of two."""
    if len(ticks) < 2:
        return Fraction(30)
    mean = Fraction(int(ticks[-1] - ticks[0]), len(ticks) - 1)
    usual = Fraction(int(np.median(np.diff(ticks))))
    return (TICKS / (mean if abs(mean - usual) < 1 else usual)).limit_denominator(1001)


_LUMA = np.array([0.2126, 0.7152, 0.0722])
"""BT.709, equation 3.2, of R, G and B."""


def _matrix() -> Array:
    """(3, 4) float32: Y, Cb and Cr in 8 bits (BT.709, 3.3 and 3.4) from R, G, B in 0..255 and 1."""
    blue = (np.array([0.0, 0.0, 1.0]) - _LUMA) / 1.8556
    red = (np.array([1.0, 0.0, 0.0]) - _LUMA) / 1.5748
    rows = np.stack([_LUMA * 219.0, blue * 224.0, red * 224.0]) / 255.0
    return np.column_stack([rows, [16.0, 128.0, 128.0]]).astype(np.float32)


_RGB_TO_YUV = _matrix()
_STRIP = 64
"""Rows that stay in the processor's cache."""


def planes_of(picture: Array) -> tuple[Array, Array, Array]:
    """Y (H, W), Cb and Cr (H/2, W/2) uint8 of a picture (H, W, 3) uint8.

    Ten times faster than swscale, and as near to the picture when it is turned back: OpenCV is quick at three
    channels into three, so that all are made, a strip at a time, where one or two are wanted.
    """
    import cv2

    luma = np.empty(picture.shape[:2], np.uint8)
    for top in range(0, len(luma), _STRIP):
        rows = slice(top, top + _STRIP)
        cv2.extractChannel(cv2.transform(picture[rows], _RGB_TO_YUV), 0, dst=luma[rows])
    half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    chroma = cv2.transform(half, _RGB_TO_YUV)
    return luma, cv2.extractChannel(chroma, 1), cv2.extractChannel(chroma, 2)


def _fill(plane: Any, values: Array) -> None:
    """Copy (h, w) uint8 into a plane, whose lines may be longer."""
    lines = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
    lines[:, : plane.width] = values
