# SPDX-License-Identifier: GPL-3.0-or-later
"""PLY files as tables of numbers: little or big endian, or text; elements in the order of the file.

Format: Greg Turk, "The PLY Polygon File Format" (1994). Lists are refused: no file of Gaussians has one in
front of what is read. Nothing is allocated by what a header announces, only by what the file holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import SplatError
from ...files import atomic_path

Array = np.ndarray

LARGEST_FILE = 4 << 30
"""Bytes; three million Gaussians of degree 3 have 0.75 GB, an animation of 576 frames 0.14 GB."""
LARGEST_HEADER = 8 << 20
"""Bytes; 600 frames of an animation announce 1800 elements in 0.2 MB."""
MOST_ELEMENTS = 100_000
MOST_PROPERTIES = 1000
_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2",
    "ushort": "u2", "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
_NAMES = {"i1": "char", "u1": "uchar", "i2": "short", "u2": "ushort", "i4": "int", "u4": "uint",
          "f4": "float", "f8": "double"}  # fmt: skip
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}


@dataclass
class _Element:
    """One table that a header announces."""

    name: str
    count: int
    columns: list[tuple[str, str]]
    """Name and numpy type of each property."""
    lists: bool = False

    def dtype(self, order: str) -> np.dtype:
        """One row, packed."""
        return np.dtype([(name, order + kind) for name, kind in self.columns])


def read_ply(path: Path, until: str | None = None) -> dict[str, Array]:
    """The elements of a PLY file by name, each a structured array (rows,) in the file's types.

    `until`: the last element that is needed. SplatError in one sentence for whatever is no such file.
    """
    data = read_bytes(path)
    try:
        order, elements, start = _header(data)
        if until is not None:
            names = [element.name for element in elements]
            if until not in names:
                raise ValueError(f"it has no element {until!r}")
            elements = elements[: names.index(until) + 1]
        if any(element.lists for element in elements):
            raise ValueError("it is a mesh with lists, no table of Gaussians")
        return _text(data[start:], elements) if not order else _binary(data, start, order, elements)
    except (ValueError, UnicodeDecodeError, OverflowError) as problem:
        raise SplatError(f"{path.name} is damaged or no PLY file that can be used: {problem}.") from None


def read_bytes(path: Path, limit: int = LARGEST_FILE) -> bytes:
    """A whole file; SplatError where it is missing, unreadable or larger than `limit` bytes."""
    try:
        size = path.stat().st_size
        if size > limit:
            raise SplatError(f"{path.name} has {size >> 20} MB; at most {limit >> 20} MB can be read.")
        return path.read_bytes()
    except FileNotFoundError:
        raise SplatError(f"{path.name} is missing in {path.parent}.") from None
    except MemoryError:
        raise SplatError(f"{path.name} does not fit into memory.") from None
    except OSError as problem:
        raise SplatError(f"{path} cannot be read: {problem.strerror or problem}.") from problem


def _header(data: bytes) -> tuple[str, list[_Element], int]:
    """Byte order ('' for text), the elements, and where their data begins."""
    if data[:3] != b"ply" or data[3:4] not in (b"\n", b"\r"):
        raise ValueError("it does not begin with 'ply'")
    end = data.find(b"end_header", 0, LARGEST_HEADER)
    line_end = data.find(b"\n", end)
    if end < 0 or line_end < 0:
        raise ValueError("its header does not end")
    order: str | None = None
    elements: list[_Element] = []
    for line in data[:end].decode("ascii", "replace").splitlines()[1:]:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "format" and len(words) == 3 and words[1] in _ORDERS:
            order = _ORDERS[words[1]]
        elif words[0] == "element" and len(words) == 3:
            elements.append(_Element(words[1], _count(words[2]), []))
        elif words[0] == "property" and elements and len(words) >= 3:
            _add_property(elements[-1], words)
        else:
            raise ValueError(f"its header has the line {line[:60]!r}")
    if order is None:
        raise ValueError("its header names no format")
    if len(elements) > MOST_ELEMENTS or len({e.name for e in elements}) != len(elements):
        raise ValueError("its elements are too many or have one name twice")
    return order, elements, line_end + 1


def _count(word: str) -> int:
    """A number of rows, of at most ten digits."""
    if not word.isascii() or not word.isdigit() or len(word) > 10:
        raise ValueError(f"an element has {word[:20]!r} rows")
    return int(word)


def _add_property(element: _Element, words: list[str]) -> None:
    if words[1] == "list":
        element.lists = True
        return
    if len(words) != 3 or words[1] not in _TYPES:
        raise ValueError(f"a property has the unknown type {words[1][:20]!r}")
    if len(element.columns) >= MOST_PROPERTIES or words[2] in dict(element.columns):
        raise ValueError(f"element {element.name[:40]!r} has too many properties or one name twice")
    element.columns.append((words[2], _TYPES[words[1]]))


def _binary(data: bytes, start: int, order: str, elements: list[_Element]) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for element in elements:
        kind = element.dtype(order)
        if not kind.itemsize:
            raise ValueError(f"element {element.name[:40]!r} has no properties")
        if start + kind.itemsize * element.count > len(data):
            raise ValueError(f"it ends before its element {element.name[:40]!r} does")
        found[element.name] = np.frombuffer(data, kind, element.count, start)
        start += kind.itemsize * element.count
    return found


def _text(data: bytes, elements: list[_Element]) -> dict[str, Array]:
    words = data.split()
    found: dict[str, Array] = {}
    start = 0
    for element in elements:
        kind, width = element.dtype("<"), len(element.columns)
        if not width or start + width * element.count > len(words):
            raise ValueError(f"it ends before its element {element.name[:40]!r} does")
        numbers = np.array(words[start : start + width * element.count], dtype="S40").astype(np.float64)
        found[element.name] = _rows(numbers.reshape(element.count, width), kind)
        start += width * element.count
    return found


def _rows(numbers: Array, kind: np.dtype) -> Array:
    """(rows, columns) numbers in the types of a table; ValueError where a type cannot hold one."""
    rows = np.empty(len(numbers), kind)
    for column, name in enumerate(kind.names or ()):
        if kind[name].kind in "iu":
            limits = np.iinfo(kind[name])
            inside = (numbers[:, column] >= limits.min) & (numbers[:, column] <= limits.max)
            if not inside.all():
                raise ValueError(f"a value of {name[:40]!r} does not fit its type")
        with np.errstate(over="ignore"):
            rows[name] = numbers[:, column]
    return rows


def block_table(names: Sequence[str], values: Array) -> Array:
    """(rows, names) numbers of one type as the rows of an element, little endian."""
    kind = "<" + values.dtype.str[1:]
    return np.ascontiguousarray(values, kind).view([(name, kind) for name in names])[:, 0]


def column(rows: Array, names: Iterable[str], what: str) -> Array:
    """(rows, names) float32 of a table; ValueError where a property is missing or a value not finite."""
    held = rows.dtype.names or ()
    wanted = list(names)
    missing = [name for name in wanted if name not in held]
    if missing:
        raise ValueError(f"it has no property {missing[0]!r}")
    kinds = {rows.dtype[name] for name in held}
    values = np.empty((len(rows), len(wanted)), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        if len(kinds) == 1 and rows.flags.c_contiguous:
            whole = rows.view(kinds.pop()).reshape(len(rows), len(held))
            values[:] = whole if wanted == list(held) else whole[:, [held.index(name) for name in wanted]]
        else:
            for number, name in enumerate(wanted):
                values[:, number] = rows[name]
    if not np.isfinite(values).all():
        row, number = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(f"the {wanted[number]} of {what} {row} is not a finite number")
    return values


def write_ply(path: Path, elements: Iterable[tuple[str, Array]]) -> None:
    """Write a binary little endian PLY, atomically; rows are given as `block_table` makes them.

    SplatError where the file cannot be written.
    """
    lines = ["ply", "format binary_little_endian 1.0"]
    tables = list(elements)
    for name, rows in tables:
        lines.append(f"element {name} {len(rows)}")
        lines += [f"property {_NAMES[rows.dtype[key].str[1:]]} {key}" for key in rows.dtype.names or ()]
    try:
        with atomic_path(path) as beside, beside.open("wb") as stream:
            stream.write(("\n".join([*lines, "end_header"]) + "\n").encode("ascii"))
            for _, rows in tables:
                stream.write(np.ascontiguousarray(rows).data)
    except OSError as problem:
        raise SplatError(f"{path} cannot be written: {problem.strerror or problem}.") from problem
