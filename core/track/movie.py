# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of a movie: exact times, upright, damaged ones left out and counted."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from ..capture import Member
from ..capture.member import reason
from ..errors import CaptureError, WorkerError
from .pictures import DETECT_SIDE, Picture, Region, Wanted, detection_size, picture_of, refuse_size, squared

MAX_FRAMES = 1_000_000
"""Over nine hours at 30 frames/s."""

SHORT = 0.9
"""Share of the pictures that a movie announces from which on it counts as whole."""


class Movie:
    """A movie, opened for one pass over its pictures. Use as a context manager.

    Time 0 is where the first of sound and pictures begins, as in a player, so that both stay in step.
    """

    ordered = True

    def __init__(
        self,
        member: Member,
        *,
        most: int = DETECT_SIDE,
        region: Region | None = None,
        wanted: Wanted | None = None,
        plain: bool = False,
    ) -> None:
        """Open it; a packed one is unpacked into a temporary folder first. `most`: longest side of what is
        given; `region`: only that part; `wanted`: the others are decoded and no more; `plain`: pictures are
        not made square.

        CaptureError when it is damaged or has no pictures, WorkerError without av.
        """
        self.skipped = 0
        self.problems: list[str] = []
        self._member, self._most, self._region = member, most, region
        self._wanted, self._plain = wanted, plain
        self._close = ExitStack()
        try:
            self._open()
        except BaseException:
            self._close.close()
            raise

    def _open(self) -> None:
        try:
            import av
            import av.error
            from av.video.reformatter import VideoReformatter
        except ImportError as problem:
            raise WorkerError(
                "Movies cannot be read: the 'av' library is missing.",
                "Make the worker environment in the preferences, or run build.py setup.",
            ) from problem
        self._error = av.error.FFmpegError
        self._scaler = VideoReformatter()  # a frame's own would be set up anew for each
        path = self._member.path
        if path is None:
            folder = self._close.enter_context(tempfile.TemporaryDirectory(prefix="likeness-movie-"))
            path = self._member.extract_to(Path(folder))
        try:
            self._container = self._close.enter_context(av.open(str(path), metadata_errors="ignore"))
        except (self._error, OSError, ValueError) as problem:
            raise CaptureError(
                f"The movie {self._member.name} cannot be read: {reason(problem)}.", "Copy it again."
            ) from problem
        streams = self._container.streams.video
        if not streams or streams[0].codec_context is None:
            raise CaptureError(
                f"The movie {self._member.name} has no pictures that can be read.",
                "Choose the recording of the face, or convert it to H.264.",
            )
        self._stream = streams[0]
        self._stream.thread_type = "AUTO"
        refuse_size(self._member.name, self._stream.width, self._stream.height)
        self._zero = start_time(self._container)
        self.total = self._expected_frames()

    def __enter__(self) -> Movie:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._close.close()

    def _expected_frames(self) -> int:
        """How many pictures it announces, for progress; 0 where it does not say."""
        stream = self._stream
        if stream.frames:
            return min(int(stream.frames), MAX_FRAMES)
        seconds = float(self._container.duration or 0) / 1e6
        return min(int(seconds * float(stream.average_rate or 0)), MAX_FRAMES)

    def __iter__(self) -> Iterator[Picture]:
        """Pictures in rising time. Damaged ones, and those without a time of their own, are skipped and
        counted in `skipped`; a movie that breaks off gives a sentence in `problems`.
        """
        last, count = -np.inf, 0
        for frame in self._frames():
            time = None if frame.pts is None else float(frame.pts * frame.time_base) - self._zero
            if frame.is_corrupt or time is None or time <= last:
                self.skipped += 1
                continue
            last, count = time, count + 1
            if count > MAX_FRAMES:
                raise CaptureError(
                    f"The movie {self._member.name} has more than {MAX_FRAMES} pictures.", "Cut it."
                )
            if self._wanted is None or self._wanted(time):
                yield self._picture(frame, time)
        if self._stream.frames and count < SHORT * self.total and not self.problems:
            self.problems.append(
                f"The movie {self._member.name} breaks off after {count} of {self.total} pictures."
            )

    def _frames(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (self._error, OSError, ValueError):
                self.problems.append(f"The movie {self._member.name} breaks off: the rest of it is damaged.")
                return
            if packet is None:
                return
            try:
                yield from packet.decode()
            except (self._error, ValueError):
                self.skipped += 1

    def _picture(self, frame: Any, time: float) -> Picture:
        refuse_size(self._member.name, frame.width, frame.height)
        quarters = round(frame.rotation / 90.0) % 4  # counterclockwise, as numpy turns
        if self._region:
            whole = np.rot90(frame.to_ndarray(format="rgb24"), quarters)
            return picture_of(whole, time, self._most, self._region)
        width, height = detection_size(frame.width, frame.height, self._most)
        rgb = np.rot90(self._scaler.reformat(frame, width, height, "rgb24").to_ndarray(), quarters)
        size = (frame.height, frame.width) if quarters % 2 else (frame.width, frame.height)
        extent = (rgb.shape[1], rgb.shape[0])
        whole = np.ascontiguousarray(rgb) if self._plain else squared(rgb)
        return Picture(whole, time, size, max(size) / max(extent), extent)


def start_time(container: Any) -> float:
    """Seconds by the container's clock at which the first of its pictures and sounds begins.

    A sound that begins before 0 does so by the priming of its codec, which no player plays.
    """
    pictures, sounds = container.streams.video[:1], container.streams.audio[:1]
    starts = [_start(stream) for stream in pictures] + [max(0.0, _start(stream)) for stream in sounds]
    return min(starts, default=0.0)


def _start(stream: Any) -> float:
    return float(stream.start_time * stream.time_base) if stream.start_time and stream.time_base else 0.0
