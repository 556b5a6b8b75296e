# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's own head models: found in their folders by name, compiled once into the cache.

Names: `flame` (any release, the open one first), `flame_2023_no_jaw` and so on, `ict`. Folders: those given
(the preferences' model folder), then `LIKENESS_MODELS`. Needs numpy only.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from ..errors import ModelError
from ..files import sha256_of
from .embedding import cache_folder
from .flame.compile import compile_flame, is_compiled_flame
from .flame.files import BLINK_FILE, JAW_FILE
from .flame.model import VARIANTS
from .ict import compile_ict, is_ict, sha256_of_ict

VARIABLE = "LIKENESS_MODELS"
_MOST_FILES = 5_000
_DEEPEST = 3
_COMPILER = 1
"""Counts up when compiled files change, so that old ones in the cache are made anew."""
_PREFERRED = ("2023_open", "2023", "2020", "2023_no_jaw")
_FLAME_WORDS = ("flame", "generic_model")


def model_folders(folders: Sequence[Path] = ()) -> Iterator[Path]:
    """Folders that may hold head models, best first."""
    yield from (Path(folder) for folder in folders)
    yield from (Path(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part)


def find_model(name: str, folders: Sequence[Path] = ()) -> Path:
    """The compiled file of a user's head model, made on first use (some seconds) and kept in the cache.

    ModelError for a name that is none, for a model that is in no folder, and for a file that cannot be read.
    """
    if name == "ict":
        for folder in _folders_below(folders):
            if is_ict(folder):
                return compiled(folder)
    elif name == "flame" or name.removeprefix("flame_") in VARIANTS:
        wanted = name.removeprefix("flame_") if name != "flame" else None
        found = _flame_files(folders)
        for variant in (wanted,) if wanted else _PREFERRED:
            if variant in found:
                return compiled(found[variant])
    else:
        raise ModelError(f"There is no head model named {name!r}.", "Choose anny, flame, ict or a file.")
    raise ModelError(
        f"The head model {name!r} is in none of the model folders.",
        f"Put its file there, or name its folder in {VARIABLE}; it is not part of Likeness.",
    )


def compiled(source: Path, variant: str | None = None) -> Path:
    """The compiled file of a FLAME file or of ICT-FaceKit's folder; a compiled file is given back as it
    is.
    """
    if source.is_dir():
        if not is_ict(source):
            raise ModelError(f"{source} holds no head model that is known.", "Choose ICT-FaceKit's folder.")
        target = _cached("ict", sha256_of_ict(source))
        if not target.is_file():
            compile_ict(source, target)
        return target
    if _is_compiled(source):
        return source
    target = _cached("flame", _flame_key(source, variant))
    if not target.is_file():
        compile_flame(source, target, variant)
    return target


def _is_compiled(path: Path) -> bool:
    """A compiled head model has a header beside its arrays; what FLAME users convert themselves has not."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "header.npy" in archive.namelist()
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        return False


def _cached(kind: str, key: str) -> Path:
    return cache_folder() / "heads" / f"{kind}-{key[:24]}.npz"


def _flame_key(source: Path, variant: str | None) -> str:
    """Of all that goes into the compiled file."""
    digest = hashlib.sha256(f"{_COMPILER} {variant}".encode())
    for path in (source, source.parent / BLINK_FILE, source.parent / JAW_FILE):
        if path.is_file():
            stat = path.stat()
            digest.update(_sha256(path, stat.st_size, stat.st_mtime_ns).encode())
    if variant is None:
        digest.update(source.name.encode())  # the release may be told by it
    return digest.hexdigest()


@lru_cache(maxsize=64)
def _sha256(path: Path, _size: int, _changed: int) -> str:
    return sha256_of(path)


def _flame_files(folders: Sequence[Path]) -> dict[str, Path]:
    """FLAME files by release. A published file is known by its name here, as reading all of them would be
    slow.
    """
    found: dict[str, Path] = {}
    for folder in _folders_below(folders):
        for path in sorted(
            p for p in folder.iterdir() if p.suffix.lower() in (".pkl", ".npz") and p.is_file()
        ):
            variant = _variant_at_a_glance(path)
            if variant is not None:
                found.setdefault(variant, path)
    return found


def _variant_at_a_glance(path: Path) -> str | None:
    if path.suffix.lower() == ".npz" and _is_compiled(path):
        return is_compiled_flame(path)
    plain = path.stem.lower().replace("-", "_")
    if not any(word in plain for word in _FLAME_WORDS) or "embedding" in plain or "mask" in plain:
        return None
    for variant, words in {
        "2023_open": ("open",),
        "2023_no_jaw": ("no_jaw", "nojaw"),
        "2023": ("2023",),
    }.items():
        if any(word in plain for word in words):
            return variant
    return "2020"


def _folders_below(folders: Sequence[Path]) -> Iterator[Path]:
    """The model folders and what is in them, not deep and not many."""
    seen = 0
    for top in model_folders(folders):
        if not top.is_dir():
            continue
        for place, below, _files in os.walk(top):
            seen += 1
            if seen > _MOST_FILES:
                return
            if len(Path(place).relative_to(top).parts) >= _DEEPEST:
                below.clear()
            below.sort()
            yield Path(place)
