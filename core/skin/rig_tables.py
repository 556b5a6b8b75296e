# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of a rig's in-betweens and combinations: checked, and as text for a file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ModelError
from .rig_logic import COUNT

Table = dict[Any, Any]


def checked_tables(
    inbetween: Mapping[Any, Any] | None, combination: Mapping[Any, Any] | None, shapes: int, name: str
) -> tuple[Table, Table]:
    """Both tables as plain dicts of lists; ModelError, with the file's `name`, for one that cannot be.

    Their columns must lie within `shapes`, and leave at least one control; in-betweens look at controls.
    """
    tables = [_mapping(table, kind, name) for table, kind in ((inbetween, _HAT), (combination, _PRODUCT))]
    counts = [_count(table, kind, name) for table, kind in zip(tables, (_HAT, _PRODUCT), strict=True)]
    controls = shapes - sum(counts)
    if controls < 1:
        raise ModelError(
            f"{name} has {shapes} shapes, and its tables announce {counts[0]} in-betweens and {counts[1]} "
            "combinations of them, which leaves no control."
        )
    hats = {COUNT: counts[0]} | {
        _places(key, name): _columns(value, _HAT, 2, (shapes, controls), name)
        for key, value in tables[0].items()
        if key != COUNT
    }
    factors = {COUNT: counts[1]} | {
        _factors(key, name): _columns(value, _PRODUCT, _factors(key, name) + 1, (shapes, shapes), name)
        for key, value in tables[1].items()
        if key != COUNT
    }
    return hats, factors


_HAT, _PRODUCT = "inbetween_info", "combination_info"
_MOST_FACTORS = 64


def _mapping(table: Any, kind: str, name: str) -> Mapping[Any, Any]:
    if table is None:
        return {}
    if not isinstance(table, Mapping):
        raise ModelError(f"{kind} of {name} is no table of columns.")
    return table


def _count(table: Mapping[Any, Any], kind: str, name: str) -> int:
    count = table.get(COUNT, 0 if not table else None)
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 0:
        raise ModelError(f"{kind} of {name} does not say with {COUNT} how many columns it adds.")
    return int(count)


def _places(key: Any, name: str) -> str:
    """The three places of a hat, as they were written."""
    try:
        low, peak, high = (float(part) for part in key.split(","))
    except (AttributeError, ValueError):
        raise _not_places(key, name) from None
    if not math.isfinite(low + peak + high) or not low <= peak <= high:
        raise _not_places(key, name)
    return key


def _not_places(key: Any, name: str) -> ModelError:
    return ModelError(
        f"inbetween_info of {name} has the entry {_short(key)}, which is not three rising places."
    )


def _factors(key: Any, name: str) -> int:
    """How many factors a group of combinations has; JSON writes it as text."""
    number = int(key) if isinstance(key, str) and key.isascii() and key.isdigit() and len(key) < 4 else key
    if (
        isinstance(number, bool)
        or not isinstance(number, int | np.integer)
        or not 0 < number <= _MOST_FACTORS
    ):
        raise ModelError(
            f"combination_info of {name} has the entry {_short(key)}, which is no number of factors."
        )
    return int(number)


def _columns(value: Any, kind: str, lists: int, bounds: tuple[int, int], name: str) -> list[list[int]]:
    """`lists` lists of one length. The bounds are those of the outputs and of the sources.

    The outputs are the first list of an in-between and the last of a combination.
    """
    if not isinstance(value, list | tuple | np.ndarray) or len(value) != lists:
        raise ModelError(f"{kind} of {name} has an entry that is not {lists} lists of columns.")
    columns = [part.tolist() if isinstance(part, np.ndarray) else part for part in value]
    if not all(_whole(part) for part in columns):
        raise ModelError(f"{kind} of {name} has columns that are no whole numbers.")
    if len({len(part) for part in columns}) > 1:
        raise ModelError(f"{kind} of {name} has lists of columns of different lengths in one entry.")
    output = 0 if kind == _HAT else lists - 1
    for place, part in enumerate(columns):
        bound = bounds[0] if place == output else bounds[1]
        outside = [column for column in part if not 0 <= column < bound]
        if outside:
            what = "shapes" if bound == bounds[0] else "controls"
            raise ModelError(f"{kind} of {name} points at column {outside[0]}, and there are {bound} {what}.")
    return [[int(column) for column in part] for part in columns]


def _whole(part: Any) -> bool:
    """Whether this is a list of whole numbers."""
    if not isinstance(part, list | tuple):
        return False
    return all(isinstance(column, int | np.integer) and not isinstance(column, bool) for column in part)


def _short(value: Any) -> str:
    return repr(value)[:40]


def table_text(table: Mapping[Any, Any]) -> np.ndarray:
    """A table as JSON text in an array without axes, which needs no pickle."""
    return np.array(json.dumps({str(key): value for key, value in table.items()}))


def table_of_text(text: Any, kind: str, name: str) -> Any:
    """What `table_text` wrote; the keys of combinations are text until they are checked."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ModelError(f"{kind} of {name} is damaged: it is not valid JSON.") from None
