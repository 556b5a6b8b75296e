# SPDX-License-Identifier: GPL-3.0-or-later
"""Niantic's .spz: the errors are those of its quantisation, and a reader of its own finds the same values."""

from __future__ import annotations

import gzip
import math
import struct

import numpy as np
import pytest
from splat_file_samples import gaussians, never_another_error, refused, same

from core import rotation
from core.errors import SplatError
from core.splat.files.spz import read_spz, write_spz


def angles(one, other) -> np.ndarray:
    """Degrees between rotations."""
    a, b = rotation.normalized(one.rotations), rotation.normalized(other.rotations)
    return np.degrees(2 * np.arccos(np.clip(np.abs((a * b).sum(axis=1)), 0, 1)))


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_errors_are_those_of_the_steps(tmp_path, version, degree):
    given = gaussians(400, degree)
    write_spz(tmp_path / "a.spz", given, version)
    read = read_spz(tmp_path / "a.spz")
    assert read.degree == degree
    assert np.abs(read.means - given.means).max() < 1e-6  # 20 fractional bits
    assert np.abs(read.log_scales - given.log_scales).max() <= 1 / 32 + 1e-6
    assert np.abs(read.activated().opacities - given.activated().opacities).max() <= 0.51 / 255
    assert np.abs(read.sh[:, 0] - given.sh[:, 0]).max() <= 0.5 / (255 * 0.15) + 1e-6
    assert np.abs(read.sh[:, 1:4] - given.sh[:, 1:4]).max(initial=0) <= 4.5 / 128
    assert np.abs(read.sh[:, 4:] - given.sh[:, 4:]).max(initial=0) <= 8.5 / 128
    assert np.median(angles(read, given)) < {2: 0.8, 3: 0.15}[version]
    assert angles(read, given).max() < {2: 12, 3: 0.3}[version]


def test_fine_steps_and_far_gaussians(tmp_path):
    given = gaussians(100, 3, spread=300.0)
    write_spz(tmp_path / "a.spz", given, sh_bits=(8, 8))
    read = read_spz(tmp_path / "a.spz")
    assert np.abs(read.sh[:, 1:] - given.sh[:, 1:]).max() <= 0.51 / 128
    assert np.abs(read.means - given.means).max() <= np.abs(given.means).max() / 2**22


@pytest.mark.parametrize("version", [2, 3])
def test_the_file_is_laid_out_as_published(tmp_path, version):
    """One Gaussian after the other in plain Python, from the README of nianticlabs/spz."""
    given = gaussians(7, 1)
    write_spz(tmp_path / "a.spz", given, version)
    data = gzip.decompress((tmp_path / "a.spz").read_bytes())
    magic, found, count, degree, bits, flags, reserved = struct.unpack_from("<IIIBBBB", data)
    assert (magic, found, count, degree, flags, reserved) == (0x5053474E, version, 7, 1, 0, 0)
    wide = 3 if version == 2 else 4
    starts = np.cumsum([16, 9 * 7, 7, 3 * 7, 3 * 7, wide * 7, 9 * 7])
    assert len(data) == starts[-1]
    for n in range(7):
        at = [int(start) + n * width for start, width in zip(starts, (9, 1, 3, 3, wide, 9), strict=False)]
        mean = [int.from_bytes(data[at[0] + 3 * a :][:3], "little", signed=True) for a in range(3)]
        assert np.allclose(np.array(mean) / 2**bits, given.means[n], atol=2**-bits)
        assert math.isclose(data[at[1]] / 255, given.activated().opacities[n], abs_tol=0.003)
        assert math.isclose((data[at[2] + 1] / 255 - 0.5) / 0.15, given.sh[n, 0, 1], abs_tol=0.02)
        assert math.isclose(data[at[3] + 2] / 16 - 10, given.log_scales[n, 2], abs_tol=0.04)
        q = plain_quaternion(data[at[4] :][:wide])
        w, x, y, z = given.rotations[n] / np.linalg.norm(given.rotations[n])
        assert abs(np.dot(q, [x, y, z, w])) > {2: 0.99, 3: 0.99999}[version]
        assert math.isclose((data[at[5] + 3 + 2] - 128) / 128, given.sh[n, 2, 2], abs_tol=0.04)


def plain_quaternion(data: bytes) -> list[float]:
    """X y z w of one packed rotation."""
    if len(data) == 3:
        xyz = [byte / 127.5 - 1 for byte in data]
        return [*xyz, math.sqrt(max(0.0, 1 - sum(c * c for c in xyz)))]
    word = int.from_bytes(data, "little")
    parts = [(word >> shift) & 1023 for shift in (20, 10, 0)]
    small = [(-1 if p & 512 else 1) * (p & 511) / 511 / math.sqrt(2) for p in parts]
    small.insert(word >> 30, math.sqrt(max(0.0, 1 - sum(c * c for c in small))))
    return small


def test_opaque_and_clear_stay_finite(tmp_path):
    given = gaussians(2, 0)
    given.opacity_logits[:] = -50, 50
    write_spz(tmp_path / "a.spz", given)
    read = read_spz(tmp_path / "a.spz").activated().opacities
    assert read[0] < 0.0015 and read[1] > 0.9985


def test_what_is_no_such_file_is_refused(tmp_path):
    path, good = tmp_path / "bad.spz", tmp_path / "good.spz"
    write_spz(good, gaussians(5, 1))
    data = gzip.decompress(good.read_bytes())
    refused(read_spz, path, "missing")
    for content, match in (
        (b"", "cut off|gzip"),
        (data, "version 3, which|cut off"),
        (b"no gzip at all, really", "gzip"),
        (gzip.compress(data[:10]), "cut off"),
        (gzip.compress(data[:-1]), "cut off"),
        (good.read_bytes()[:-30], "cut off"),
        (gzip.compress(b"X" + data[1:]), "NGSP"),
        (gzip.compress(data[:4] + b"\1\0\0\0" + data[8:]), "version 1"),
        (gzip.compress(data[:8] + b"\xff\xff\xff\xff" + data[12:]), "4294967295 Gaussians"),
        (gzip.compress(data[:8] + struct.pack("<I", 9_999_999) + data[12:]), "cut off"),
        (gzip.compress(data[:8] + bytes(4) + data[12:]), "0 Gaussians"),
        (gzip.compress(data[:12] + b"\x04" + data[13:]), "degree 4"),
        (gzip.compress(data[:13] + b"\xff" + data[14:]), "255 fractional"),
        (gzip.compress(data[:14] + b"\x02" + data[15:]), "extensions"),
    ):
        path.write_bytes(content)
        refused(read_spz, path, match)
    for bad in ({"version": 4}, {"version": 1}, {"sh_bits": (0, 4)}):
        with pytest.raises(SplatError):
            write_spz(path, gaussians(2), **bad)
    with pytest.raises(SplatError, match="too far"):
        write_spz(path, gaussians(2, spread=1e9))


def version_4(data: bytes, extension: bytes = b"") -> bytes:
    """The content of a version 3 file in streams of its own, as the README says of version 4."""
    zstandard = pytest.importorskip("zstandard")
    count, degree = struct.unpack_from("<I", data, 8)[0], data[12]
    widths = (9, 1, 3, 3, 4, 3 * ((degree + 1) ** 2 - 1))
    parts, at = [], 16
    for width in widths:
        parts.append(data[at : at + width * count])
        at += width * count
    parts = [part for part in parts if part]
    packed = [zstandard.ZstdCompressor().compress(part) for part in parts]
    flags = 2 if extension else 0
    head = data[:4] + b"\4\0\0\0" + data[8:14] + bytes([flags, len(parts)])
    head += struct.pack("<I", 32 + len(extension)) + bytes(12) + extension
    table = [struct.pack("<QQ", len(p), len(part)) for p, part in zip(packed, parts, strict=True)]
    return b"".join([head, *table, *packed])


@pytest.mark.parametrize("degree", [0, 2])
def test_version_4_is_read(tmp_path, degree):
    write_spz(tmp_path / "a.spz", gaussians(40, degree))
    data = gzip.decompress((tmp_path / "a.spz").read_bytes())
    for extension in (b"", struct.pack("<IIf", 0xADBE0002, 4, 1.0)):
        (tmp_path / "b.spz").write_bytes(version_4(data, extension))
        same(read_spz(tmp_path / "b.spz"), read_spz(tmp_path / "a.spz"), 1e-9)


def test_damaged_files_of_version_4_are_refused(tmp_path):
    path = tmp_path / "bad.spz"
    write_spz(tmp_path / "a.spz", gaussians(9, 1))
    good = version_4(gzip.decompress((tmp_path / "a.spz").read_bytes()))
    for content, match in (
        (good[:20], "cut off"),
        (good[:-5], "longer"),
        (good[:16] + struct.pack("<I", 2**31) + good[20:], "table"),
        (good[:16] + bytes(4) + good[20:], "table"),
        (good[:15] + b"\xff" + good[16:], "longer|table"),
        (good[:15] + b"\x02" + good[16:], "cut off|damaged"),
        (good[:40] + struct.pack("<Q", 2**50) + good[48:], "longer"),
        (good[:-40] + bytes(40), "damaged|cut off"),
    ):
        path.write_bytes(content)
        refused(read_spz, path, match)
    never_another_error(read_spz, path, good, range(0, len(good), 19))


def test_a_bomb_stays_small(tmp_path):
    """What follows the announced length is never unpacked."""
    write_spz(tmp_path / "a.spz", gaussians(5, 1))
    data = gzip.decompress((tmp_path / "a.spz").read_bytes())
    (tmp_path / "a.spz").write_bytes(gzip.compress(data + bytes(20 << 20), 1))
    assert len(read_spz(tmp_path / "a.spz")) == 5


def test_damage_never_ends_in_another_error(tmp_path):
    write_spz(tmp_path / "a.spz", gaussians(5, 1))
    data = (tmp_path / "a.spz").read_bytes()
    never_another_error(read_spz, tmp_path / "bad.spz", data, range(0, len(data), 7))
