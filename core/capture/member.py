# SPDX-License-Identifier: GPL-3.0-or-later
"""Handles on the files of a capture, the same for a zip and for a folder. Nothing is unpacked before it is
asked for.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..errors import CaptureError
from .limits import MAX_READ_BYTES

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Member:
    """One file of a capture. `name` has forward slashes and is relative to the capture's top folder."""

    name: str
    size: int
    """Bytes, unpacked."""
    file: Path
    """The file itself, or the archive that holds it."""
    entry: str | None = None
    """The name inside the archive, or None for a plain file."""

    @property
    def basename(self) -> str:
        """The last part of the name."""
        return self.name.rsplit("/", 1)[-1]

    @property
    def stem(self) -> str:
        """The last part of the name without its extension."""
        return self.basename.rsplit(".", 1)[0]

    @property
    def suffix(self) -> str:
        """The extension in lower case with its dot, or an empty string."""
        return "." + self.basename.rsplit(".", 1)[1].lower() if "." in self.basename else ""

    @property
    def path(self) -> Path | None:
        """The file's own path where it lies on disk as it is, else None: then use `extract_to`."""
        return self.file if self.entry is None else None

    @contextmanager
    def open(self) -> Iterator[MemberStream]:
        """A binary stream, read from the start and seekable; damage met while reading raises CaptureError."""
        with ExitStack() as stack:
            try:
                stream: IO[bytes]
                if self.entry is None:
                    stream = stack.enter_context(_open_regular(self.file))
                else:
                    archive = stack.enter_context(zipfile.ZipFile(self.file))
                    stream = stack.enter_context(archive.open(self.entry))
            except _DAMAGE as problem:
                raise _unreadable(self, problem) from problem
            yield MemberStream(stream, self)

    def head(self, count: int) -> bytes:
        """The first `count` bytes, or fewer where the member is shorter."""
        with self.open() as stream:
            return stream.read(count)

    def read_bytes(self, limit: int = MAX_READ_BYTES) -> bytes:
        """The whole content, its checksum verified; CaptureError when it is larger than `limit` bytes or
        damaged.
        """
        if self.size > limit:
            raise CaptureError(
                f"{self.name} has {self.size} bytes; at most {limit} are expected of such a file."
            )
        with self.open() as stream:
            data = stream.read(self.size + 1)
        if len(data) != self.size:
            raise CaptureError(
                f"{self.name} has {len(data)} bytes where {self.size} are announced; the capture is damaged."
            )
        return data

    def extract_to(self, folder: Path | str, name: str | None = None) -> Path:
        """Copy the member byte-exact into `folder` under its own last name or `name`, and return the path.

        Written beside the target and renamed when complete: a damaged member leaves nothing behind.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / (name or self.basename)
        beside = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with self.open() as source, beside.open("wb") as sink:
                _copy(source, sink, self)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
        return target


class MemberStream:
    """The part of a binary stream that readers need; every failure to read names the member."""

    def __init__(self, stream: IO[bytes], member: Member) -> None:
        self._stream, self._member = stream, member

    def read(self, count: int = -1) -> bytes:
        """Up to `count` bytes, all for -1."""
        try:
            return self._stream.read(count)
        except _DAMAGE as problem:
            raise _unreadable(self._member, problem) from problem

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move as `io.IOBase.seek` does; in a packed member a step back unpacks again from the start."""
        try:
            return self._stream.seek(offset, whence)
        except _DAMAGE as problem:
            raise _unreadable(self._member, problem) from problem

    def tell(self) -> int:
        """The position in bytes."""
        return self._stream.tell()


def _copy(source: MemberStream, sink: IO[bytes], member: Member) -> None:
    left = member.size
    while chunk := source.read(_CHUNK):
        left -= len(chunk)
        if left < 0:
            break
        sink.write(chunk)
    if left:
        raise CaptureError(f"{member.name} is not as long as announced; the capture is damaged.")


# zipfile raises RuntimeError for encrypted members, NotImplementedError for unknown compressions, ValueError
# and OverflowError for absurd offsets, and the decoders their own kinds.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,
    KeyError,
    ValueError,
    OverflowError,
)


def _unreadable(member: Member, problem: BaseException) -> CaptureError:
    where = member.name if member.entry is None else f"{member.name} in {member.file.name}"
    return CaptureError(
        f"{where} cannot be read: {reason(problem)}.", "Copy the capture again from its source."
    )


def reason(problem: BaseException) -> str:
    """The problem in a few words, for the middle of a sentence."""
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror.lower()
    return str(problem.args[0] if problem.args else type(problem).__name__).rstrip(".")


def _open_regular(path: Path) -> IO[bytes]:
    """Open a plain file; a pipe or a device would block or never end, so only regular files are read."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "it is not a regular file")
    return path.open("rb")
