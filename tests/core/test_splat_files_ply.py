# SPDX-License-Identifier: GPL-3.0-or-later
"""Static Gaussians as PLY: what others write is read, what is written others read, the rest is refused."""

from __future__ import annotations

import struct
import zipfile

import numpy as np
import pytest
from splat_file_samples import FIELDS, covariances, gaussians, never_another_error, refused, same

from core import rotation
from core.errors import SplatError
from core.splat.files.axes import HALF_TURN, harmonics, harmonics_turn, moved, turned
from core.splat.files.splat_ply import read_splat_ply, write_ply_frames, write_ply_zip, write_splat_ply

USUAL = (
    ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    + [f"f_rest_{n}" for n in range(45)]
    + ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("axes", ["opencv", "head"])
def test_what_is_written_is_read(tmp_path, degree, axes):
    given = gaussians(50, degree)
    write_splat_ply(tmp_path / "a.ply", given, axes)
    same(read_splat_ply(tmp_path / "a.ply", axes), given, 1e-6)


def test_the_file_is_what_everybody_reads(tmp_path):
    """Read word by word: header, then 62 little endian floats per Gaussian, y and z the other way."""
    given = gaussians(3)
    write_splat_ply(tmp_path / "a.ply", given)
    head, body = (tmp_path / "a.ply").read_bytes().split(b"end_header\n", 1)
    lines = head.decode().splitlines()
    assert lines[:3] == ["ply", "format binary_little_endian 1.0", "element vertex 3"]
    assert lines[3:] == [f"property float {name}" for name in USUAL]
    values = struct.unpack("<186f", body)
    second = dict(zip(USUAL, values[62:124], strict=True))
    assert np.allclose([second[k] for k in "xyz"], given.means[1] * [1, -1, -1])
    assert second["nx"] == second["ny"] == 0 and np.isclose(second["opacity"], given.opacity_logits[1])
    assert np.allclose([second[f"scale_{n}"] for n in range(3)], given.log_scales[1])
    for channel in range(3):
        assert np.isclose(second[f"f_dc_{channel}"], given.sh[1, 0, channel])
        first_order = [second[f"f_rest_{15 * channel + n}"] for n in range(3)]
        assert np.allclose(first_order, given.sh[1, 1:4, channel] * [-1, -1, 1], atol=1e-6)
    turned_q = rotation.to_matrix(np.array([second[f"rot_{n}"] for n in range(4)]))
    assert np.allclose(turned_q, HALF_TURN @ rotation.to_matrix(given.rotations[1]), atol=1e-5)


def foreign(order: str, kind: str, given, extra: bool = True) -> bytes:
    """The same Gaussians as another program might write them: any order, type and byte order."""
    rest = given.sh[:, 1:].transpose(0, 2, 1).reshape(len(given), -1)
    columns = dict(zip(["f_dc_2", "f_dc_1", "f_dc_0"], given.sh[:, 0, ::-1].T, strict=True))
    columns |= {f"f_rest_{n}": rest[:, n] for n in reversed(range(rest.shape[1]))}
    columns |= {f"rot_{n}": given.rotations[:, n] for n in (3, 1, 0, 2)}
    columns |= {"opacity": given.opacity_logits, "x": given.means[:, 0]}
    columns |= {f"scale_{n}": given.log_scales[:, n] for n in range(3)}
    columns |= {"z": given.means[:, 2], "y": given.means[:, 1]}
    words = {"f4": "float", "f8": "float64"}[kind]
    formats = {"<": "binary_little_endian", ">": "binary_big_endian", "": "ascii"}[order]
    head = ["ply", "comment made elsewhere", f"format {formats} 1.0", "obj_info none"]
    head += ["element camera 2", "property uchar id", f"element vertex {len(given)}"]
    head += ["property uchar red"] * extra + [f"property {words} {name}" for name in columns]
    text = "\r\n".join(head) + "\r\nelement face 7\r\nproperty list uchar int vertex_index\r\nend_header\n"
    if not order:
        rows = [
            " ".join(["9"] * extra + [repr(float(v)) for v in row])
            for row in zip(*columns.values(), strict=True)
        ]
        return (text + "1\n2\n" + "\n".join(rows) + "\n3 0 1 2").encode()
    row = np.dtype([("red", "u1")][:extra] + [(name, order + kind) for name in columns])
    table = np.zeros(len(given), row)
    for name, values in columns.items():
        table[name] = values
    return text.encode() + b"\x01\x02" + table.tobytes() + b"anything"


@pytest.mark.parametrize("order", ["<", ">", ""])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_other_programs_files(tmp_path, order, kind):
    given = gaussians(20, 2)
    (tmp_path / "a.ply").write_bytes(foreign(order, kind, given))
    same(read_splat_ply(tmp_path / "a.ply", "head"), given, 1e-6)


def test_opaque_gaussians_and_missing_rotations_are_mended(tmp_path):
    given = gaussians(4, 0)
    given.opacity_logits[:2] = np.inf, -np.inf
    given.rotations[3] = 0
    (tmp_path / "a.ply").write_bytes(foreign("<", "f4", given))
    read = read_splat_ply(tmp_path / "a.ply", "head")
    assert read.opacity_logits[0] > 20 and read.opacity_logits[1] < -20
    assert read.rotations[3].tolist() == [1, 0, 0, 0]


def test_what_is_no_such_file_is_refused(tmp_path):
    path, given = tmp_path / "bad.ply", gaussians(5, 1)
    good = foreign("<", "f4", given)
    refused(read_splat_ply, path, "missing")
    for data, match in (
        (b"", "begin"),
        (b"plyx", "begin"),
        (b"ply\n" + b"comment x\n" * 1000, "does not end"),
        (good[:-200], "ends before"),
        (good.replace(b"vertex 5", b"vertex 9999999999"), "ends before"),
        (good.replace(b"vertex 5", b"vertex 99999999999999"), "rows"),
        (good.replace(b"vertex 5", b"vertex -5"), "rows"),
        (good.replace(b"vertex 5", b"vertex 0"), "no Gaussians"),
        (good.replace(b"element vertex", b"element points"), "no element 'vertex'"),
        (good.replace(b"opacity", b"opacitx"), "'opacity'"),
        (good.replace(b"rot_2", b"rot_9"), "'rot_2'"),
        (good.replace(b"f_rest_8", b"f_tail_8"), "f_rest"),
        (good.replace(b"float x", b"quad x"), "'quad'"),
        (good.replace(b"float y", b"float x"), "twice"),
        (good.replace(b"_little", b"_middle"), "line"),
        (good.replace(b"uchar id", b"list uchar int id"), "lists"),
        (good.replace(b"property uchar id\r\n", b""), "no properties"),
    ):
        path.write_bytes(data)
        refused(read_splat_ply, path, match)
    given.means[2, 1] = np.nan
    path.write_bytes(foreign("<", "f4", given))
    refused(read_splat_ply, path, "the y of Gaussian 2")
    words = foreign("", "f4", gaussians(1, 0)).split(b" ")
    for word in (b"x", b"1e400", b"nan", b"1e39"):
        path.write_bytes(b" ".join([*words[:-8], word, *words[-7:]]))
        refused(read_splat_ply, path, "finite|could not convert|ends before")
    with pytest.raises(SplatError, match="axes"):
        write_splat_ply(path, gaussians(1), "blender")
    with pytest.raises(SplatError, match="cannot be written"):
        write_splat_ply(tmp_path / "none" / "a.ply", gaussians(1))


def test_damage_never_ends_in_another_error(tmp_path):
    data = foreign("<", "f4", gaussians(2, 0))
    never_another_error(read_splat_ply, tmp_path / "bad.ply", data, range(0, len(data), 23))
    data = foreign("", "f8", gaussians(2, 0))
    never_another_error(read_splat_ply, tmp_path / "bad.ply", data, range(0, len(data), 23))


def test_frames_are_files_of_their_own(tmp_path):
    frames = [gaussians(5, 1, seed) for seed in range(3)]
    assert write_ply_frames(tmp_path / "frames", frames) == 3
    assert write_ply_zip(tmp_path / "frames.zip", frames) == 3
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == ["frame_00000.ply", "frame_00001.ply", "frame_00002.ply"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frames", "frames.zip"]
    with zipfile.ZipFile(tmp_path / "frames.zip") as archive:
        assert archive.namelist() == names
        for name, given in zip(names, frames, strict=True):
            same(read_splat_ply(tmp_path / "frames" / name), given, 1e-6)
            assert archive.read(name) == (tmp_path / "frames" / name).read_bytes()


def test_colours_turn_with_the_gaussians():
    """Seen from the turned direction, a turned Gaussian has the colour it had."""
    rng = np.random.default_rng(3)
    turn = rotation.to_matrix(rng.normal(size=4))
    directions = rng.normal(size=(9, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    given = gaussians(4, 3)
    seen = np.einsum("dk,nkc->ndc", harmonics(directions, 3), given.sh)
    again = np.einsum("dk,nkc->ndc", harmonics(directions @ turn.T, 3), turned(given, turn).sh)
    assert np.allclose(seen, again, atol=1e-5)
    signs = harmonics_turn(HALF_TURN, 3)
    assert np.array_equal(signs, np.diag(np.diag(signs))) and set(np.diag(signs)) == {1.0, -1.0}


def test_the_basis_is_orthonormal():
    """Over the sphere: the integral of each product, by Gauss and the trapezoid rule."""
    height, weight = np.polynomial.legendre.leggauss(8)
    turn = np.arange(16) * np.pi / 8
    flat = np.sqrt(1 - height**2)
    directions = np.stack(
        [np.outer(flat, np.cos(turn)), np.outer(flat, np.sin(turn)), np.outer(height, np.ones(16))], axis=-1
    ).reshape(-1, 3)
    basis = harmonics(directions, 3)
    gram = basis.T @ (basis * np.repeat(weight, 16)[:, None]) * np.pi / 8
    assert np.allclose(gram, np.eye(16), atol=1e-12)


def test_transforms_move_the_ellipsoids():
    """Stretched or not, the covariance is that of the transform."""
    rng = np.random.default_rng(5)
    given = gaussians(6, 1)
    similar = np.eye(4)
    similar[:3] = np.c_[2.5 * rotation.to_matrix(rng.normal(size=4)), rng.normal(size=3)]
    stretched = similar.copy()
    stretched[:3, :3] = stretched[:3, :3] @ np.diag([1.0, 0.3, 2.0])
    for matrix in (similar, stretched):
        found = moved(given, matrix)
        assert np.allclose(found.means, given.means @ matrix[:3, :3].T + matrix[:3, 3], atol=1e-5)
        expected = matrix[:3, :3] @ covariances(given) @ matrix[:3, :3].T
        assert np.allclose(covariances(found), expected, rtol=1e-3, atol=1e-9)
    for bad in (np.diag([1.0, -1, 1, 1]), np.diag([1.0, 0, 1, 1]), np.full((4, 4), np.nan)):
        with pytest.raises(SplatError, match="mirrored"):
            moved(given, bad)


def test_the_samples_have_every_field():
    assert all(getattr(gaussians(2), name).dtype == np.float32 for name in FIELDS)
