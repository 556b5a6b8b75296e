# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn a Live Link Face table into a Performance.

Columns are found by name in any dialect, as their order differs between the app's CSV and its packets. The
nine angles are radians. Their signs come from real recordings: `core.arkit.LIVE_LINK_SIGNS` says how. In
short: eye yaw and pitch grow to the subject's right and down (they follow the eyeLook weights with |r| >
0.99), head yaw and pitch to the left and up (eyes that stay on the phone turn against the head), and head
roll towards the right shoulder, as public receivers and senders that were tuned by eye have it. The three
head angles are taken as roll first, then pitch, then yaw.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .. import rotation
from ..arkit import ARKIT_NAMES, INDEX, LIVE_LINK_SIGNS, ROTATION_NAMES, canonical_name
from ..errors import CaptureError
from ..performance import Performance
from . import timecode
from .member import Member
from .table import Table, read_table

ABSURD_WEIGHT = 10.0
"""Weights beyond this come from a damaged or foreign table; sensible edits stay below 3."""
ABSURD_ANGLE = 6.3
"""Angles in radians beyond a full turn are degrees or damage."""
FLAT_ANGLE = 1e-6
LONG_GAP = 60.0


@dataclass(frozen=True)
class Reading:
    """A Performance and what was met on the way to it."""

    performance: Performance
    warnings: tuple[str, ...]
    rows: int
    """Rows in the table, before repeated and backward ones were left out."""
    repeated: int
    """Rows left out because their time does not advance."""
    before_movie: int = 0
    """Rows left out because they were recorded before the movie began."""
    columns: tuple[str, ...] = field(default=ARKIT_NAMES)
    """ARKit names that the table has; the others are zero."""


def read_live_link(member: Member, name: str, movie_start: float | None = None) -> Reading:
    """Read the table `member` as the performance `name`.

    `movie_start` is the time of day in s at which the movie begins, where it is known: then time 0 is the
    movie's first picture, else the table's first row. CaptureError names the line and column of what cannot
    be used.
    """
    table = read_table(member)
    warnings: list[str] = []
    if table.cut:
        warnings.append(f"{member.name} breaks off in its last line, which was left out.")
    weights, columns = _weights(table, member, warnings)
    angles = _angles(table, member)
    seconds, keep = _seconds(table, member, warnings)
    keep, offset, before = _aligned(seconds, keep, movie_start, warnings)
    seconds, weights, angles = seconds[keep], weights[keep], angles[keep]
    performance = Performance(
        name=name,
        time=seconds - offset,
        weights=weights,
        head_rotation=_head_rotation(angles, warnings),
        gaze=_gaze(angles),
        source=f"Live Link Face table {member.basename}",
        timecode=float(seconds[0]) % timecode.DAY,
    )
    rows = len(table.values)
    return Reading(performance, tuple(warnings), rows, rows - before - len(seconds), before, columns)


def _weights(table: Table, member: Member, warnings: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """(T, 52) float32, and the names that the table has."""
    weights = np.zeros((len(table.values), len(ARKIT_NAMES)), dtype=np.float32)
    found: dict[str, int] = {}
    for column, title in enumerate(table.header[1:]):
        name = canonical_name(title)
        if name and name not in found:
            found[name] = column
    source = table.values[:, list(found.values())]
    _refuse_absurd(
        source, list(found), ABSURD_WEIGHT, table, member, "a weight", "Weights are between 0 and 1"
    )
    weights[:, [INDEX[name] for name in found]] = source
    missing = [name for name in ARKIT_NAMES if name not in found]
    if missing:
        named = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        warnings.append(f"{member.name} has no column for {named}; these shapes stay at 0.")
    return weights, tuple(name for name in ARKIT_NAMES if name in found)


def _angles(table: Table, member: Member) -> np.ndarray:
    """(T, 9) float64 radians in the order of ROTATION_NAMES: left, up and towards the right shoulder; 0
    where missing.
    """
    angles = np.zeros((len(table.values), len(ROTATION_NAMES)))
    titles = {
        "".join(filter(str.isalnum, title)).lower(): i
        for i, title in reversed(list(enumerate(table.header[1:])))
    }
    for index, name in enumerate(ROTATION_NAMES):
        if name.lower() in titles:
            angles[:, index] = table.values[:, titles[name.lower()]]
    _refuse_absurd(
        angles, list(ROTATION_NAMES), ABSURD_ANGLE, table, member, "an angle", "Angles are radians"
    )
    return angles * np.array(LIVE_LINK_SIGNS)


def _refuse_absurd(
    values: np.ndarray, names: list[str], limit: float, table: Table, member: Member, what: str, rule: str
) -> None:
    good = np.abs(values) <= limit  # False for NaN
    if good.all():
        return
    row, column = (int(index) for index in np.argwhere(~good)[0])
    raise CaptureError(
        f"{member.name}, line {table.lines[row]}: {values[row, column]:g} in column "
        f"{names[column]} cannot be {what}.",
        f"{rule}; record again or mend that line.",
    )


def _seconds(table: Table, member: Member, warnings: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """(T,) seconds since midnight of the first day, and (T,) bool for the rows whose time advances."""
    bad = np.flatnonzero(timecode.bad_fields(table.fields))
    if len(bad):
        shown = ":".join(f"{value:g}" for value in table.fields[bad[0]])
        raise CaptureError(
            f"{member.name}, line {table.lines[bad[0]]}: {shown} is not a time of day with frames below 60.",
            "Use the CSV as Live Link Face wrote it.",
        )
    base = timecode.frame_base(table.fields)
    if base != timecode.BASE:
        warnings.append(
            f"{member.name} counts {base:g} frames a second in its time codes, not 60 as Live Link Face does."
        )
    seconds = timecode.unwrapped(timecode.seconds_of(table.fields, base))
    highest = np.maximum.accumulate(seconds)
    keep = np.ones(len(seconds), dtype=bool)
    keep[1:] = seconds[1:] > highest[:-1] + 1e-9
    dropped = int((~keep).sum())
    if dropped > len(seconds) // 2 and len(seconds) > 2:
        raise CaptureError(
            f"In {member.name} the time of {dropped} of {len(seconds)} rows does not advance.",
            "Record the take again.",
        )
    if dropped:
        warnings.append(f"{dropped} rows of {member.name} repeat or go back in time and were left out.")
    _warn_of_gap(seconds[keep], member, warnings)
    return seconds, keep


def _warn_of_gap(seconds: np.ndarray, member: Member, warnings: list[str]) -> None:
    steps = np.diff(seconds)
    if len(steps) and steps.max() > LONG_GAP:
        warnings.append(
            f"{member.name} jumps by {steps.max():.0f} s after "
            f"{seconds[int(steps.argmax())] - seconds[0]:.1f} s; "
            "the phone's time code source was probably changed while recording."
        )


def _aligned(
    seconds: np.ndarray, keep: np.ndarray, movie_start: float | None, warnings: list[str]
) -> tuple[np.ndarray, float, int]:
    """Rows to keep, the time of day of time 0, and how many rows were dropped for being older than the
    movie.
    """
    first = float(seconds[keep][0])
    if movie_start is None:
        return keep, first, 0
    lead = timecode.difference(first % timecode.DAY, movie_start)
    length = float(seconds[keep][-1]) - first
    if lead > LONG_GAP or lead + length < 0.0:
        warnings.append(
            f"The take's start and its weights are {abs(lead):.0f} s apart; "
            "they were put together at their starts."
        )
        return keep, first, 0
    origin = first - lead
    early = keep & (seconds < origin - 0.5 / timecode.BASE)
    if early.any():
        warnings.append(f"{int(early.sum())} rows were recorded before the movie begins and were left out.")
    return keep & ~early, origin, int(early.sum())


def _head_rotation(angles: np.ndarray, warnings: list[str]) -> np.ndarray | None:
    yaw, pitch, roll = angles[:, :3].T
    if np.abs(angles[:, :3]).max() < FLAT_ANGLE:
        warnings.append(
            "There is no head rotation in the recording; "
            "turn on 'Stream Head Rotation' in Live Link Face to get it."
        )
        return None
    if abs(float(np.median(roll))) > np.pi / 4:
        warnings.append(
            "The head lies on its side throughout, as when the phone was held sideways; "
            "its yaw and pitch may be swapped."
        )
    return rotation.continuous(rotation.from_angles(yaw, pitch, roll))


def _gaze(angles: np.ndarray) -> np.ndarray | None:
    """(T, 2, 2) radians: [left eye, right eye] x [yaw to the subject's left, pitch up], or None where all
    are zero.
    """
    gaze = np.stack([angles[:, 3:5], angles[:, 6:8]], axis=1)
    return gaze if np.abs(gaze).max() >= FLAT_ANGLE else None
