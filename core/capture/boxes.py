# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of an MP4 or QuickTime movie from its own tables, for Pythons without a video library.

Layouts: ISO/IEC 14496-12 (moov, mvhd, trak, tkhd, mdhd, hdlr, stsd, stts, stsz, elst, tmcd) and Apple's
QuickTime File Format. Everything is bounded: a box may not leave its parent, and only the table of contents
is read into memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import CaptureError
from .limits import MAX_HEADER_BOX_BYTES
from .member import Member, MemberStream

_MAX_BOXES = 100_000
MAX_STTS = 4_000_000


@dataclass(frozen=True)
class Track:
    """One track's facts; times in seconds."""

    handler: str
    """`vide`, `soun`, `tmcd` ..."""
    codec: str
    duration: float
    count: int
    """Samples: pictures of a video track."""
    sample_seconds: float
    """Length of all samples together."""
    uniform: bool
    """Whether all samples but the last have the same length to within a hundredth."""
    width: int = 0
    height: int = 0
    rotation: int = 0
    """Degrees clockwise by which a player turns the picture: 0, 90, 180 or 270."""
    channels: int = 0
    sample_rate: int = 0


@dataclass(frozen=True)
class MovieTables:
    """What the table of contents says."""

    duration: float
    tracks: tuple[Track, ...]
    fragmented: bool

    def first(self, handler: str) -> Track | None:
        """The first track of a kind."""
        return next((track for track in self.tracks if track.handler == handler), None)


def read_movie_tables(member: Member) -> MovieTables:
    """Read the facts; CaptureError when the member is no MP4 or MOV, is cut off or is damaged."""
    with member.open() as stream:
        moov = find_moov(stream, member)
    try:
        return _parse_moov(moov)
    except (struct.error, LookupError, ValueError, ArithmeticError) as problem:
        raise damaged_movie(member) from problem


def damaged_movie(member: Member) -> CaptureError:
    """What to say of a movie whose tables cannot be."""
    return CaptureError(
        f"The movie {member.name} is damaged or was cut off.", "Copy it again from its source."
    )


def find_moov(stream: MemberStream, member: Member) -> bytes:
    """The content of the top-level `moov` box, wherever it lies in the file."""
    at = 0
    for _ in range(_MAX_BOXES):
        stream.seek(at)
        head = stream.read(16)
        if len(head) < 8:
            break
        size, kind = struct.unpack_from(">I4s", head)
        header = 8
        if size == 1 and len(head) == 16:
            (size,) = struct.unpack_from(">Q", head, 8)
            header = 16
        elif size == 0:
            size = member.size - at
        if size < header or at + size > member.size:
            raise damaged_movie(member)
        if kind == b"moov":
            if size > MAX_HEADER_BOX_BYTES:
                raise CaptureError(
                    f"The movie {member.name} has a table of contents of {size} bytes, which no movie needs."
                )
            stream.seek(at + header)
            return stream.read(size - header)
        at += size
    raise CaptureError(
        f"The movie {member.name} has no table of contents; its recording was not finished.", "Copy it again."
    )


def child_boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start of content, end) of the boxes between two offsets."""
    at, count = start, 0
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        header = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            header = 16
        elif size == 0:
            if kind == b"\0\0\0\0":  # QuickTime ends some lists with a zero
                return
            size = end - at
        count += 1
        if size < header or at + size > end or count > _MAX_BOXES:
            raise ValueError("a box leaves its parent")
        yield kind, at + header, at + size
        at += size


def _parse_moov(data: bytes) -> MovieTables:
    duration, tracks, fragmented = 0.0, [], False
    for kind, start, end in child_boxes(data, 0, len(data)):
        if kind == b"mvhd":
            _scale, duration = scale_and_duration(data, start)
        elif kind == b"mvex":
            fragmented = True
        elif kind == b"trak":
            track = _parse_trak(data, start, end)
            if track is not None:
                tracks.append(track)
    return MovieTables(duration, tuple(tracks), fragmented)


def scale_and_duration(data: bytes, start: int) -> tuple[int, float]:
    """Time scale and duration in s of an mvhd or mdhd box."""
    if data[start] == 1:
        scale, duration = struct.unpack_from(">IQ", data, start + 20)
        unknown = duration == 0xFFFFFFFFFFFFFFFF
    else:
        scale, duration = struct.unpack_from(">II", data, start + 12)
        unknown = duration == 0xFFFFFFFF
    return scale, 0.0 if unknown or not scale else duration / scale


def _parse_trak(data: bytes, start: int, end: int) -> Track | None:
    found = {kind: (a, b) for kind, a, b in child_boxes(data, start, end)}
    if b"mdia" not in found:
        return None
    media = {kind: (a, b) for kind, a, b in child_boxes(data, *found[b"mdia"])}
    if not {b"mdhd", b"hdlr", b"minf"} <= media.keys():
        return None
    scale, duration = scale_and_duration(data, media[b"mdhd"][0])
    handler = data[media[b"hdlr"][0] + 8 : media[b"hdlr"][0] + 12].decode("latin-1")
    info = {kind: (a, b) for kind, a, b in child_boxes(data, *media[b"minf"])}
    if b"stbl" not in info:
        return None
    tables = {kind: (a, b) for kind, a, b in child_boxes(data, *info[b"stbl"])}
    count, ticks, uniform = _time_to_sample(data, *tables[b"stts"]) if b"stts" in tables else (0, 0, True)
    codec, width, height, channels, rate = _description(data, *tables[b"stsd"], handler)
    rotation = _rotation(data, found[b"tkhd"][0]) if b"tkhd" in found and handler == "vide" else 0
    seconds = ticks / scale if scale else 0.0
    return Track(handler, codec, duration, count, seconds, uniform, width, height, rotation, channels, rate)


def _time_to_sample(data: bytes, start: int, end: int) -> tuple[int, int, bool]:
    """Number of samples, their ticks together, and whether they are equally long."""
    (entries,) = struct.unpack_from(">I", data, start + 4)
    if entries > MAX_STTS or start + 8 + 8 * entries > end:
        raise ValueError("stts leaves its box")
    pairs = list(struct.iter_unpack(">II", data[start + 8 : start + 8 + 8 * entries]))
    count = sum(n for n, _delta in pairs)
    ticks = sum(n * delta for n, delta in pairs)
    inner = [delta for i, (n, delta) in enumerate(pairs) if i < len(pairs) - 1 or n > 1]
    uniform = not inner or max(inner) - min(inner) <= 0.01 * max(inner)
    return count, ticks, uniform


def _description(data: bytes, start: int, end: int, handler: str) -> tuple[str, int, int, int, int]:
    """Codec, width, height, channels and sample rate of the first sample description."""
    (entries,) = struct.unpack_from(">I", data, start + 4)
    if not entries or start + 24 > end:
        return "", 0, 0, 0, 0
    entry = start + 8
    codec = data[entry + 4 : entry + 8].decode("latin-1").strip("\0 ")
    if handler == "vide":
        width, height = struct.unpack_from(">HH", data, entry + 32)
        return codec, width, height, 0, 0
    if handler == "soun":
        (channels,) = struct.unpack_from(">H", data, entry + 24)
        (rate,) = struct.unpack_from(">I", data, entry + 32)
        return codec, 0, 0, channels, rate >> 16
    return codec, 0, 0, 0, 0


def _rotation(data: bytes, start: int) -> int:
    """Clockwise degrees from the matrix of a tkhd box, to the nearest quarter."""
    matrix = start + (52 if data[start] == 1 else 40)
    a, b = struct.unpack_from(">ii", data, matrix)
    if abs(a) >= abs(b):
        return 180 if a < 0 else 0
    return 90 if b > 0 else 270
