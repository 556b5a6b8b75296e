# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe an undocumented part without pretending to read it: its size, its first bytes, its entropy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .member import Member

_BLOCK = 4 << 20
_MAX_HASHED = 4 << 30


@dataclass(frozen=True)
class OpaqueFacts:
    """What can be said of bytes whose meaning is not documented."""

    name: str
    size: int
    """Bytes."""
    magic: str
    """The first 16 bytes, in hexadecimal."""
    text: str
    """The same bytes where they are printable, else dots."""
    entropy: float
    """Bits per byte, 0..8: above 7.9 it is compressed or encrypted."""
    sha256: str
    """Of the whole part, so that a copy can be held equal to it."""
    bytes_per_frame: dict[int, int]
    """For each candidate number of frames that divides the size: bytes per frame."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def sentence(self) -> str:
        """One line for people."""
        form = (
            "compressed or encrypted"
            if self.entropy > 7.9
            else "not compressed"
            if self.entropy < 7.0
            else "dense"
        )
        split = "".join(f", {size} bytes for each of {n} frames" for n, size in self.bytes_per_frame.items())
        start = f"{self.size} bytes, begins {self.magic} '{self.text}'"
        return f"{start}, entropy {self.entropy:.2f} bits ({form}){split}"


def describe_opaque(member: Member, frame_counts: Iterable[int] = ()) -> OpaqueFacts:
    """Read the member once, in blocks, and describe it. `frame_counts` are candidate numbers of frames to
    divide by.
    """
    counts = np.zeros(256, dtype=np.int64)
    digest = hashlib.sha256()
    first = b""
    with member.open() as stream:
        while block := stream.read(_BLOCK):
            first = first or block[:16]
            digest.update(block)
            counts += np.bincount(np.frombuffer(block, dtype=np.uint8), minlength=256)
            if counts.sum() > _MAX_HASHED:
                break
    share = counts[counts > 0] / max(1, counts.sum())
    divisors = {n: member.size // n for n in sorted(set(frame_counts)) if n > 1 and member.size % n == 0}
    return OpaqueFacts(
        name=member.name,
        size=member.size,
        magic=first.hex(" "),
        text="".join(chr(byte) if 32 <= byte < 127 else "." for byte in first),
        entropy=float(-(share * np.log2(share)).sum()) + 0.0,
        sha256=digest.hexdigest(),
        bytes_per_frame=divisors,
    )
