# SPDX-License-Identifier: GPL-3.0-or-later
"""Length, rate, size, rotation and sound of a movie: by the av library where it is, else from the file's
tables.
"""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import CaptureError
from .boxes import read_movie_tables
from .member import Member, reason

MAX_DURATION = 48 * 3600.0


@dataclass(frozen=True)
class MediaFacts:
    """What a movie is. Times are seconds; zero means unknown."""

    duration: float
    """Length of the video track (s)."""
    fps: float
    """Mean frame rate (1/s)."""
    frames: int
    """Pictures."""
    width: int
    """As stored, before rotation (px)."""
    height: int
    """As stored, before rotation (px)."""
    rotation: int
    """Degrees clockwise by which the picture is turned for showing: 0, 90, 180 or 270."""
    codec: str
    """Of the pictures: `h264`, `hevc` ..."""
    audio: bool
    """Whether there is a sound track."""
    audio_channels: int = 0
    audio_rate: int = 0
    """Samples per second."""
    variable: bool = False
    """Whether the time between pictures varies by more than a hundredth, as in many phone recordings."""

    @property
    def display_size(self) -> tuple[int, int]:
        """Width and height in px as shown."""
        return (self.height, self.width) if self.rotation in (90, 270) else (self.width, self.height)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def media_facts(member: Member, use_av: bool | None = None) -> MediaFacts:
    """The facts of a movie; `use_av` chooses the way, None takes av where it can read the file in place.

    CaptureError when the movie is damaged, has no pictures, or needs av to be understood (MKV, AVI).
    """
    by_av = (
        use_av
        if use_av is not None
        else member.path is not None and importlib.util.find_spec("av") is not None
    )
    facts = _by_av(member) if by_av else _by_tables(member)
    if not (facts.width and facts.height):
        raise CaptureError(f"The movie {member.name} has no pictures.", "Choose the recording of the face.")
    if facts.duration > MAX_DURATION or facts.fps > 1000.0:
        raise CaptureError(
            f"The movie {member.name} claims {facts.duration:.0f} s "
            f"at {facts.fps:.0f} frames/s; it is damaged."
        )
    return facts


_CODECS = {
    "avc1": "h264", "avc3": "h264", "hvc1": "hevc", "hev1": "hevc", "mp4v": "mpeg4", "jpeg": "mjpeg",
    "av01": "av1", "apch": "prores", "apcn": "prores", "apcs": "prores", "apco": "prores", "ap4h": "prores",
}  # fmt: skip


def _by_tables(member: Member) -> MediaFacts:
    if member.head(12)[4:8] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        raise CaptureError(
            f"{member.name} is not an MP4 or QuickTime movie, "
            "and the 'av' library that reads others is not here.",
            "Set up the worker environment, or convert the movie to MP4.",
        )
    tables = read_movie_tables(member)
    video, sound = tables.first("vide"), tables.first("soun")
    if video is None:
        raise CaptureError(f"The movie {member.name} has no pictures.", "Choose the recording of the face.")
    if not video.count:
        raise CaptureError(
            f"The movie {member.name} keeps its pictures in fragments, which needs the 'av' library.",
            "Set up the worker environment, or export the movie again.",
        )
    return MediaFacts(
        duration=video.sample_seconds or video.duration or tables.duration,
        fps=video.count / video.sample_seconds if video.sample_seconds else 0.0,
        frames=video.count,
        width=video.width,
        height=video.height,
        rotation=video.rotation,
        codec=_CODECS.get(video.codec, video.codec),
        audio=sound is not None,
        audio_channels=sound.channels if sound else 0,
        audio_rate=sound.sample_rate if sound else 0,
        variable=not video.uniform,
    )


def _by_av(member: Member) -> MediaFacts:
    import av
    import av.error

    try:
        with (
            member.open() as stream,
            av.open(str(member.path or "") or stream, metadata_errors="ignore") as movie,
        ):
            if not movie.streams.video:
                raise CaptureError(
                    f"The movie {member.name} has no pictures.", "Choose the recording of the face."
                )
            if movie.streams.video[0].codec_context is None:  # damaged, or a coding that the library lacks
                raise CaptureError(
                    f"The pictures of the movie {member.name} are in an unknown coding.",
                    "Convert it to H.264.",
                )
            return _facts_of(movie)
    except (av.error.FFmpegError, OSError, ValueError, ArithmeticError) as problem:
        raise CaptureError(
            f"The movie {member.name} cannot be read: {reason(problem)}.", "Copy it again."
        ) from problem


def _facts_of(movie: Any) -> MediaFacts:
    video = movie.streams.video[0]
    sound = next((stream for stream in movie.streams.audio if stream.codec_context is not None), None)
    base = float(video.time_base) if video.time_base else 0.0
    duration = float(video.duration) * base if video.duration and base else float(movie.duration or 0) / 1e6
    rate = float(video.average_rate) if video.average_rate else 0.0
    guessed = float(video.guessed_rate) if video.guessed_rate else rate
    return MediaFacts(
        duration=duration,
        fps=rate,
        frames=int(video.frames or round(duration * rate)),
        width=int(video.width or 0),
        height=int(video.height or 0),
        rotation=_rotation_of(movie, video),
        codec=str(video.codec_context.name),
        audio=sound is not None,
        audio_channels=int(sound.codec_context.channels) if sound else 0,
        audio_rate=int(sound.codec_context.sample_rate) if sound else 0,
        variable=abs(guessed - rate) > 0.01 * max(rate, 1.0),
    )


def _rotation_of(movie: Any, video: Any) -> int:
    """Clockwise degrees of the display matrix, which av gives with the first decoded picture,
    counterclockwise.
    """
    import av.error

    try:
        picture = next(movie.decode(video), None)
    except av.error.FFmpegError:
        picture = None
    return round(-getattr(picture, "rotation", 0) / 90.0) * 90 % 360
