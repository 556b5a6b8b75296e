# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the lists of a glTF document fit together: what an importer would follow leads somewhere sound.

Limits and rules: Khronos glTF 2.0, sections 3.5.2 (one parent each, no loops), 3.6 (buffers, views,
accessors within their bounds) and 3.11 (animations).
"""

from __future__ import annotations

from typing import Any

MAX_ENTRIES = 100_000
"""Entries of one list: nodes, accessors, animation channels."""
MAX_ELEMENTS = 64 << 20
"""Elements of one accessor."""
MAX_TOTAL_ELEMENTS = 512 << 20
"""Of all accessors together, as an importer unpacks them."""
MAX_TREE_DEPTH = 200
"""Nodes from the root to a finger tip; a body has 20."""
_PARTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
_LISTS = (
    "accessors", "animations", "buffers", "bufferViews", "images", "materials", "meshes", "nodes", "scenes",
    "skins", "textures",
)  # fmt: skip


def check_structure(document: dict[str, Any], binary: int) -> None:
    """Refuse a document that is not sound; `binary`: bytes of the file's data.

    ValueError says why in half a sentence; what is not even of the right type raises whatever it raises.
    """
    for key in _LISTS:
        entries = document.get(key, [])
        if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
            raise ValueError(f"its list of {key} cannot be read")
    for entry in [*document.get("buffers", []), *document.get("images", [])]:
        if "uri" in entry and not str(entry["uri"]).startswith("data:"):
            raise ValueError("it refers to other files")
    _check_buffers(document, binary)
    _check_accessors(document)
    _check_tree(document)
    _check_meshes(document)
    _check_animations(document)


def _index(value: Any, entries: list[Any]) -> int:
    """The value, when it is an index into the list."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < len(entries):
        raise ValueError("it refers to a part that is not there")
    return value


def _whole(value: Any, least: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError("it has a length that is no length")
    return value


def _check_buffers(document: dict[str, Any], binary: int) -> None:
    buffers = document.get("buffers", [])
    sizes = []
    for number, buffer in enumerate(buffers):
        inside = 3 * len(buffer["uri"]) // 4 if "uri" in buffer else binary if number == 0 else 0
        sizes.append(_whole(buffer["byteLength"]))
        if sizes[-1] > inside:
            raise ValueError("its data is shorter than announced")
    for view in document.get("bufferViews", []):
        end = _whole(view.get("byteOffset", 0)) + _whole(view["byteLength"], 1)
        if end > sizes[_index(view["buffer"], buffers)] or not 0 <= view.get("byteStride", 4) <= 252:
            raise ValueError("a part of its data leaves the file")
    for image in document.get("images", []):
        if "bufferView" in image:
            _index(image["bufferView"], document.get("bufferViews", []))


def _check_accessors(document: dict[str, Any]) -> None:
    views, total = document.get("bufferViews", []), 0
    for accessor in document.get("accessors", []):
        count, size = (
            _whole(accessor["count"], 1),
            _PARTS[accessor["type"]] * _BYTES[accessor["componentType"]],
        )
        total += count * _PARTS[accessor["type"]]
        if count > MAX_ELEMENTS or total > MAX_TOTAL_ELEMENTS:
            raise ValueError("it would need too much memory")
        if "bufferView" in accessor:
            view = views[_index(accessor["bufferView"], views)]
            last = (count - 1) * (view.get("byteStride") or size) + size
            if _whole(accessor.get("byteOffset", 0)) + last > view["byteLength"]:
                raise ValueError("a list of numbers leaves its data")
        sparse = accessor.get("sparse")
        if sparse is not None:
            _index(sparse["indices"]["bufferView"], views)
            _index(sparse["values"]["bufferView"], views)
            if _whole(sparse["count"], 1) > count:
                raise ValueError("a list of numbers leaves its data")


def _check_tree(document: dict[str, Any]) -> None:
    """Every node has one parent at most, and every chain of parents ends."""
    nodes = document.get("nodes", [])
    parent: dict[int, int] = {}
    for number, node in enumerate(nodes):
        for child in node.get("children", ()):
            if parent.setdefault(_index(child, nodes), number) != number:
                raise ValueError("a node of its tree has two parents")
        for key, kind in (("mesh", "meshes"), ("skin", "skins")):
            if key in node:
                _index(node[key], document.get(kind, []))
    _check_depth(parent)
    for owner in [*document.get("scenes", ()), *document.get("skins", ())]:
        for number in [*owner.get("nodes", ()), *owner.get("joints", ())]:
            _index(number, nodes)


def _check_depth(parent: dict[int, int]) -> None:
    """Every chain of parents ends, and soon enough for an importer that calls itself for each child."""
    depth: dict[int, int] = {}
    for number in parent:
        chain = [number]
        while chain[-1] in parent and chain[-1] not in depth and len(chain) <= MAX_TREE_DEPTH:
            chain.append(parent[chain[-1]])
        reached = depth.get(chain[-1], 0)
        if reached + len(chain) > MAX_TREE_DEPTH:
            raise ValueError("its tree has a loop or is too deep")
        depth.update({node: reached + up for up, node in enumerate(reversed(chain))})


def _check_meshes(document: dict[str, Any]) -> None:
    accessors = document.get("accessors", [])
    for mesh in document.get("meshes", []):
        for primitive in mesh["primitives"]:
            used = [*primitive["attributes"].values()]
            used += [index for target in primitive.get("targets", ()) for index in target.values()]
            used += [primitive["indices"]] if "indices" in primitive else []
            for index in used:
                _index(index, accessors)
            if "material" in primitive:
                _index(primitive["material"], document.get("materials", []))
    for skin in document.get("skins", []):
        if "inverseBindMatrices" in skin:
            _index(skin["inverseBindMatrices"], accessors)


def _check_animations(document: dict[str, Any]) -> None:
    accessors, nodes = document.get("accessors", []), document.get("nodes", [])
    for animation in document.get("animations", []):
        samplers, channels = animation["samplers"], animation["channels"]
        if not samplers or len(channels) > MAX_ENTRIES:
            raise ValueError("a clip of it cannot be read")
        for sampler in samplers:
            _index(sampler["input"], accessors)
            _index(sampler["output"], accessors)
        for channel in channels:
            _index(channel["sampler"], samplers)
            if "node" in channel["target"]:
                _index(channel["target"]["node"], nodes)
