# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers and the tree of a GLB: lists of numbers as arrays, nodes with their global transforms.

Khronos glTF 2.0, sections 3.5 (nodes), 3.6 (accessors). The structure is checked before by `core.capture`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ... import rotation
from ...capture.glb import document_of
from ...capture.glb_checks import check_structure
from ...capture.member import Member
from .ply import read_bytes

Array = np.ndarray

_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_PARTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
MOST_NODES = 20_000
"""Nodes of a scene that are looked at."""
_TRANSFORMS = {"matrix", "translation", "rotation", "scale"}


class GlbArrays:
    """An open GLB; ValueError and other errors of damaged content are for the caller to catch."""

    def __init__(self, path: Path, limit: int) -> None:
        self._data = read_bytes(path, limit)
        self.document, self._size = document_of(Member(path.name, len(self._data), path))
        check_structure(self.document, self._size)
        self._start = 28 + struct.unpack_from("<I", self._data, 12)[0]

    def view(self, number: Any) -> bytes:
        """The bytes of a buffer view in the file's own data."""
        view = self.document["bufferViews"][_index(number, self.document.get("bufferViews", []))]
        if view["buffer"] != 0 or "uri" in self.document["buffers"][0]:
            raise ValueError("its numbers are not in its own data")
        start = self._start + view.get("byteOffset", 0)
        return self._data[start : start + view["byteLength"]]

    def numbers(self, number: Any) -> Array:
        """(count, parts) float64 of an accessor; whole numbers of normalised ones become fractions."""
        accessor = self.document["accessors"][_index(number, self.document.get("accessors", []))]
        if "sparse" in accessor or "bufferView" not in accessor:
            raise ValueError("a list of its numbers is sparse or empty")
        kind, parts = np.dtype(_TYPES[accessor["componentType"]]), _PARTS[accessor["type"]]
        view = self.document["bufferViews"][accessor["bufferView"]]
        stride = view.get("byteStride") or kind.itemsize * parts
        if stride < kind.itemsize * parts:
            raise ValueError("a list of its numbers overlaps itself")
        held = self.view(accessor["bufferView"])
        shape, strides = (accessor["count"], parts), (stride, kind.itemsize)
        raw = np.ndarray(shape, kind, held, accessor.get("byteOffset", 0), strides)
        with np.errstate(invalid="ignore"):  # some NaN complain when they are converted
            values = raw.astype(np.float64)
        if accessor.get("normalized") and kind.kind in "iu":
            values = np.maximum(values / np.iinfo(kind).max, -1.0)
        if not np.isfinite(values).all():
            raise ValueError("a list of its numbers has values that are not finite")
        return values

    def placed(self) -> Iterator[tuple[dict[str, Any], Array]]:
        """Each mesh that a scene shows, with the global transform (4, 4) of its node."""
        nodes = self.document.get("nodes", [])
        scenes = self.document.get("scenes", [])
        if scenes:
            roots = scenes[_index(self.document.get("scene", 0), scenes)].get("nodes", [])
        else:
            children = {child for node in nodes for child in node.get("children", ())}
            roots = [number for number in range(len(nodes)) if number not in children]
        open_nodes = [(number, np.eye(4)) for number in reversed(roots)]
        seen = 0
        while open_nodes:
            number, above = open_nodes.pop()
            node, seen = nodes[number], seen + 1
            if seen > MOST_NODES:
                raise ValueError("its scene has too many nodes")
            here = above @ local_matrix(node) if _TRANSFORMS & node.keys() else above
            if "mesh" in node:
                yield self.document["meshes"][node["mesh"]], here
            open_nodes += [(child, here) for child in reversed(node.get("children", []))]


def local_matrix(node: dict[str, Any]) -> Array:
    """(4, 4) of a node's own transform: its matrix, or translation, rotation (x y z w) and scale."""
    if "matrix" in node:
        return _floats(node["matrix"], 16).reshape(4, 4).T
    matrix = np.eye(4)
    x, y, z, w = _floats(node.get("rotation", (0, 0, 0, 1)), 4)
    matrix[:3, :3] = rotation.to_matrix(np.array([w, x, y, z])) * _floats(node.get("scale", (1, 1, 1)), 3)
    matrix[:3, 3] = _floats(node.get("translation", (0, 0, 0)), 3)
    return matrix


def _floats(values: Any, count: int) -> Array:
    array = np.array([float(value) for value in values])
    if array.shape != (count,) or not np.isfinite(array).all() or np.abs(array).max() > 1e12:
        raise ValueError("a node has a transform that is none")
    return array


def _index(value: Any, entries: list[Any]) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < len(entries):
        raise ValueError("it refers to a part that is not there")
    return value
