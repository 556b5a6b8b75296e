# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing beside the target and renaming, and reading arrays of unknown origin without trust."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import secrets
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .errors import LikenessError

ErrorType = Callable[[str, str], LikenessError]

NPZ_LIMIT = 4 * 1024**3
"""Largest total size in bytes that `read_npz` unpacks; a long take with FLAME parameters is below 0.1 of
it.
"""

# Everything zipfile, zlib and numpy raise over bytes that are not what they should be.
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError),
    *(ValueError, TypeError, KeyError, SyntaxError, MemoryError),
)


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A path beside `target` to write to; renamed over it on success, removed on any failure.

    The folder of the target must exist. Other readers see the old file or the new one, never a part.
    """
    target = Path(target)
    beside = _sibling(target)
    try:
        beside.touch(exist_ok=False)
        yield beside
        _flush(beside)
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _sibling(target: Path) -> Path:
    """A fresh hidden name in the same folder, so that the rename stays on one file system."""
    return target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")


def _flush(path: Path) -> None:
    """Hand the bytes to the disk before the rename, so that a power cut cannot leave an empty file of the
    right name.
    """
    with path.open("r+b") as stream:
        os.fsync(stream.fileno())


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target` to fill; takes its place on success, removed on any failure.

    An older folder at `target` is moved aside for the swap and comes back if the swap fails or is
    interrupted.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = _sibling(target)
    aside = beside.with_suffix(".old")
    try:
        beside.mkdir()
        yield beside
        if target.exists():
            target.replace(aside)
        beside.replace(target)
    except BaseException:
        if aside.exists() and not target.exists():
            aside.replace(target)
        shutil.rmtree(beside, ignore_errors=True)
        raise
    finally:
        if target.exists():
            shutil.rmtree(aside, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented UTF-8 JSON, atomically. NaN and infinity are refused (ValueError)."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as beside:
        beside.write_text(text + "\n", encoding="utf-8")


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays as a compressed .npz, atomically; object arrays are refused (ValueError)."""
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise ValueError(f"array {name!r} holds Python objects and cannot be stored")
    with atomic_path(path) as beside, beside.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def read_json(path: Path, error: ErrorType, limit: int = 64 * 1024**2) -> Any:
    """The JSON value in `path`; `error(message, hint)` is raised for a missing, huge or damaged file."""
    try:
        if path.stat().st_size > limit:
            raise error(
                f"{path.name} is larger than {limit // 1024**2} MB and cannot be what its name says.", ""
            )
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise error(f"{path.name} is missing in {path.parent}.", "") from None
    except OSError as problem:
        raise error(f"{path} cannot be read: {problem.strerror or problem}.", "") from problem
    except (ValueError, RecursionError) as problem:
        raise error(f"{path} is damaged: it is not valid JSON.", "Restore it from a backup.") from problem


def read_npz(
    path: Path,
    error: ErrorType,
    limit: int = NPZ_LIMIT,
    read_member: Callable[[bytes], Any] | None = None,
) -> dict[str, Any]:
    """All arrays of an .npz by name. Pickled objects are never loaded, sizes are bounded, checksums are
    checked.

    `error(message, hint)` is raised, naming the file, for whatever is not such a file. `read_member` makes
    something else of a member's bytes, where pickled objects are read in a safe way.
    """
    read_member = read_member or _read_array
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > limit or len(members) > 10_000:
                raise error(
                    f"{path} would unpack to more than {limit // 1024**2} MB.", "It is not a file of ours."
                )
            return {m.filename.removesuffix(".npy"): read_member(archive.read(m)) for m in members}
    except FileNotFoundError:
        raise error(f"{path.name} is missing in {path.parent}.", "") from None
    except OSError as problem:
        raise error(f"{path} cannot be read: {problem.strerror or problem}.", "") from problem
    except DAMAGE as problem:
        raise error(f"{path} is damaged or not a NumPy archive.", "Restore it from a backup.") from problem


def _read_array(data: bytes) -> np.ndarray:
    """The bytes are whole: only then has zipfile compared the member's checksum."""
    return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
