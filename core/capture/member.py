# SPDX-License-Identifier: GPL-3.0-or-later
"""Handles on the files of a capture, the same for a zip and for a folder. Nothing is unpacked before it is
asked for.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
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
    def folder(self) -> str:
        """The name without its last part; empty at the top."""
        return self.name.rpartition("/")[0]

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
            yield MemberStream(_opened(self, stack, {}), self)

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
        with self.open() as source:
            return _write(source, self, Path(folder) / (name or self.basename))


def read_heads(members: Iterable[Member], count: int) -> Iterator[bytes | CaptureError]:
    """The first `count` bytes of each member in turn, or what is wrong with it; each archive is opened only
    once.
    """
    with ExitStack() as stack:
        archives: dict[Path, zipfile.ZipFile] = {}
        for member in members:
            try:
                with ExitStack() as inner:
                    head = MemberStream(_opened(member, inner, archives, stack), member).read(count)
            except CaptureError as problem:
                yield problem
            else:
                yield head


def extract_all(members: Iterable[Member], folder: Path | str) -> list[Path]:
    """Copy members byte-exact into `folder` under their last names, which must differ; returns the paths in
    order.

    Each archive is opened only once. What was copied before a damaged member is removed again.
    """
    folder = Path(folder)
    done: list[Path] = []
    try:
        with ExitStack() as stack:
            archives: dict[Path, zipfile.ZipFile] = {}
            for member in members:
                target = folder / member.basename
                if target in done:
                    raise CaptureError(
                        f"{member.basename} is there twice, so the files cannot lie in one folder."
                    )
                with ExitStack() as inner:
                    source = MemberStream(_opened(member, inner, archives, stack), member)
                    done.append(_write(source, member, target))
    except BaseException:
        for path in done:
            path.unlink(missing_ok=True)
        raise
    return done


def _opened(
    member: Member, stack: ExitStack, archives: dict[Path, zipfile.ZipFile], keep: ExitStack | None = None
) -> IO[bytes]:
    """A stream on the member, closed by `stack`; its archive is taken from `archives` or opened and closed
    by `keep`.
    """
    try:
        if member.entry is None:
            return stack.enter_context(_open_regular(member.file))
        if member.file not in archives:
            archives[member.file] = (keep or stack).enter_context(zipfile.ZipFile(member.file))
        return stack.enter_context(archives[member.file].open(member.entry))
    except _DAMAGE as problem:
        raise _unreadable(member, problem) from problem


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


def _write(source: MemberStream, member: Member, target: Path) -> Path:
    """Write beside the target and rename when complete."""
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as sink:
                _copy(source, sink, member)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as problem:  # reading fails as CaptureError, so this is the target's
        raise CaptureError(
            f"{target.name} cannot be written to {target.parent}: {reason(problem)}.",
            "Check the folder and its space.",
        ) from problem
    return target


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
    words = getattr(
        problem, "strerror", None
    )  # av's errors have it too, with a bare number as first argument
    if words:
        return str(words).lower()
    return str(problem.args[0] if problem.args else type(problem).__name__).rstrip(".")


def _open_regular(path: Path) -> IO[bytes]:
    """Open a plain file; a pipe or a device would block or never end, so only regular files are read."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "it is not a regular file")
    return path.open("rb")
