# SPDX-License-Identifier: GPL-3.0-or-later
"""What names tell: expected kinds, orders of pictures, variants of a take. Content decides first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .member import Member
from .names import shown_name

SUFFIX_KINDS = {
    ".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp", ".heic": "heic", ".heif": "heic",
    ".tif": "tiff", ".tiff": "tiff", ".bmp": "bmp", ".exr": "exr", ".gif": "gif", ".mov": "mp4",
    ".mp4": "mp4", ".m4v": "mp4", ".mkv": "mkv", ".webm": "mkv", ".avi": "avi", ".mpg": "mpeg", ".obj": "obj",
}  # fmt: skip
"""What an extension promises; `sniff` says whether it keeps it."""

_WORDS = {
    "jpeg": "a JPEG picture", "png": "a PNG picture", "webp": "a WebP picture", "heic": "a HEIC picture",
    "tiff": "a TIFF picture", "bmp": "a BMP picture", "gif": "a GIF picture", "exr": "an EXR picture",
    "mp4": "a movie", "mkv": "a movie", "avi": "a movie", "mpeg": "a movie", "zip": "an archive",
    "archive": "an archive", "weights": "a table of weights", "obj": "an OBJ mesh", "json": "JSON",
    "text": "text", "empty": "empty", "damaged": "damaged", "binary": "data of unknown form",
    "model": "a 3D model", "sound": "sound", "document": "a document",
}  # fmt: skip


_MATTES = {"bg", "alpha", "mask", "masks", "matte", "mattes", "segmentation"}


def words_for(kind: str) -> str:
    """The kind as it stands in a sentence."""
    return _WORDS.get(kind, kind)


def natural_key(member: Member) -> list[tuple[int, int, str]]:
    """A sort key that puts frame9 before frame10."""
    return [
        (0, int(p[:18]), "") if p.isdigit() else (1, 0, p)
        for p in re.findall(r"[0-9]+|[^0-9]+", member.name.lower())
    ]


def calibration_rank(member: Member) -> int:
    """0 for a calibrated table of weights, 1 for a plain one, 2 for a raw one."""
    stem = member.stem.lower()
    return 0 if stem.endswith("_cal") else 2 if stem.endswith("_raw") else 1


def is_matte(member: Member) -> bool:
    """Whether the picture lies in a folder of mattes, which cut a person out of the photos beside it."""
    return bool(_MATTES & set(member.folder.lower().split("/")))


def take_stem(table: Member) -> str:
    """The name that a table shares with the movie of its take."""
    return re.sub(r"_(cal|raw|neutral)$", "", table.stem, flags=re.IGNORECASE)


def spread(items: Sequence[Member], count: int) -> list[Member]:
    """At most `count` of the items, evenly spread, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def sequences(pictures: list[Member]) -> list[list[Member]]:
    """Pictures grouped by their names without the last number, each group in the order of that number."""
    groups: dict[tuple[str, str], list[tuple[int, Member]]] = {}
    singles: list[list[Member]] = []
    for member in pictures:
        match = re.match(r"^(.*?)(\d{1,18})$", member.name[: len(member.name) - len(member.suffix)])
        if match:
            groups.setdefault((match.group(1), member.suffix), []).append((int(match.group(2)), member))
        else:
            singles.append([member])
    return [
        [m for _n, m in sorted(group, key=lambda pair: (pair[0], pair[1].name))] for group in groups.values()
    ] + singles


def capture_name(path: Path) -> str:
    """A name from the file name, without extension and without characters that file systems refuse."""
    plain = shown_name(path.name)
    stem = plain if path.is_dir() else re.sub(r"\.[A-Za-z0-9]{1,5}$", "", plain)
    return re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", stem).strip(" .")[:80] or "capture"
