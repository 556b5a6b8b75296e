# SPDX-License-Identifier: GPL-3.0-or-later
"""The animation on a mesh as CAP4D's viewer reads it, held against a reader that follows the format page word
by word.
"""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from splat_file_samples import animated, covariances, gaussians, never_another_error, refused, same, table

from core.errors import SplatError
from core.splat.files.animated_ply import AnimatedSplats, read_animated_ply, write_animated_ply
from core.splat.files.axes import HALF_TURN, turned
from core.splat.files.ply import read_ply, write_ply

SIZES = {"uint": ("I", 4), "float": ("f", 4), "uchar": ("B", 1), "ushort": ("H", 2)}
FORMS = ["float", "uint8", "uint16"]


class PageReader:
    """A reader of its own: formats-cap4d 1.8 in plain Python, in the axes of the file."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        head = data[: data.index(b"end_header\n")].decode().splitlines()
        assert head[:2] == ["ply", "format binary_little_endian 1.0"]
        self.order: list[str] = []
        self.rows: dict[str, list[dict[str, float]]] = {}
        self.types: dict[str, dict[str, str]] = {}
        at, element = data.index(b"end_header\n") + 11, ""
        counts: dict[str, int] = {}
        for line in head[2:]:
            word = line.split()
            if word[0] == "element":
                element = word[1]
                self.order.append(element)
                counts[element], self.types[element] = int(word[2]), {}
            else:
                assert word[0] == "property" and len(word) == 3
                self.types[element][word[2]] = word[1]
        for element in self.order:
            kinds = self.types[element]
            form = "<" + "".join(SIZES[kind][0] for kind in kinds.values())
            step = struct.calcsize(form)
            self.rows[element] = []
            for _ in range(counts[element]):
                values = struct.unpack_from(form, data, at)
                self.rows[element].append(dict(zip(kinds, values, strict=True)))
                at += step
        assert at == len(data)

    def vertices(self, frame: int) -> list[list[float]]:
        low, high = (self.rows[f"meta_delta_{end}_{frame:05d}"][0] for end in ("min", "max"))
        kind = self.types[f"delta_vertex_{frame:05d}"]["x"]
        divisor = {"float": 1.0, "uchar": 255.0, "ushort": 65535.0}[kind]
        return [
            [base[a] + low[a] + delta[a] / divisor * (high[a] - low[a]) for a in "xyz"]
            for base, delta in zip(
                self.rows["base_vertex"], self.rows[f"delta_vertex_{frame:05d}"], strict=True
            )
        ]

    def splat(self, number: int, frame: int) -> tuple[list[float], np.ndarray]:
        """Mean and covariance of one Gaussian."""
        row, points = self.rows["vertex"][number], self.vertices(frame)
        face = self.rows["faces"][int(row["binding"])]
        v0, v1, v2 = (points[int(face[f"index_{n}"])] for n in range(3))
        a0 = unit(minus(v1, v0))
        a1 = unit(cross(a0, minus(v2, v0)))
        a2 = [-c for c in unit(cross(a1, a0))]
        size = (length(minus(v1, v0)) + abs(dot(a2, minus(v2, v0)))) / 2
        centre = [(v0[n] + v1[n] + v2[n]) / 3 for n in range(3)]
        frame_axes = np.array([a0, a1, a2]).T
        mean = frame_axes @ [row["x"], row["y"], row["z"]] * size + centre
        q = [row[f"rot_{n}"] for n in range(4)]
        w, x, y, z = [c / math.sqrt(sum(c * c for c in q)) for c in q]
        turn = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
        spread = frame_axes @ turn @ np.diag([size * math.exp(row[f"scale_{n}"]) for n in range(3)])
        return list(mean), spread @ spread.T


def minus(a, b):
    return [p - q for p, q in zip(a, b, strict=True)]


def dot(a, b):
    return sum(p * q for p, q in zip(a, b, strict=True))


def cross(a, b):
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def length(a):
    return math.sqrt(dot(a, a))


def unit(a):
    return [c / length(a) for c in a]


@pytest.mark.parametrize("form", FORMS)
def test_a_reader_of_its_own_sees_the_same_head(tmp_path, form):
    given = animated()
    write_animated_ply(tmp_path / "a.ply", given, form)
    page = PageReader(tmp_path / "a.ply")
    names = [f"{n}_{i:05d}" for i in range(4) for n in ("meta_delta_min", "meta_delta_max", "delta_vertex")]
    assert page.order == ["faces", "base_vertex", "vertex", *names]
    assert set(page.types["faces"].values()) == {"uint"} and list(page.types["faces"]) == [
        "index_0",
        "index_1",
        "index_2",
    ]
    assert set(page.types["vertex"].values()) == {"float"} and len(page.types["vertex"]) == 60
    assert list(page.types["vertex"])[-1] == "binding" and "nx" not in page.types["vertex"]
    size = {"float": 1e-6, "uint8": 0.02 / 255, "uint16": 0.02 / 65535 + 1e-7}[form]
    for frame in (0, 3):
        ours = turned(given.posed(frame), HALF_TURN)
        spreads = covariances(ours)
        for number in range(0, 60, 7):
            mean, spread = page.splat(number, frame)
            assert np.allclose(mean, ours.means[number], atol=3 * size + 1e-6)
            near = 2e-2 if form == "uint8" else 1e-3
            assert np.allclose(spread, spreads[number], atol=near * np.abs(spreads[number]).max())


@pytest.mark.parametrize("form", FORMS)
def test_what_is_written_is_read(tmp_path, form):
    given = animated(degree=1)
    write_animated_ply(tmp_path / "a.ply", given, form)
    read = read_animated_ply(tmp_path / "a.ply")
    same(read.local, given.local, 1e-6)
    assert np.array_equal(read.faces, given.faces) and np.array_equal(read.binding, given.binding)
    assert np.allclose(read.base, given.base, atol=1e-7)
    step = {"float": 1e-7, "uint8": 1 / 255, "uint16": 1 / 65535}[form]
    span = np.ptp(given.offsets, axis=1, keepdims=True)
    assert (np.abs(read.offsets - given.offsets) <= 0.51 * step * span + 1e-8).all()


def test_motion_of_nothing_and_no_motion(tmp_path):
    still = replace(animated(), offsets=np.zeros((2, 30, 3)))
    none = replace(animated(), offsets=np.zeros((0, 30, 3)))
    for given in (still, none):
        for form in FORMS:
            write_animated_ply(tmp_path / "a.ply", given, form)
            assert np.array_equal(read_animated_ply(tmp_path / "a.ply").offsets, given.offsets)


def test_gaussians_of_the_world_stay_where_they_are():
    """Bound to the mesh at one pose, they are there at that pose and ride on it in the others."""
    mesh, world = animated(), gaussians(25, 1)
    binding = np.arange(25) % len(mesh.faces)
    track = np.stack([mesh.vertices(n) for n in range(4)])
    made = AnimatedSplats.of_world(world, binding, mesh.faces, track[2], track)
    same(made.posed(2), world, 1e-5)
    moved_on = made.posed(0)
    assert np.abs(moved_on.means - world.means).max() > 1e-3
    up = np.array([0.0, 0.5, 0.0])
    shifted = AnimatedSplats.of_world(world, binding, mesh.faces, track[2], track[2:3] + up)
    assert np.allclose(shifted.posed(0).means, world.means + up, atol=1e-5)
    assert len(list(made.frames())) == made.frame_count == 4


def test_triangles_without_area_give_finite_gaussians():
    given = animated()
    flat = replace(given, base=np.zeros((30, 3)), offsets=np.zeros((1, 30, 3)))
    line = replace(given, base=np.outer(np.arange(30), [0.01, 0, 0]), offsets=np.zeros((1, 30, 3)))
    for splats in (flat, line):
        found = splats.posed(0)
        assert np.isfinite(found.means).all() and np.isfinite(found.rotations).all()


def rewritten(path: Path, target: Path, name: str, **changes) -> None:
    """The file with columns of one element changed, or without it when there are none."""
    elements = read_ply(path)
    rows = elements.pop(name)
    if changes:
        columns = {key: rows[key] for key in rows.dtype.names} | changes
        keep = {key: values for key, values in columns.items() if values is not None}
        elements[name] = table({key: np.array(values) for key, values in keep.items()})
    write_ply(target, elements.items())


def test_what_is_no_animation_is_refused(tmp_path):
    good, path = tmp_path / "good.ply", tmp_path / "bad.ply"
    given = animated(frames=2)
    write_animated_ply(good, given)
    refused(read_animated_ply, path, "missing")
    binding, index = given.binding.astype(np.float32), given.faces[:, 0].copy()
    for name, changes, match in (
        ("faces", {}, "'faces'"),
        ("base_vertex", {}, "'base_vertex'"),
        ("vertex", {}, "'vertex'"),
        ("meta_delta_max_00001", {}, "meta_delta_max_00001"),
        ("delta_vertex_00000", {}, "numbered"),
        ("vertex", {"binding": None}, "'binding'"),
        ("vertex", {"binding": binding + 0.5}, "index"),
        ("vertex", {"binding": binding * np.nan}, "index"),
        ("vertex", {"binding": binding + 1e12}, "index"),
        ("faces", {"index_0": index.astype(np.float64) / 3}, "index"),
        ("base_vertex", {"x": np.full(30, np.inf, np.float32)}, "finite"),
        ("meta_delta_min_00000", {"y": np.full(1, np.nan, np.float32)}, "finite"),
        ("delta_vertex_00001", {"z": np.zeros(30, np.int8)}, "unknown type"),
    ):
        rewritten(good, path, name, **changes)
        refused(read_animated_ply, path, match)
    elements = read_ply(good)
    write_ply(path, (elements | {"delta_vertex_00001": elements["delta_vertex_00001"][:7]}).items())
    refused(read_animated_ply, path, "7 vertices")
    for name, changes in (("vertex", {"binding": binding + 500}), ("faces", {"index_0": index + 500})):
        rewritten(good, path, name, **changes)
        refused(read_animated_ply, path, "not there")
    for bad in ({"binding": given.binding + 500}, {"offsets": given.offsets[:, :4]}, {"base": np.zeros(3)}):
        with pytest.raises(SplatError):
            replace(given, **bad)
    with pytest.raises(SplatError, match="form"):
        write_animated_ply(path, given, "uint4")


def test_damage_never_ends_in_another_error(tmp_path):
    write_animated_ply(tmp_path / "good.ply", animated(4, 1, 0), "uint8")
    data = (tmp_path / "good.ply").read_bytes()
    never_another_error(read_animated_ply, tmp_path / "bad.ply", data, range(0, len(data), 53))
