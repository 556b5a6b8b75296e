# SPDX-License-Identifier: GPL-3.0-or-later
"""A small chart of lines on logarithmic axes as SVG, written by hand: no package needed, and it diffs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

COLOURS = ("#b5367a", "#e8743b", "#3b8f4e", "#2a6fbb", "#4b3b8f")
"""Of the lines, in the order of the keys; apart in lightness too."""
INK, DIM, GRID = "#222222", "#666666", "#e2e2e2"
WIDTH, HEIGHT = 270, 190
"""px inside a panel's axes."""
LEFT, RIGHT, ABOVE, BELOW, HEAD, KEY = 52, 18, 26, 44, 34, 30
ROOM = 1.12
"""What axes reach beyond the values."""


class Point(NamedTuple):
    """One fit."""

    x: float
    y: float


@dataclass(frozen=True)
class Panel:
    """Lines over one horizontal axis."""

    title: str
    label: str
    lines: Mapping[str, tuple[Point, ...]]


@dataclass(frozen=True)
class Chart:
    """Rows of panels under one key."""

    key: str
    names: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    note: str = ""
    """Beside the key."""


@dataclass(frozen=True)
class Axis:
    """Logarithmic, from pixels `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value is, px."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)


def drawn(chart: Chart) -> str:
    """The SVG's text."""
    across = max(len(panels) for _, panels in chart.rows)
    width = across * (LEFT + WIDTH + RIGHT) + 10
    row_height = HEAD + ABOVE + HEIGHT + BELOW
    height = KEY + len(chart.rows) * row_height + 6
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="Helvetica, Arial, sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *_key(chart),
    ]
    for row, (title, panels) in enumerate(chart.rows):
        top = KEY + row * row_height
        parts.append(text(12, top + 22, title, size=14, weight="bold"))
        for column, panel in enumerate(panels):
            left = column * (LEFT + WIDTH + RIGHT) + LEFT
            parts += _panel(panel, left, top + HEAD + ABOVE, chart.names)
    return "\n".join([*parts, "</svg>", ""])


def text(
    x: float,
    y: float,
    words: str,
    *,
    size: int = 11,
    anchor: str = "start",
    weight: str = "",
    fill: str = INK,
) -> str:
    """Words with their base line at y."""
    style = f'font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{fill}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    """A straight stroke."""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="{colour}" stroke-width="{width:g}"/>'
    )


def _key(chart: Chart) -> Iterator[str]:
    yield text(12, 22, f"{chart.key}:", size=12)
    for index, name in enumerate(chart.names):
        x = 62 + 62 * index
        yield line(x, 18, x + 22, 18, COLOURS[index], 2.2)
        yield _mark(x + 11, 18, COLOURS[index])
        yield text(x + 28, 22, name, size=12)
    yield text(62 + 62 * len(chart.names) + 16, 22, chart.note, size=12, fill=DIM)


def _mark(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}" stroke="#ffffff" stroke-width="1"/>'


def _panel(panel: Panel, left: float, top: float, names: tuple[str, ...]) -> Iterator[str]:
    points = [point for of_name in panel.lines.values() for point in of_name]
    xs, ys = sorted({point.x for point in points}), [point.y for point in points]
    across = Axis(xs[0] / ROOM, xs[-1] * ROOM, left, left + WIDTH)
    up = Axis(min(ys) / ROOM, max(ys) * ROOM, top + HEIGHT, top)
    yield text(left, top - 9, panel.title, size=12)
    for value in ticks(up.low, up.high):
        y = up.at(value)
        yield line(left, y, left + WIDTH, y, GRID)
        yield text(left - 6, y + 4, f"{value:g}", anchor="end", fill=DIM)
    for value in xs:
        x = across.at(value)
        yield line(x, top, x, top + HEIGHT, GRID)
        yield text(x, top + HEIGHT + 15, f"{value:,.0f}", anchor="middle", fill=DIM)
    yield line(left, top + HEIGHT, left + WIDTH, top + HEIGHT, DIM)
    yield line(left, top, left, top + HEIGHT, DIM)
    yield text(left + WIDTH / 2, top + HEIGHT + 31, panel.label, anchor="middle", size=12)
    for name, of_name in panel.lines.items():
        colour = COLOURS[names.index(name)]
        places = [(across.at(point.x), up.at(point.y)) for point in of_name]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.2"/>'
        yield from (_mark(x, y, colour) for x, y in places)


def ticks(low: float, high: float) -> Iterator[float]:
    """Round values within a logarithmic range: 1, 2, 5 of each decade, more when the range is short."""
    steps = (1, 2, 5) if high / low > 12 else (1, 1.5, 2, 3, 4, 5, 6, 8)
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        for step in steps:
            value = step * 10.0**power
            if low <= value <= high:
                yield float(f"{value:.6g}")
