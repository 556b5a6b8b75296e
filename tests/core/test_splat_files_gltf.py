# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians in glTF: what the ratified extension says is in the file, drafts and scenes are read, bad files
refused.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from splat_file_samples import gaussians, never_another_error, refused, same

from core import rotation
from core.capture.glb import read_model
from core.errors import SplatError
from core.splat.files.axes import moved
from core.splat.files.gltf import joined, read_gltf, write_gltf
from core.splat.files.spz import read_spz, write_spz

EXT = "KHR_gaussian_splatting"


def opened(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    magic, version, total, length, kind = struct.unpack_from("<4sIIII", data)
    assert (magic, version, total, kind) == (b"glTF", 2, len(data), 0x4E4F534A)
    size, name = struct.unpack_from("<I4s", data, 20 + length)
    assert name == b"BIN\0" and size == len(data) - 28 - length and length % 4 == size % 4 == 0
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def packed(path: Path, document: Any, binary: bytes) -> None:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4sIIII", b"glTF", 2, 28 + len(text) + len(binary), len(text), 0x4E4F534A)
    path.write_bytes(head + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_what_is_written_is_read(tmp_path, degree):
    given = gaussians(40, degree)
    write_gltf(tmp_path / "a.glb", given)
    same(read_gltf(tmp_path / "a.glb"), given, 1e-3)
    read = read_gltf(tmp_path / "a.glb")
    assert np.array_equal(read.means, given.means) and np.array_equal(read.sh, given.sh)
    assert np.allclose(read.log_scales, given.log_scales, atol=1e-6)
    assert np.allclose(read.activated().opacities, given.activated().opacities, atol=1e-6)


def test_the_file_is_as_the_extension_says(tmp_path):
    given = gaussians(9, 1)
    write_gltf(tmp_path / "a.glb", given)
    document, binary = opened(tmp_path / "a.glb")
    assert document["extensionsUsed"] == [EXT] and "extensionsRequired" not in document
    primitive = document["meshes"][0]["primitives"][0]
    assert primitive["mode"] == 0
    assert primitive["extensions"][EXT] == {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}

    def values(key: str) -> np.ndarray:
        accessor = document["accessors"][primitive["attributes"][key]]
        view = document["bufferViews"][accessor["bufferView"]]
        assert view["byteOffset"] % 4 == 0 and accessor["count"] == 9
        kind = {5126: "<f4", 5121: "u1"}[accessor["componentType"]]
        parts = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]]
        return np.frombuffer(binary, kind, 9 * parts, view["byteOffset"]).reshape(9, parts)

    drawn = given.activated()
    assert np.allclose(values(f"{EXT}:SCALE"), np.exp(given.log_scales), rtol=1e-6)
    assert np.allclose(values(f"{EXT}:OPACITY")[:, 0], drawn.opacities)
    assert np.allclose(values(f"{EXT}:ROTATION"), drawn.rotations[:, [1, 2, 3, 0]], atol=1e-6)
    assert np.array_equal(values(f"{EXT}:SH_DEGREE_1_COEF_2"), given.sh[:, 3])
    grey = 0.5 + 0.28209479177387814 * given.sh[:, 0]
    linear = np.clip(grey, 0, 1) ** 2.2
    assert np.abs(values("COLOR_0")[:, :3] / 255 - linear).max() < 0.02
    assert np.abs(values("COLOR_0")[:, 3] / 255 - drawn.opacities).max() < 0.003
    position = document["accessors"][primitive["attributes"]["POSITION"]]
    assert (
        np.allclose(position["min"], given.means.min(axis=0)) and read_model(tmp_path / "a.glb").vertices == 9
    )


def test_drafts_with_logarithms_are_read(tmp_path):
    given = gaussians(9, 0)
    write_gltf(tmp_path / "a.glb", given)
    document, binary = opened(tmp_path / "a.glb")
    place = document["meshes"][0]["primitives"][0]["attributes"][f"{EXT}:SCALE"]
    start = document["bufferViews"][place]["byteOffset"]
    logs = given.log_scales.astype("<f4").tobytes()
    packed(tmp_path / "b.glb", document, binary[:start] + logs + binary[start + len(logs) :])
    same(read_gltf(tmp_path / "b.glb"), given, 1e-3)


def test_quantised_and_interleaved_numbers_are_read(tmp_path):
    given = gaussians(8, 0)
    turns = rotation.normalized(given.rotations)[:, [1, 2, 3, 0]]
    rows = np.zeros(8, [("p", "<f4", 3), ("r", "<i2", 4), ("s", "u1", 3), ("o", "u1"), ("c", "<f4", 3)])
    rows["p"], rows["r"] = given.means, np.rint(turns * 32767)
    rows["s"], rows["o"] = 1 + np.arange(24).reshape(8, 3), np.rint(given.activated().opacities * 255)
    rows["c"] = given.sh[:, 0]
    names = ["POSITION", f"{EXT}:ROTATION", f"{EXT}:SCALE", f"{EXT}:OPACITY", f"{EXT}:SH_DEGREE_0_COEF_0"]
    kinds = [(5126, "VEC3"), (5122, "VEC4"), (5121, "VEC3"), (5121, "SCALAR"), (5126, "VEC3")]
    write_gltf(tmp_path / "a.glb", given)
    document, _ = opened(tmp_path / "a.glb")
    document["bufferViews"] = [{"buffer": 0, "byteLength": rows.nbytes, "byteStride": rows.itemsize}]
    document["buffers"] = [{"byteLength": rows.nbytes}]
    document["accessors"] = [
        {
            "bufferView": 0,
            "byteOffset": rows.dtype.fields[key][1],
            "count": 8,
            "componentType": kind,
            "type": form,
            "normalized": kind != 5126,
        }
        for key, (kind, form) in zip("prsoc", kinds, strict=True)
    ]
    document["meshes"][0]["primitives"][0]["attributes"] = {name: n for n, name in enumerate(names)}
    packed(tmp_path / "b.glb", document, rows.tobytes())
    read = read_gltf(tmp_path / "b.glb")
    assert np.allclose(np.exp(read.log_scales), rows["s"] / 255, rtol=1e-5)
    assert np.abs(read.activated().opacities - given.activated().opacities).max() < 0.003
    turned_back = np.abs((rotation.normalized(read.rotations)[:, [1, 2, 3, 0]] * turns).sum(axis=1))
    assert turned_back.min() > 1 - 1e-7 and np.array_equal(read.sh, given.sh)


def test_scenes_place_their_gaussians(tmp_path):
    """Two nodes show one mesh, one of them below another; a matrix and a rotation, scale and translation."""
    given = gaussians(6, 2)
    write_gltf(tmp_path / "a.glb", given)
    document, binary = opened(tmp_path / "a.glb")
    half = float(np.sqrt(0.5))
    matrix = np.eye(4)
    matrix[:3, 3] = 1, 2, 3
    document["nodes"] = [
        {"mesh": 0},
        {"translation": [0, 1, 0], "rotation": [half, 0, 0, half], "scale": [2, 2, 2], "children": [2]},
        {"mesh": 0, "matrix": matrix.T.ravel().tolist()},
    ]
    document["scenes"] = [{"nodes": [0, 1]}]
    packed(tmp_path / "b.glb", document, binary)
    above = np.eye(4)
    above[:3] = [[2, 0, 0, 0], [0, 0, -2, 1], [0, 2, 0, 0]]
    same(read_gltf(tmp_path / "b.glb"), joined([given, moved(given, above @ matrix)]), 1e-3)
    del document["scenes"], document["scene"]
    packed(tmp_path / "b.glb", document, binary)
    assert len(read_gltf(tmp_path / "b.glb")) == 12


def test_the_compression_of_drafts_is_read(tmp_path):
    given = gaussians(6, 1)
    write_spz(tmp_path / "a.spz", given, 2)
    write_gltf(tmp_path / "a.glb", given)
    document, _ = opened(tmp_path / "a.glb")
    inner = (tmp_path / "a.spz").read_bytes()
    document["bufferViews"] = [{"buffer": 0, "byteLength": len(inner)}]
    document["buffers"] = [{"byteLength": len(inner)}]
    for accessor in document["accessors"]:
        del accessor["bufferView"]
    extension = document["meshes"][0]["primitives"][0]["extensions"][EXT]
    extension["extensions"] = {"KHR_gaussian_splatting_compression_spz_2": {"bufferView": 0}}
    packed(tmp_path / "b.glb", document, inner + bytes(-len(inner) % 4))
    same(read_gltf(tmp_path / "b.glb"), read_spz(tmp_path / "a.spz"), 1e-6)


def changes() -> dict[str, tuple[Callable[[dict[str, Any]], Any], str]]:
    def primitive(document: dict[str, Any]) -> dict[str, Any]:
        return document["meshes"][0]["primitives"][0]

    def attributes(document: dict[str, Any]) -> dict[str, Any]:
        return primitive(document)["attributes"]

    def extension(document: dict[str, Any]) -> dict[str, Any]:
        return primitive(document)["extensions"][EXT]

    return {
        "no extension": (lambda d: primitive(d).pop("extensions"), "no points"),
        "kernel": (lambda d: extension(d).update(kernel="cube"), "kernel 'cube'"),
        "linear": (lambda d: extension(d).update(colorSpace="lin_rec709_display"), "linear"),
        "further": (lambda d: extension(d).update(extensions={"X": {}}), "extension 'X'"),
        "no scale": (lambda d: attributes(d).pop(f"{EXT}:SCALE"), "SCALE"),
        "partial": (lambda d: attributes(d).pop(f"{EXT}:SH_DEGREE_1_COEF_1"), "COEF_1"),
        "no base": (lambda d: attributes(d).pop(f"{EXT}:SH_DEGREE_0_COEF_0"), "COEF_0"),
        "form": (lambda d: attributes(d).update({f"{EXT}:ROTATION": 0}), "another form"),
        "count": (lambda d: d["accessors"][2].update(count=3), "another form"),
        "huge": (lambda d: d["accessors"][2].update(count=2**40), "memory"),
        "outside": (lambda d: d["accessors"][2].update(byteOffset=2**33), "leaves"),
        "index": (lambda d: attributes(d).update(POSITION=99), "not there"),
        "sparse": (
            lambda d: d["accessors"][0].update(
                sparse={"count": 1, "indices": {"bufferView": 0}, "values": {"bufferView": 0}}
            ),
            "sparse",
        ),
        "empty": (lambda d: d["accessors"][0].pop("bufferView"), "sparse or empty"),
        "stride": (lambda d: d["bufferViews"][0].update(byteStride=4), "overlaps"),
        "type": (lambda d: d["accessors"][0].update(componentType=1), "damaged"),
        "uri": (lambda d: d["buffers"][0].update(uri="../secret"), "other files"),
        "flat": (lambda d: d["nodes"][0].update(scale=[1, 1, 0]), "mirrored or flattened"),
        "mirror": (lambda d: d["nodes"][0].update(scale=[1, 1, -1]), "mirrored"),
        "transform": (lambda d: d["nodes"][0].update(rotation=[1, 2]), "transform"),
        "words": (lambda d: d["nodes"][0].update(rotation="wxyz"), "could not convert"),
        "scene": (lambda d: d.update(scene=7), "not there"),
        "loop": (lambda d: d["nodes"][0].update(children=[0]), "loop"),
        "mesh": (lambda d: d.update(meshes={"primitives": 1}), "meshes"),
    }


@pytest.mark.parametrize("change", changes())
def test_what_cannot_be_used_is_refused(tmp_path, change):
    write_gltf(tmp_path / "a.glb", gaussians(5, 1))
    document, binary = opened(tmp_path / "a.glb")
    alter, match = changes()[change]
    alter(document)
    packed(tmp_path / "b.glb", document, binary)
    refused(read_gltf, tmp_path / "b.glb", match)


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "bad.glb"
    refused(read_gltf, path, "missing")
    write_gltf(tmp_path / "a.glb", gaussians(5, 1))
    document, binary = opened(tmp_path / "a.glb")
    good = (tmp_path / "a.glb").read_bytes()
    for data in (b"", b"glTF", good[:-4], b"glTF" + bytes(200), good[:30] + b"[" * 60 + good[90:]):
        path.write_bytes(data)
        refused(read_gltf, path)
    values = np.frombuffer(binary, "<f4").copy()
    values[0] = np.nan
    packed(path, document, values.tobytes())
    refused(read_gltf, path, "finite")
    packed(path, [], binary)
    refused(read_gltf, path)
    with pytest.raises(SplatError, match="no Gaussians"):
        write_gltf(path, type(gaussians(1)).empty())


def test_many_nodes_cannot_multiply_a_mesh(tmp_path):
    write_gltf(tmp_path / "a.glb", gaussians(3, 0))
    document, binary = opened(tmp_path / "a.glb")
    document["nodes"] = [{"name": "n"} for _ in range(5)]
    document["scenes"] = [{"nodes": [0, 1, 2, 3, 4] * 5_000}]
    packed(tmp_path / "b.glb", document, binary)
    refused(read_gltf, tmp_path / "b.glb", "too many nodes")


def test_damage_never_ends_in_another_error(tmp_path):
    write_gltf(tmp_path / "a.glb", gaussians(2, 0))
    data = (tmp_path / "a.glb").read_bytes()
    never_another_error(read_gltf, tmp_path / "bad.glb", data, range(0, len(data), 61))
