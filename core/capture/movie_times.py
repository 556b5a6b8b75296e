# SPDX-License-Identifier: GPL-3.0-or-later
"""When each picture of an MP4 or QuickTime movie is shown, from its own tables: for Pythons without av.

Layouts: ISO/IEC 14496-12, boxes mdhd, stts (decoding times) and ctts (what showing adds to them).
"""

from __future__ import annotations

import struct

import numpy as np

from .boxes import MAX_STTS, child_boxes, damaged_movie, find_moov, scale_and_duration
from .member import Member

_MOST_PICTURES = 20_000_000


def picture_times(member: Member) -> np.ndarray | None:
    """(T,) float64 s from the first picture shown to each picture, in the order in which they are shown.

    None for a movie whose pictures come in fragments. CaptureError when it is no MP4 or MOV, or damaged.
    """
    with member.open() as stream:
        moov = find_moov(stream, member)
    try:
        return _times(moov)
    except (struct.error, LookupError, ValueError, ArithmeticError) as problem:
        raise damaged_movie(member) from problem


def _times(moov: bytes) -> np.ndarray | None:
    for kind, start, end in child_boxes(moov, 0, len(moov)):
        if kind != b"trak":
            continue
        media = _inside(moov, *_inside(moov, start, end)[b"mdia"])
        handler = media[b"hdlr"][0] + 8
        if moov[handler : handler + 4] != b"vide":
            continue
        tables = _inside(moov, *_inside(moov, *media[b"minf"])[b"stbl"])
        scale, _duration = scale_and_duration(moov, media[b"mdhd"][0])
        steps = _runs(moov, *tables[b"stts"], signed=False)
        if not len(steps):
            return None
        ticks = np.cumsum(steps) - steps
        if b"ctts" in tables:
            ticks = np.sort(ticks + _runs(moov, *tables[b"ctts"], signed=True)[: len(ticks)])
        return (ticks - ticks[0]) / float(scale)
    raise ValueError("no pictures")


def _inside(data: bytes, start: int, end: int) -> dict[bytes, tuple[int, int]]:
    return {kind: (a, b) for kind, a, b in child_boxes(data, start, end)}


def _runs(data: bytes, start: int, end: int, signed: bool) -> np.ndarray:
    """(T,) int64 value of each sample from a table of (count, value)."""
    (entries,) = struct.unpack_from(">I", data, start + 4)
    if entries > MAX_STTS or start + 8 + 8 * entries > end:
        raise ValueError("a table leaves its box")
    table = np.frombuffer(data, ">u4", 2 * entries, start + 8).reshape(-1, 2)
    counts = table[:, 0].astype(np.int64)
    if counts.sum() > _MOST_PICTURES:
        raise ValueError("more pictures than a movie has")
    values = table[:, 1].astype(np.uint32)
    return np.repeat(values.view(np.int32).astype(np.int64) if signed else values.astype(np.int64), counts)
