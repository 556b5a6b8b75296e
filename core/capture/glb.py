# SPDX-License-Identifier: GPL-3.0-or-later
"""Look into a binary glTF file before anything imports it: sound structure, names, clips, blend shapes.

Layout: Khronos glTF 2.0, "GLB File Format Specification" and sections 3.5 to 3.11. Geometry is not read.
A file that refers to other files, leaves its own bounds or has loops in its tree is refused.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CaptureError
from .glb_checks import check_structure
from .member import Member

MAX_GLB_BYTES = 2 << 30
"""A dressed avatar with 4K textures has about 80 MB."""
MAX_GLB_JSON_BYTES = 64 << 20
"""A head with 66 blend shapes has 60 kB, with a clip of a minute still below 1 MB."""
_JSON, _BIN = b"JSON", b"BIN\0"


@dataclass(frozen=True)
class Clip:
    """One animation of a model."""

    name: str
    seconds: float
    """Time of the last key, from glTF's time zero."""
    rate: float
    """Keys per second of the channel with most keys; 0 with fewer than two."""
    shapes: bool
    """Whether it moves blend shapes."""
    bones: bool
    """Whether it moves nodes."""


@dataclass(frozen=True)
class ModelFacts:
    """What a model holds, by name."""

    materials: tuple[str, ...]
    """Of all parts that are drawn."""
    objects: tuple[str, ...]
    """Names of the nodes that carry meshes."""
    shapes: tuple[str, ...]
    """Blend shapes of all parts, each once."""
    joints: tuple[str, ...]
    clips: tuple[Clip, ...]
    vertices: int


def read_model(member: Member | Path) -> ModelFacts:
    """The facts of a GLB file; CaptureError when it is damaged, hostile or of another kind."""
    if isinstance(member, Path):
        member = Member(member.name, member.stat().st_size, member)
    try:
        document, binary = document_of(member)
        check_structure(document, binary)
        return _facts(document)
    except RecursionError as problem:
        raise _refused(member, "it is nested too deep") from problem
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, struct.error) as problem:
        raise _refused(member, str(problem.args[0]) if type(problem) is ValueError else "") from problem


def _refused(member: Member, why: str) -> CaptureError:
    said = f": {why}" if why else ""
    return CaptureError(f"{member.name} is damaged or no model that can be used{said}.", "Export it again.")


def document_of(member: Member) -> tuple[dict[str, Any], int]:
    """The JSON of a GLB, and how many bytes its binary chunk has; ValueError where it is none."""
    if member.size > MAX_GLB_BYTES:
        raise ValueError(f"it has {member.size} bytes")
    with member.open() as stream:
        head = stream.read(20)
        if head[:4] != b"glTF":
            raise ValueError("it is not binary glTF")
        version, total, length = struct.unpack_from("<III", head, 4)
        if version != 2:
            raise ValueError(f"it is version {version} of glTF, not 2")
        if total != member.size or head[16:20] != _JSON or length > total - 20:
            raise ValueError("it was cut off")
        if length > MAX_GLB_JSON_BYTES:
            raise ValueError(f"its description has {length} bytes")
        text = stream.read(length)
        following = stream.read(8)
    document = json.loads(text)
    if not isinstance(document, dict):
        raise TypeError
    if not following:
        return document, 0
    size, kind = struct.unpack("<I4s", following)
    if kind != _BIN or size > total - 28 - length:
        raise ValueError("its data leaves the file")
    return document, size


def _facts(document: dict[str, Any]) -> ModelFacts:
    materials = [str(m.get("name", "")) for m in document.get("materials", ())]
    meshes, nodes = document.get("meshes", []), document.get("nodes", [])
    drawn = [node for node in nodes if "mesh" in node]
    used = [
        materials[primitive["material"]]
        for node in drawn
        for primitive in meshes[node["mesh"]]["primitives"]
        if "material" in primitive
    ]
    shapes = [str(name) for mesh in meshes for name in (mesh.get("extras") or {}).get("targetNames", ())]
    joints = [str(nodes[j].get("name", "")) for skin in document.get("skins", ()) for j in skin["joints"]]
    positions = {p["attributes"]["POSITION"] for mesh in meshes for p in mesh["primitives"]}
    return ModelFacts(
        materials=tuple(dict.fromkeys(used)),
        objects=tuple(dict.fromkeys(str(node.get("name", "")) for node in drawn)),
        shapes=tuple(dict.fromkeys(shapes)),
        joints=tuple(dict.fromkeys(joints)),
        clips=tuple(_clip(document, n) for n in range(len(document.get("animations", ())))),
        vertices=sum(document["accessors"][index]["count"] for index in positions),
    )


def _clip(document: dict[str, Any], number: int) -> Clip:
    animation = document["animations"][number]
    inputs = [document["accessors"][sampler["input"]] for sampler in animation["samplers"]]
    paths = {str(channel["target"].get("path")) for channel in animation["channels"]}
    longest = max(inputs, key=lambda times: times["count"])
    span = _time(longest, "max") - _time(longest, "min")
    return Clip(
        name=str(animation.get("name", f"Animation {number}")),
        seconds=max(_time(times, "max") for times in inputs),
        rate=(longest["count"] - 1) / span if span > 0.0 else 0.0,
        shapes="weights" in paths,
        bones=bool(paths & {"translation", "rotation", "scale"}),
    )


def _time(accessor: dict[str, Any], bound: str) -> float:
    """Seconds; glTF wants these bounds on every list of key times."""
    seconds = float(accessor[bound][0])
    if not 0.0 <= seconds < 48 * 3600.0:
        raise ValueError(f"a clip has a key at {seconds:g} s")
    return seconds
