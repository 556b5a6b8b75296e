# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians in binary glTF with KHR_gaussian_splatting, as ratified by Khronos in 2026.

Specification: KhronosGroup/glTF, extensions/2.0/Khronos/KHR_gaussian_splatting. A primitive of points with
POSITION, KHR_gaussian_splatting:ROTATION (x y z w, unit), :SCALE (standard deviations, not negative),
:OPACITY (0..1) and :SH_DEGREE_l_COEF_n (the coefficients of 3DGS, in its order and with its signs), and
COLOR_0 (linear) for programs that draw points. Drafts before April 2026, and files made after them, hold
the logarithm of the scale: a file with a negative one is read as such. Also read is the compression by SPZ
of drafts (KHR_gaussian_splatting_compression_spz_2). Units and axes are those of the head: metres, y up,
the face looks to +z.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from ... import rotation
from ...errors import CaptureError, SplatError
from ...files import atomic_path
from ..gaussians import SH_C0, Gaussians
from .axes import moved
from .glb_arrays import GlbArrays
from .spz import decoded

Array = np.ndarray

NAME = "KHR_gaussian_splatting"
COMPRESSED = "KHR_gaussian_splatting_compression_spz_2"
LARGEST_FILE = 2 << 30
MOST_GAUSSIANS = 10_000_000
_FLOAT, _BYTE, _VERTICES, _POINTS = 5126, 5121, 34962, 0
_DAMAGE = (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, struct.error)
"""What a description raises that is not what it should be."""
_LEAST = 1e-7
"""Opacity next to 0 and 1 that is told apart from them."""
_SMALLEST = 1e-12
"""Standard deviation in metres that stands for none."""


def write_gltf(path: Path, gaussians: Gaussians, name: str = "Gaussians") -> None:
    """Write Gaussians in the frame of the head as .glb, atomically."""
    if not len(gaussians):
        raise SplatError("There are no Gaussians to write.")
    document, chunks = _document(_attributes(gaussians), name)
    text = json.dumps(document, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    size = sum(len(chunk) for chunk in chunks)
    try:
        with atomic_path(path) as beside, beside.open("wb") as stream:
            stream.write(struct.pack("<4sIIII", b"glTF", 2, 28 + len(text) + size, len(text), 0x4E4F534A))
            stream.write(text + struct.pack("<I4s", size, b"BIN\0"))
            stream.writelines(chunks)
    except OSError as problem:
        raise SplatError(f"{path} cannot be written: {problem.strerror or problem}.") from problem


def _attributes(gaussians: Gaussians) -> dict[str, Array]:
    """The arrays of the primitive, (n, parts), by attribute."""
    drawn = gaussians.activated()
    colour = np.clip(0.5 + SH_C0 * gaussians.sh[:, 0], 0, 1)
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    fallback = np.column_stack([linear, drawn.opacities])
    found: dict[str, Array] = {
        "POSITION": gaussians.means,
        "COLOR_0": np.rint(255 * fallback).astype(np.uint8),
        f"{NAME}:ROTATION": rotation.normalized(gaussians.rotations)[:, [1, 2, 3, 0]].astype("<f4"),
        f"{NAME}:SCALE": drawn.scales.astype("<f4"),
        f"{NAME}:OPACITY": drawn.opacities[:, None].astype("<f4"),
    }
    return found | {key: gaussians.sh[:, n] for n, key in enumerate(_coefficients(gaussians.degree))}


def _coefficients(degree: int) -> list[str]:
    return [f"{NAME}:SH_DEGREE_{level}_COEF_{n}" for level in range(degree + 1) for n in range(2 * level + 1)]


def _document(attributes: dict[str, Array], name: str) -> tuple[dict[str, Any], list[bytes]]:
    """The description and the data, one view per attribute."""
    chunks = [np.ascontiguousarray(values).tobytes() for values in attributes.values()]
    views, accessors, start = [], [], 0
    for number, (key, values) in enumerate(attributes.items()):
        views.append(
            {"buffer": 0, "byteOffset": start, "byteLength": len(chunks[number]), "target": _VERTICES}
        )
        start += len(chunks[number])
        kind = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}[values.shape[1]]
        accessor: dict[str, Any] = {"bufferView": number, "count": len(values), "type": kind}
        accessor |= (
            {"componentType": _BYTE, "normalized": True}
            if values.dtype == np.uint8
            else {"componentType": _FLOAT}
        )
        if key == "POSITION":
            accessor |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        accessors.append(accessor)
    primitive = {
        "mode": _POINTS,
        "attributes": {key: number for number, key in enumerate(attributes)},
        "extensions": {NAME: {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}},
    }
    document = {
        "asset": {"version": "2.0", "generator": "Likeness"},
        "extensionsUsed": [NAME],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": name, "mesh": 0}],
        "meshes": [{"name": name, "primitives": [primitive]}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": start}],
    }
    return document, chunks


def read_gltf(path: Path) -> Gaussians:
    """All Gaussians that the scene of a .glb shows, at their places, in the frame of the head; SplatError in
    one sentence for another file.
    """
    try:
        glb = GlbArrays(path, LARGEST_FILE)
        found: list[Gaussians] = []
        for mesh, matrix in glb.placed():
            for primitive in mesh["primitives"]:
                if NAME in primitive.get("extensions", {}):
                    found.append(moved(_primitive(glb, primitive), matrix))
                    if sum(map(len, found)) > MOST_GAUSSIANS:
                        raise ValueError(f"it has more than {MOST_GAUSSIANS} Gaussians")
        if not found:
            raise ValueError(f"it has no points with {NAME}")
        return joined(found)
    except RecursionError:
        raise _refused(path, "it is nested too deep") from None
    except (SplatError, CaptureError) as problem:
        if path.name in problem.message:
            raise
        raise _refused(path, problem.message.rstrip(".")) from None
    except OSError as problem:
        raise SplatError(f"{path} cannot be read: {problem.strerror or problem}.") from problem
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        OverflowError,
        struct.error,
    ) as problem:
        why = str(problem.args[0]) if type(problem) is ValueError else "its description is damaged"
        raise _refused(path, why) from None


def _refused(path: Path, why: str) -> SplatError:
    return SplatError(f"{path.name} holds no Gaussians that can be used: {why}.")


def _primitive(glb: GlbArrays, primitive: dict[str, Any]) -> Gaussians:
    """The Gaussians of one primitive in the axes of its node."""
    extension = primitive["extensions"][NAME]
    if extension.get("kernel", "ellipse") != "ellipse":
        raise ValueError(f"its Gaussians have the kernel {str(extension['kernel'])[:40]!r}")
    if str(extension.get("colorSpace", "")).startswith("lin"):
        raise ValueError("its colours are linear")
    inner = extension.get("extensions", {})
    if COMPRESSED in inner:
        return decoded(glb.view(inner[COMPRESSED]["bufferView"]))
    if inner:
        raise ValueError(f"it needs the extension {str(next(iter(inner)))[:60]!r}")
    attributes = primitive["attributes"]

    def numbers(key: str, parts: int, count: int | None = None) -> Array:
        if key not in attributes:
            raise ValueError(f"it has no attribute {key!r}")
        values = glb.numbers(attributes[key])
        if values.shape[1] != parts or count not in (None, len(values)):
            raise ValueError(f"its attribute {key!r} has another form than the rest")
        return values

    means = numbers("POSITION", 3)
    count = len(means)
    degree = max(
        level for level in range(4) if level == 0 or f"{NAME}:SH_DEGREE_{level}_COEF_0" in attributes
    )
    sh = np.stack([numbers(key, 3, count) for key in _coefficients(degree)], axis=1)
    scales = numbers(f"{NAME}:SCALE", 3, count)
    opacity = np.clip(numbers(f"{NAME}:OPACITY", 1, count)[:, 0], _LEAST, 1 - _LEAST)
    return Gaussians(
        means,
        scales if scales.min() < 0 else np.log(np.maximum(scales, _SMALLEST)),
        numbers(f"{NAME}:ROTATION", 4, count)[:, [3, 0, 1, 2]],
        np.log(opacity / (1 - opacity)),
        sh,
    )


def joined(parts: list[Gaussians]) -> Gaussians:
    """Several sets as one, of the highest degree among them."""
    degree = max(part.degree for part in parts)
    missing = [(degree + 1) ** 2 - part.sh.shape[1] for part in parts]
    sh = [np.pad(part.sh, ((0, 0), (0, more), (0, 0))) for part, more in zip(parts, missing, strict=True)]

    def of_all(name: str) -> Array:
        return np.concatenate([getattr(part, name) for part in parts])

    return Gaussians(
        of_all("means"),
        of_all("log_scales"),
        of_all("rotations"),
        of_all("opacity_logits"),
        np.concatenate(sh),
    )
