# SPDX-License-Identifier: GPL-3.0-or-later
"""The sound of footage under a movie that was made of its performance."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from ..files import atomic_path

RATE, BITS = 48_000, 160_000
"""Samples and bits a second of the AAC that is written."""


def with_sound(movie: Path, footage: Path, start: float, length: float) -> list[str]:
    """Lay the sound of `footage` from `start` (s), for `length` (s), under a silent movie, in its place.

    The movie stays as it is where the footage has no sound, or none that can be read; notes for the user.
    """
    import av
    from av.error import FFmpegError

    if not footage.is_file():
        return [f"The movie is silent: {footage.name} is no longer where it was."]
    try:
        with av.open(str(footage)) as heard:
            if not heard.streams.audio:
                return []
            with atomic_path(movie) as beside:
                _joined(beside, movie, heard, start, length)
    except (FFmpegError, ValueError) as problem:
        return [f"The movie is silent: the sound of {footage.name} cannot be read ({problem})."]
    return []


def _joined(target: Path, movie: Path, heard: Any, start: float, length: float) -> None:
    import av

    clock = {"movie_timescale": "90000"}
    with av.open(str(movie)) as seen, av.open(str(target), "w", format="mp4", options=clock) as out:
        shown = seen.streams.video[0]
        picture = out.add_stream_from_template(shown)
        sound = out.add_stream("aac", rate=RATE, layout="stereo")
        sound.bit_rate = BITS
        for packet in seen.demux(shown):
            if packet.dts is not None:
                packet.stream = picture
                out.mux(packet)
        _write_sound(out, sound, heard, start, length)


def _write_sound(out: Any, sound: Any, heard: Any, start: float, length: float) -> None:
    """Samples of the wished time only: the first frame is cut where the movie begins, the last where it
    ends.
    """
    import av

    to_stereo = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
    wanted, done = round(length * RATE), 0
    for frame in heard.decode(audio=0):
        if frame.time is None or frame.time + frame.samples / frame.sample_rate <= start:
            continue
        for part in to_stereo.resample(frame):
            values = part.to_ndarray()
            if done == 0:
                ahead = round(((frame.time or 0.0) - start) * RATE)
                values = values[:, -ahead:] if ahead < 0 else values
                done += max(ahead, 0)
            values = values[:, : max(wanted - done, 0)]
            if values.shape[1]:
                piece = av.AudioFrame.from_ndarray(values.copy(), format="fltp", layout="stereo")
                piece.sample_rate, piece.pts, piece.time_base = RATE, done, Fraction(1, RATE)
                done += values.shape[1]
                out.mux(sound.encode(piece))
        if done >= wanted:
            break
    out.mux(sound.encode(None))
