# SPDX-License-Identifier: GPL-3.0-or-later
"""List the members of a folder, a zip or a single file, within bounds and without writing anything."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from pathlib import Path

from ..errors import CaptureError
from .limits import MAX_DEPTH, MAX_DIRECTORY_BYTES, MAX_MEMBERS, MAX_RATIO, MAX_TOTAL_BYTES, RATIO_FLOOR
from .member import Member, reason
from .names import is_junk, safe_name, shown_name

_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


def list_members(path: Path) -> tuple[list[Member], list[str]]:
    """Members sorted by name, and warnings, of a folder, a zip or a single file; CaptureError when it cannot
    be used.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            members, warnings = _folder_members(path)
        elif not stat.S_ISREG(mode):
            raise CaptureError(f"{path.name} is neither a file nor a folder.")
        elif is_zip(path):
            members, warnings = _zip_members(path), []
        else:
            return [Member(shown_name(path.name), path.stat().st_size, path)], []
    except OSError as problem:
        raise CaptureError(
            f"{path.name} cannot be opened: {reason(problem)}.", "Check the path and its permissions."
        ) from problem
    if not members:
        raise CaptureError(
            f"{path.name} is empty.",
            "Choose a capture: a Leap archive, a Live Link Face take, a movie or photos.",
        )
    return _flattened(sorted(members, key=lambda member: member.name)), warnings


def is_zip(path: Path) -> bool:
    """Whether the file begins as a zip archive does; its name does not matter."""
    with path.open("rb") as stream:
        return stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")


def _folder_members(root: Path) -> tuple[list[Member], list[str]]:
    members: list[Member] = []
    skipped: list[str] = []
    _walk(root, root, os.path.realpath(root), 0, members, skipped)
    if not skipped:
        return members, []
    named = ", ".join(skipped[:3]) + (f" and {len(skipped) - 3} more" if len(skipped) > 3 else "")
    return members, [f"Left out because they are links out of the folder or not plain files: {named}."]


def _walk(
    folder: Path, root: Path, real_root: str, depth: int, members: list[Member], skipped: list[str]
) -> None:
    with os.scandir(folder) as listing:
        for item in listing:
            path = Path(item.path)
            name = shown_name(path.relative_to(root).as_posix())
            if is_junk(name):
                continue
            if item.is_symlink() and not _points_inside(path, real_root):
                skipped.append(name)
            elif item.is_dir(follow_symlinks=False):
                if depth < MAX_DEPTH:
                    _walk(path, root, real_root, depth + 1, members, skipped)
            elif item.is_file():
                members.append(Member(name, item.stat().st_size, path))
            else:
                skipped.append(name)
            if len(members) > MAX_MEMBERS:
                raise CaptureError(
                    f"{root.name} holds more than {MAX_MEMBERS} files.", "Choose the folder of one capture."
                )


def _points_inside(link: Path, real_root: str) -> bool:
    """Whether a link leads to a plain file in the same folder; linked folders could loop and are not
    followed.
    """
    target = Path(os.path.realpath(link))
    return target.is_file() and target.is_relative_to(real_root)


def _zip_members(path: Path) -> list[Member]:
    _check_directory_size(path)
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.filename.endswith("/")]
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        ValueError,
        OverflowError,
        struct.error,
        EOFError,
        KeyError,
    ) as problem:
        raise CaptureError(
            f"{path.name} is a damaged or incomplete zip archive ({reason(problem)}).",
            "Copy or export it again.",
        ) from problem
    if len(infos) > MAX_MEMBERS:
        raise CaptureError(f"{path.name} was not opened: it holds more than {MAX_MEMBERS} files.")
    members = [_zip_member(info, path) for info in infos]
    _check_sizes(infos, path)
    kept = [member for member in members if not is_junk(member.name)]
    names = [member.name.casefold() for member in kept]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise CaptureError(
            f"{path.name} was not opened: it holds {twice!r} twice.", "Ask its sender for a clean archive."
        )
    return kept


def _zip_member(info: zipfile.ZipInfo, path: Path) -> Member:
    raw = info.orig_filename
    name = safe_name(raw, path)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise CaptureError(
            f"{path.name} was not opened: {raw!r} in it is a link or a special file, not data."
        )
    if info.flag_bits & 0x1:
        raise CaptureError(f"{path.name} is encrypted.", "Unpack it with its password and choose the folder.")
    if info.compress_type not in _METHODS:
        raise CaptureError(
            f"{raw!r} in {path.name} is compressed with method {info.compress_type}, "
            "which is not used for captures.",
            "Unpack the archive and choose the folder.",
        )
    return Member(name, info.file_size, path, info.filename)


def _check_sizes(infos: list[zipfile.ZipInfo], path: Path) -> None:
    for info in infos:
        if info.file_size > RATIO_FLOOR and info.file_size > MAX_RATIO * max(1, info.compress_size):
            raise CaptureError(
                f"{path.name} was not opened: {info.filename!r} in it would grow "
                f"from {info.compress_size} to {info.file_size} bytes, which no recording does."
            )
    if sum(info.file_size for info in infos) > MAX_TOTAL_BYTES:
        raise CaptureError(
            f"{path.name} was not opened: unpacked it would have more than {MAX_TOTAL_BYTES >> 30} GB."
        )
    if sum(info.compress_size for info in infos) > path.stat().st_size:
        raise CaptureError(f"{path.name} was not opened: its members overlap, so it is damaged or hostile.")


def _check_directory_size(path: Path) -> None:
    """Refuse a huge table of contents before zipfile turns it into objects."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(0, size - 66_000))
        tail = stream.read(66_000)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise CaptureError(
            f"{path.name} is a damaged or incomplete zip archive (its end is missing).",
            "Copy or export it again.",
        )
    (length,) = struct.unpack_from("<I", tail, at + 12)
    if at >= 76 and tail[at - 20 : at - 16] == b"PK\x06\x07":  # a zip of more than 4 GB or 65535 files
        length = struct.unpack_from("<Q", tail, at - 76 + 40)[0]
    if length > min(size, MAX_DIRECTORY_BYTES):
        raise CaptureError(f"{path.name} was not opened: its table of contents announces {length} bytes.")


def _flattened(members: list[Member]) -> list[Member]:
    """Members with a single common top folder taken off, as phones and desktop zip tools put one around
    everything.
    """
    while True:
        tops = {member.name.split("/", 1)[0] for member in members}
        if len(tops) != 1 or any("/" not in member.name for member in members):
            return members
        members = [Member(m.name.split("/", 1)[1], m.size, m.file, m.entry) for m in members]
