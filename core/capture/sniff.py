# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what a member is from its first bytes. Names only serve where content cannot decide."""

from __future__ import annotations

import re

from ..arkit import canonical_name

IMAGES = frozenset({"jpeg", "png", "webp", "heic", "tiff", "bmp", "gif", "exr"})
MOVIES = frozenset({"mp4", "mkv", "avi", "mpeg"})
MINIMUM_SHAPES = 10
"""ARKit names in a header that make a table a recording of weights; the smallest dialect seen has 51."""

_MAGIC = (
    (b"\xff\xd8\xff", "jpeg"), (b"\x89PNG\r\n\x1a\n", "png"), (b"II*\x00", "tiff"), (b"MM\x00*", "tiff"),
    (b"GIF8", "gif"), (b"v/1\x01", "exr"), (b"\x1aE\xdf\xa3", "mkv"), (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"), (b"Rar!", "archive"), (b"7z\xbc\xaf\x27\x1c", "archive"),
    (b"\x1f\x8b", "archive"), (b"\x00\x00\x01\xba", "mpeg"), (b"\x00\x00\x01\xb3", "mpeg"),
    (b"glTF", "model"), (b"Kaydara FBX", "model"), (b"%PDF", "document"),
)  # fmt: skip
_STILL_BRANDS = {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif"}
_OLD_MOVIE_BOXES = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
_OBJ_LINE = re.compile(r"^(v|vn|vt|f|o|g|mtllib|usemtl|s)\s+\S", re.MULTILINE)


def kind_of_bytes(head: bytes) -> str:
    """`jpeg`, `png`, ..., `mp4`, `zip`, `weights` (a Live Link table), `obj`, `json`, `text`, `empty` or
    `binary`.
    """
    if not head:
        return "empty"
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF":
        return {b"WEBP": "webp", b"AVI ": "avi", b"WAVE": "sound"}.get(head[8:12], "binary")
    if head[4:8] == b"ftyp":
        return "heic" if head[8:12] in _STILL_BRANDS else "sound" if head[8:11] == b"M4A" else "mp4"
    if head[4:8] in _OLD_MOVIE_BOXES:
        return "mp4"
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return "bmp"
    text = decoded(head)
    return "binary" if text is None else _kind_of_text(text)


def _kind_of_text(text: str) -> str:
    first = text.lstrip().split("\n", 1)[0]
    if is_weight_header(first):
        return "weights"
    if first[:1] in "{[" and ('"' in first or first.strip() in ("{", "[")):
        return "json"
    rows = _OBJ_LINE.findall(text)
    return "obj" if rows.count("v") + rows.count("f") >= 3 else "text"


def is_weight_header(line: str) -> bool:
    """Whether a line of text is the header of a table of ARKit weights."""
    return sum(canonical_name(cell) is not None for cell in split_cells(line)) >= MINIMUM_SHAPES


def split_cells(line: str) -> list[str]:
    """The cells of a header line, without quotes and blanks, split at the delimiter it uses most."""
    return [cell.strip().strip('"').strip() for cell in line.rstrip("\r\n").split(delimiter_of(line))]


def delimiter_of(line: str) -> str:
    """Comma, semicolon or tab, whichever the line has most of."""
    return max(",;\t", key=line.count)


def encoding_of(head: bytes) -> str:
    """The text encoding that the first bytes speak for: by their mark, or by the zeros of plain letters in
    UTF-16.
    """
    if head.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    half = max(1, len(head) // 2)
    if head[1::2].count(0) > 0.7 * half and head[0::2].count(0) == 0:
        return "utf-16-le"
    if head[0::2].count(0) > 0.7 * half and head[1::2].count(0) == 0:
        return "utf-16-be"
    return "utf-8"


def decoded(head: bytes) -> str | None:
    """The bytes as text (a cut last letter is dropped; what is not Unicode is read as Latin-1), or None for
    binary.
    """
    encoding = encoding_of(head)
    if encoding in ("utf-8", "utf-8-sig"):
        if b"\0" in head or sum(head.count(code) for code in _CONTROLS) > len(head) // 50:
            return None
        if not _is_unicode(head):
            encoding = "latin-1"
    return head.decode(encoding, errors="ignore")


_CONTROLS = tuple(bytes([code]) for code in range(32) if code not in (9, 10, 12, 13))


def _is_unicode(head: bytes) -> bool:
    for cut in range(4):  # the last letter may be cut in two
        try:
            head[: len(head) - cut].decode("utf-8")
            return True
        except UnicodeDecodeError:
            continue
    return False
