# SPDX-License-Identifier: GPL-3.0-or-later
"""A small Leap result, made by hand: a skinned, animated GLB with blend shapes, laid out as the app does it.

Needs numpy only and imports nothing of the project, as the tests in Blender load it by its path.
"""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

JOINTS = (
    # name, parent, place relative to the parent in metres
    ("Hips", -1, (0.0, 1.0, 0.0)),
    ("Spine", 0, (0.0, 0.25, 0.0)),
    ("Neck", 1, (0.0, 0.25, 0.0)),
    ("Head", 2, (0.0, 0.10, 0.0)),
    ("LeftEye", 3, (0.03, 0.06, 0.08)),
    ("RightEye", 3, (-0.03, 0.06, 0.08)),
    ("HeadTop_End", 3, (0.0, 0.2, 0.0)),
    ("LeftArm", 1, (0.18, 0.2, 0.0)),
    ("LeftForeArm", 7, (0.28, 0.0, 0.0)),
    ("RightArm", 1, (-0.18, 0.2, 0.0)),
    ("RightForeArm", 9, (-0.28, 0.0, 0.0)),
)
NAMES = tuple(name for name, _parent, _place in JOINTS)
SHAPES = ("jawOpen", "mouthSmileLeft")
RATE, KEYS = 60.0, 31
"""The clip: half a second and one key."""


class Glb:
    """Collects buffers and writes a binary glTF file."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = {"asset": {"version": "2.0"}, "accessors": [], "bufferViews": []}
        self.data = b""

    def view(self, data: bytes) -> int:
        """Index of a new buffer view."""
        self.data += b"\0" * (-len(self.data) % 4)
        self.document["bufferViews"].append(
            {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        )
        self.data += data
        return len(self.document["bufferViews"]) - 1

    def accessor(self, values: np.ndarray, bounds: bool = False) -> int:
        """Index of a new list of numbers: float32, uint16 or uint8; (n,) or (n, parts)."""
        component = {"f4": 5126, "u2": 5123, "u1": 5121}[values.dtype.str[1:]]
        parts = 1 if values.ndim == 1 else values.shape[1]
        kind = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 2: "VEC2", 16: "MAT4"}[parts]
        entry: dict[str, Any] = {"componentType": component, "count": len(values), "type": kind}
        entry["bufferView"] = self.view(np.ascontiguousarray(values).tobytes())
        if bounds:
            rows = values.reshape(len(values), parts)
            entry |= {"min": rows.min(axis=0).tolist(), "max": rows.max(axis=0).tolist()}
        self.document["accessors"].append(entry)
        return len(self.document["accessors"]) - 1

    def bytes(self) -> bytes:
        """The file."""
        data = self.data + b"\0" * (-len(self.data) % 4)
        self.document["buffers"] = [{"byteLength": len(data)}]
        text = json.dumps(self.document).encode()
        text += b" " * (-len(text) % 4)
        size = 28 + len(text) + len(data)
        return (
            struct.pack("<4sIII4s", b"glTF", 2, size, len(text), b"JSON")
            + text
            + struct.pack("<I4s", len(data), b"BIN\0")
            + data
        )


def model_bytes(
    eyes: bool = False,
    lashes: bool = False,
    clips: int = 1,
    moving: bool = True,
    material: str = "AvatarHead",
) -> bytes:
    """A GLB with the parts of Leap's model.

    `eyes`: eyeballs of their own. `lashes`: a second mesh with a blend shape, which no clip names.
    `clips`: 1 for one with everything, 2 for shapes and bones apart. `moving`: whether there are any.
    """
    glb = Glb()
    document = glb.document
    picture = glb.view(png((200, 120, 90, 255)))
    document["images"] = [{"bufferView": picture, "mimeType": "image/png"}]
    document["textures"] = [{"source": 0}]
    names = [material, "AvatarBody"]
    names += ["AvatarLeftEyeball", "AvatarRightEyeball"] if eyes else []
    names += ["AvatarEyelashes"] if lashes else []
    document["materials"] = [
        {"name": name, "pbrMetallicRoughness": {"baseColorTexture": {"index": 0}, "metallicFactor": 0}}
        for name in names
    ]
    document["nodes"] = [{"name": "AvatarRoot", "children": [1]}]
    for number, (name, _parent, place) in enumerate(JOINTS):
        children = [1 + i for i, joint in enumerate(JOINTS) if joint[1] == number]
        node: dict[str, Any] = {"name": name, "translation": list(place)}
        document["nodes"].append(node | ({"children": children} if children else {}))
    inverse = np.tile(np.eye(4, dtype=np.float32), (len(JOINTS), 1, 1))
    inverse[:, 3, :3] = -_heads()  # column-major
    document["skins"] = [
        {
            "joints": list(range(1, 1 + len(JOINTS))),
            "inverseBindMatrices": glb.accessor(inverse.reshape(-1, 16)),
        }
    ]
    document["meshes"] = []
    heads = dict(zip(NAMES, _heads(), strict=True))
    _mesh(glb, 0, heads["Head"] + (0.0, 0.08, 0.1), (0.2, 0.25), "Head", SHAPES, "AvatarHead")
    _mesh(glb, 1, heads["Spine"], (0.4, 0.5), "Spine", (), "AvatarBody")
    for side in ("Left", "Right") if eyes else ():
        centre, number = heads[f"{side}Eye"], names.index(f"Avatar{side}Eyeball")
        _mesh(glb, number, centre, (0.02, 0.02), f"{side}Eye", (), f"Avatar{side}Eyeball")
    if lashes:
        at = heads["Head"] + (0.0, 0.1, 0.11)
        _mesh(glb, len(names) - 1, at, (0.1, 0.01), "Head", SHAPES[:1], "AvatarEyelashes")
    document["scenes"], document["scene"] = [{"nodes": [0]}], 0
    if moving:
        document["animations"] = _animations(glb, clips)
    return glb.bytes()


def _heads() -> np.ndarray:
    """(J, 3) joints in the model's space."""
    places: list[np.ndarray] = []
    for _name, parent, place in JOINTS:
        places.append(np.array(place) + (places[parent] if parent >= 0 else 0.0))
    return np.array(places, np.float32)


def _mesh(
    glb: Glb, material: int, centre: Any, size: tuple[float, float], joint: str, shapes: tuple, name: str
) -> None:
    """A grid that faces forwards and hangs on one joint, with a node under the root."""
    side = np.linspace(-0.5, 0.5, 5)
    x, y = (axis.ravel() for axis in np.meshgrid(side, side))
    points = np.stack([x * size[0], y * size[1], 0.0 * x], axis=1) + np.asarray(centre)
    corner = np.array([row * 5 + column for row in range(4) for column in range(4)])
    quads = np.stack([corner, corner + 1, corner + 6, corner, corner + 6, corner + 5], axis=1)
    joints = np.zeros((25, 4), np.uint8)
    joints[:, 0] = NAMES.index(joint)
    weights = np.tile(np.array([1, 0, 0, 0], np.float32), (25, 1))
    jaw, smile = np.zeros((2, 25, 3), np.float32)
    jaw[:10, 1], smile[:5, 0] = -0.03, 0.02
    primitive = {
        "attributes": {
            "POSITION": glb.accessor(points.astype(np.float32), bounds=True),
            "NORMAL": glb.accessor(np.tile(np.array([0, 0, 1], np.float32), (25, 1))),
            "TEXCOORD_0": glb.accessor(np.stack([x + 0.5, 0.5 - y], axis=1).astype(np.float32)),
            "JOINTS_0": glb.accessor(joints),
            "WEIGHTS_0": glb.accessor(weights),
        },
        "indices": glb.accessor(quads.ravel().astype(np.uint16)),
        "material": material,
    }
    mesh: dict[str, Any] = {"primitives": [primitive]}
    if shapes:
        offsets = (jaw, smile)[: len(shapes)]
        primitive["targets"] = [{"POSITION": glb.accessor(offset, bounds=True)} for offset in offsets]
        mesh |= {"weights": [0.0] * len(shapes), "extras": {"targetNames": list(shapes)}}
    glb.document["meshes"].append(mesh)
    nodes = glb.document["nodes"]
    nodes.append({"name": name, "mesh": len(glb.document["meshes"]) - 1, "skin": 0})
    nodes[0]["children"].append(len(nodes) - 1)


def clip_times() -> np.ndarray:
    """(KEYS,) seconds."""
    return np.arange(KEYS, dtype=np.float32) / np.float32(RATE)


def clip_weights() -> np.ndarray:
    """(KEYS, 2) the weights of SHAPES: the jaw opens steadily, the smile closes."""
    ramp = np.linspace(0.0, 1.0, KEYS, dtype=np.float32)
    return np.stack([ramp, 0.5 * (1.0 - ramp)], axis=1)


def clip_turn() -> np.ndarray:
    """(KEYS,) radians by which the head turns to its left."""
    return np.linspace(0.0, 0.4, KEYS)


def _animations(glb: Glb, clips: int) -> list[dict[str, Any]]:
    times = glb.accessor(clip_times(), bounds=True)
    half = clip_turn() / 2
    turns = np.stack([0 * half, np.sin(half), 0 * half, np.cos(half)], axis=1).astype(np.float32)
    head = next(i for i, node in enumerate(glb.document["nodes"]) if node.get("name") == "AvatarHead")
    samplers = [
        {"input": times, "output": glb.accessor(clip_weights().ravel()), "interpolation": "LINEAR"},
        {"input": times, "output": glb.accessor(turns), "interpolation": "LINEAR"},
    ]
    targets = [
        {"node": head, "path": "weights"},
        {"node": 1 + NAMES.index("Head"), "path": "rotation"},
    ]
    if clips == 1:
        channels = [{"sampler": n, "target": target} for n, target in enumerate(targets)]
        return [{"name": "ARKit animation", "samplers": samplers, "channels": channels}]
    return [
        {"name": name, "samplers": [sampler], "channels": [{"sampler": 0, "target": target}]}
        for name, sampler, target in zip(("Face", "Bones"), samplers, targets, strict=True)
    ]


def png(colour: tuple[int, int, int, int], left: tuple[int, int, int, int] | None = None) -> bytes:
    """An 8 x 8 RGBA picture of one colour, its left half of another where that is given."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + bytes(left or colour) * 4 + bytes(colour) * 4
    header = struct.pack(">IIBBBBB", 8, 8, 8, 6, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * 8)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


SCALP = ((255, 255, 255, 0), (200, 40, 40, 128))
"""The right half of the scalp picture lets the movie through; of the left, half."""


def write_result(folder: Path, textures: bytes | None = None, cloud: bool = False, **model: Any) -> Path:
    """An avatar's folder as Leap lays it out; returns it."""
    export = folder / "export" / "avatar"
    export.mkdir(parents=True)
    (export / "model.glb").write_bytes(model_bytes(**model))
    (export / "scalp.png").write_bytes(png(*SCALP))
    if textures is not None:
        (folder / "data").mkdir()
        (folder / "data" / "textures.mp4").write_bytes(textures)
    if cloud:
        (folder / "cloud_export").mkdir()
        (folder / "cloud_export" / "model.glb").write_bytes(
            model_bytes(**{**model, "moving": False, "eyes": True})
        )
    return folder


def with_clip(model: bytes) -> bytes:
    """A MetaPerson model, which has no clip, with one as Leap embeds it: blend shapes and the head's turn.

    The clip plays SHAPES of the part AvatarHead over KEYS keys; all its other shapes stay at rest.
    """
    (length,) = struct.unpack_from("<I", model, 12)
    glb = Glb()
    glb.document = json.loads(model[20 : 20 + length])
    glb.data = model[28 + length :]
    nodes = glb.document["nodes"]
    head = next(n for n, node in enumerate(nodes) if node.get("name") == "AvatarHead")
    bone = next(n for n, node in enumerate(nodes) if node.get("name") == "Head")
    names = glb.document["meshes"][nodes[head]["mesh"]]["extras"]["targetNames"]
    weights = np.zeros((KEYS, len(names)), np.float32)
    weights[:, [names.index(name) for name in SHAPES]] = clip_weights()
    half = clip_turn() / 2
    turns = np.stack([0 * half, np.sin(half), 0 * half, np.cos(half)], axis=1).astype(np.float32)
    times = glb.accessor(clip_times(), bounds=True)
    glb.document["animations"] = [
        {
            "name": "ARKit animation",
            "samplers": [
                {"input": times, "output": glb.accessor(weights.ravel())},
                {"input": times, "output": glb.accessor(turns)},
            ],
            "channels": [
                {"sampler": 0, "target": {"node": head, "path": "weights"}},
                {"sampler": 1, "target": {"node": bone, "path": "rotation"}},
            ],
        }
    ]
    return glb.bytes()
