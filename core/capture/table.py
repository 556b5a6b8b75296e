# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a table of recorded weights into one array, in blocks and without touching single cells in Python."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import CaptureError
from .limits import MAX_CSV_BYTES, MAX_CSV_COLUMNS, MAX_CSV_ROWS, MAX_LINE_BYTES, SNIFF_BYTES
from .member import Member
from .sniff import delimiter_of, encoding_of, is_weight_header, split_cells

_BLOCK = 8 << 20
_TIME_PARTS = 4


@dataclass(frozen=True)
class Table:
    """A table as it stands in the file."""

    header: tuple[str, ...]
    """Column names, the time code first."""
    fields: np.ndarray
    """(T, 4) float64: hour, minute, second and frame of each row's time code."""
    values: np.ndarray
    """(T, C - 1) float64: the columns after the time code."""
    lines: np.ndarray
    """(T,) int64: the line of each row in the file, the header being line 1."""
    cut: bool
    """Whether the last line was broken off and left out, as when a recording was interrupted."""


def read_table(member: Member) -> Table:
    """Read a CSV whose first column is a time code and whose other columns are numbers.

    Comma, semicolon (with decimal commas) or tab; UTF-8, UTF-16 or Latin-1; any line ends. A cell that is
    not a number raises CaptureError with its line and column.
    """
    if member.size > MAX_CSV_BYTES:
        raise CaptureError(f"{member.name} has {member.size} bytes, more than any recording of weights.")
    lines = _lines(member)
    first = next(lines, [])
    if not first or not is_weight_header(first[0]):
        raise CaptureError(
            f"{member.name} has no header with ARKit names in its first line.",
            "Use the CSV as Live Link Face wrote it.",
        )
    reader = _Reader(member, first[0])
    reader.add(first[1:])
    for block in lines:
        reader.add(block)
    return reader.finish()


def _lines(member: Member) -> Iterator[list[str]]:
    """The decoded lines of the member in blocks of some megabytes; the first block starts with the header."""
    with member.open() as stream:
        chunk = stream.read(SNIFF_BYTES)
        decoder = codecs.getincrementaldecoder(encoding_of(chunk))(errors="replace")
        rest = ""
        while chunk:
            text = rest + decoder.decode(chunk)
            half = "\r" if text.endswith("\r") else ""  # its \n may come with the next block
            text = text[: len(text) - len(half)]
            lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            rest = lines.pop() + half
            if len(rest) > MAX_LINE_BYTES:
                raise CaptureError(
                    f"{member.name} has a line of more than {MAX_LINE_BYTES} letters; "
                    "it is no recording of weights."
                )
            if lines:
                yield lines
            chunk = stream.read(_BLOCK)
        rest += decoder.decode(b"", final=True)
        if rest:
            yield rest.rstrip("\r").split("\n")


class _Reader:
    """Collects blocks of lines as arrays."""

    def __init__(self, member: Member, header: str) -> None:
        self.member = member
        self.delimiter = delimiter_of(header)
        self.header = split_cells(header)
        while self.header and not self.header[-1]:
            self.header.pop()
        if len(self.header) > MAX_CSV_COLUMNS:
            raise CaptureError(
                f"{member.name} has {len(self.header)} columns, more than any recording of weights."
            )
        if "timecode" not in self.header[0].lower() and "time" not in self.header[0].lower():
            raise CaptureError(
                f"{member.name} does not begin with a column 'Timecode' but with {self.header[0][:40]!r}.",
                "Use the CSV as Live Link Face wrote it.",
            )
        self.arrays: list[np.ndarray] = []
        self.numbers: list[np.ndarray] = []
        self.rows = 0
        self.line = 1
        self.pending: tuple[str, int] | None = None

    def add(self, lines: list[str]) -> None:
        """Parse a block, but hold back its last line: only the very last of the file may be incomplete."""
        numbered = [(text, self.line + 1 + i) for i, text in enumerate(lines)]
        self.line += len(lines)
        numbered = [item for item in numbered if item[0].strip(' ,;\t"')]
        if not numbered:
            return
        if self.pending:
            numbered.insert(0, self.pending)
        self.pending = numbered.pop()
        self._parse(numbered)

    def finish(self) -> Table:
        """The whole table; a last line that was cut off in the middle is left out."""
        cut = False
        if self.pending:
            try:
                self._parse([self.pending])
            except CaptureError:
                cut = self.rows > 0 and self.pending[0].count(self.delimiter) < len(self.header) - 1
                if not cut:
                    raise
        if not self.rows:
            raise CaptureError(
                f"{self.member.name} has a header but no rows: nothing was recorded.", "Choose another take."
            )
        array = np.concatenate(self.arrays)
        return Table(
            tuple(self.header),
            array[:, :_TIME_PARTS],
            array[:, _TIME_PARTS:],
            np.concatenate(self.numbers),
            cut,
        )

    def _parse(self, numbered: list[tuple[str, int]]) -> None:
        if not numbered:
            return
        if self.rows + len(numbered) > MAX_CSV_ROWS:
            raise CaptureError(
                f"{self.member.name} has more than {MAX_CSV_ROWS} rows, over nine hours at 60 frames/s."
            )
        width = len(self.header) + _TIME_PARTS - 1
        try:
            array = np.loadtxt(
                [self._plain(text) for text, _line in numbered],
                delimiter=",", comments=None, ndmin=2, usecols=range(width), dtype=np.float64,
            )  # fmt: skip
        except (ValueError, OverflowError):
            self._explain(numbered)
            raise CaptureError(
                f"{self.member.name} has rows that are not numbers.", "Use the CSV as it was recorded."
            ) from None
        if array.shape != (len(numbered), width):
            self._explain(numbered)
        self.rows += len(numbered)
        self.arrays.append(array)
        self.numbers.append(np.array([line for _text, line in numbered], dtype=np.int64))

    def _plain(self, text: str) -> str:
        """The line with the time code's parts as cells of their own and points in its numbers."""
        if self.delimiter != ",":
            text = text.replace(",", ".").replace(self.delimiter, ",")
        if '"' in text:
            text = text.replace('"', "")
        return text.replace(":", ",", _TIME_PARTS - 1)

    def _explain(self, numbered: list[tuple[str, int]]) -> None:
        """Raise for the first wrong row, naming line and column."""
        width = len(self.header) + _TIME_PARTS - 1
        for text, line in numbered:
            timecode = text.split(self.delimiter, 1)[0].strip(' "')
            if not re.fullmatch(r"\d{1,2}:\d{1,2}:\d{1,2}:\d{1,3}([.,]\d+)?", timecode):
                raise self._wrong(line, f"{timecode[:24]!r} is not a time code of the form HH:MM:SS:FF.mmm")
            cells = self._plain(text).split(",")
            if len(cells) < width:
                raise self._wrong(
                    line,
                    f"it has {len(cells) - _TIME_PARTS + 1} cells where the header has {len(self.header)}",
                )
            for column, cell in enumerate(cells[_TIME_PARTS:width], start=1):
                if not _is_number(cell):
                    shown = repr(cell.strip()[:24]) if cell.strip() else "an empty cell"
                    raise self._wrong(line, f"{shown} in column {self.header[column]} is not a number")

    def _wrong(self, line: int, what: str) -> CaptureError:
        return CaptureError(f"{self.member.name}, line {line}: {what}.", "Record again or mend that line.")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell
