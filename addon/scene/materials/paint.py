# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of a look on a finished material: set where they have changed since they were set last, so that
everything else an artist did to the nodes stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import bpy

Values = Mapping[str, float | Sequence[float]]
"""Input of one of our groups, or BASE or VIEWPORT, to a float or a linear RGB colour."""
BASE = "Base Color"
"""Of every Principled BSDF where nothing is plugged in."""
VIEWPORT = "Viewport"
"""The material's colour in solid view."""
_PAINTED = "likeness_painted"
_NEAR = 1e-4
"""Sliders hold single precision, so the last digits say nothing."""


def paint(material: bpy.types.Material, values: Values) -> None:
    """Bring values onto a material, those that differ from what it was painted with before."""
    held: Any = material
    before = held[_PAINTED].to_dict() if _PAINTED in held else {}
    for name, value in values.items():
        if name not in before or not _same(before[name], value):
            _set(material, name, value)
    note_painted(material, values)


def note_painted(material: bpy.types.Material, values: Values) -> None:
    """Remember values as those that the material was painted with, whatever it wears."""
    held: Any = material
    before = held[_PAINTED].to_dict() if _PAINTED in held else {}
    held[_PAINTED] = before | {name: _plain(value) for name, value in values.items()}


def _plain(value: float | Sequence[float]) -> Any:
    return [float(part) for part in value] if isinstance(value, Sequence) else float(value)


def _same(first: Any, second: float | Sequence[float]) -> bool:
    a, b = ([value] if isinstance(value, float | int) else list(value) for value in (first, second))
    return len(a) == len(b) and all(abs(x - y) < _NEAR for x, y in zip(a, b, strict=True))


def _set(material: bpy.types.Material, name: str, value: float | Sequence[float]) -> None:
    solid = (*value[:3], 1.0) if isinstance(value, Sequence) else value
    if name == VIEWPORT:
        material.diffuse_color = solid
        return
    for socket in _sockets(material, name):
        socket.default_value = solid


def _sockets(material: bpy.types.Material, name: str) -> Iterator[Any]:
    nodes: Any = material.node_tree.nodes if material.node_tree else ()
    for node in nodes:
        ours = node.type == "GROUP" and node.name.startswith("Likeness")
        if ours or (name == BASE and node.type == "BSDF_PRINCIPLED"):
            socket = node.inputs.get(name)
            if socket is not None and not socket.is_linked:
                yield socket
