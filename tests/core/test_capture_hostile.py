# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives and folders that want harm are refused in one sentence, and nothing is written."""

from __future__ import annotations

import os
import stat
import struct
import time
import zipfile

import pytest
from capture_samples import (
    csv_text,
    jpeg_bytes,
    leap_folder,
    motion,
    obj_text,
    png_bytes,
    raw_zip,
    zip_folder,
)

from core.capture import Member, open_capture, read_face_mesh
from core.errors import CaptureError

GOOD = ("photo.jpg", b"\xff\xd8\xff\xe0" + bytes(60))


def refused(path, says):
    """Open a path that must be refused; the message is one sentence, and the folder is left as it was."""
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(CaptureError, match=says) as caught:
        open_capture(path)
    assert caught.value.message.count(". ") == 0 and caught.value.message.endswith(".")
    assert "\n" not in str(caught.value)
    assert sorted(path.parent.rglob("*")) == before
    return caught.value


@pytest.mark.parametrize(
    "name",
    ["../evil.txt", "a/../../evil.txt", "..\\evil.txt", "a\\..\\..\\b", "ok/..", "./../x"],
)
def test_paths_that_escape_are_refused(tmp_path, name):
    refused(raw_zip(tmp_path / "a.zip", [GOOD, (name, b"x")]), "points outside the archive")


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "\\windows\\x", "C:\\x.txt", "c:x.txt", "//server/share/x", "\\\\s\\x"]
)
def test_absolute_and_drive_paths_are_refused(tmp_path, name):
    refused(raw_zip(tmp_path / "a.zip", [GOOD, (name, b"x")]), "absolute path")


@pytest.mark.parametrize(
    "name", ["CON", "nul.txt", "a/COM1", "LPT9.jpg", "aux.tar.gz", "photo.jpg:stream", "con .txt"]
)
def test_device_names_are_refused(tmp_path, name):
    refused(raw_zip(tmp_path / "a.zip", [GOOD, (name, b"x")]), "named like a device")


@pytest.mark.parametrize("name", ["a\x01b", "new\nline", "tab\tname", "bell\x07"])
def test_control_characters_in_names_are_refused(tmp_path, name):
    refused(raw_zip(tmp_path / "a.zip", [GOOD, (name, b"x")]), "control characters")


def test_a_zero_in_a_name_is_refused(tmp_path):
    path = raw_zip(tmp_path / "a.zip", [GOOD, ("photo.jpgX.exe", b"x")])
    path.write_bytes(path.read_bytes().replace(b"photo.jpgX.exe", b"photo.jpg\0.exe"))
    refused(path, "control characters")


def test_names_that_are_too_long_are_refused(tmp_path):
    refused(raw_zip(tmp_path / "a.zip", [GOOD, ("x" * 300, b"x")]), "too long")
    refused(raw_zip(tmp_path / "b.zip", [GOOD, ("/".join(["d" * 200] * 6), b"x")]), "too long")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_special_files_in_archives_are_refused(tmp_path, kind):
    info = zipfile.ZipInfo("photo.jpg")
    info.external_attr = (kind | 0o777) << 16
    refused(raw_zip(tmp_path / "a.zip", [(info, b"/etc/passwd")]), "a link or a special file")


def test_the_same_name_twice_is_refused(tmp_path):
    refused(raw_zip(tmp_path / "a.zip", [GOOD, ("PHOTO.jpg", b"other")]), "twice")


def test_encrypted_archives_say_so(tmp_path):
    path = raw_zip(tmp_path / "a.zip", [GOOD])
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "password" in refused(path, "is encrypted").hint


def test_unusual_compression_is_refused(tmp_path):
    refused(raw_zip(tmp_path / "a.zip", [GOOD], zipfile.ZIP_LZMA), "compressed with method 14")


def test_a_bomb_of_one_member_is_refused_without_unpacking(tmp_path):
    path = raw_zip(tmp_path / "a.zip", [GOOD, ("data.bin", bytes(64 << 20))])
    assert path.stat().st_size < 200_000
    refused(path, "would grow")


def test_a_bomb_of_announced_sizes_is_refused(tmp_path):
    path = raw_zip(tmp_path / "a.zip", [(f"{i}.bin", os.urandom(64)) for i in range(40)], zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    while at >= 0:
        struct.pack_into("<II", data, at + 20, 0xFFFFFFF0, 0xFFFFFFF0)
        at = data.find(b"PK\x01\x02", at + 4)
    path.write_bytes(data)
    refused(path, "would have more than|overlap")


def test_members_that_overlap_are_refused(tmp_path):
    path = raw_zip(tmp_path / "a.zip", [("0.bin", os.urandom(100_000))], zipfile.ZIP_STORED)
    data = path.read_bytes()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entries = b"".join(data[start:end].replace(b"0.bin", f"{i}.bin".encode()) for i in range(9))
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 9, 9, len(entries), start, 0)
    path.write_bytes(data[:start] + entries + tail)
    refused(path, "overlap")


def test_a_huge_table_of_contents_is_refused_before_it_is_read(tmp_path):
    path = raw_zip(tmp_path / "a.zip", [GOOD])
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x05\x06") + 12, 0xF0000000)
    path.write_bytes(data)
    refused(path, "table of contents")


def test_many_members_are_looked_into_in_bounded_time(tmp_path):
    path = raw_zip(
        tmp_path / "a.zip", [GOOD, *((f"d{i}.dat", b"x") for i in range(20_000))], zipfile.ZIP_STORED
    )
    start = time.perf_counter()
    capture = open_capture(path)
    assert len(capture.members) == 20_001
    assert time.perf_counter() - start < 10.0


def test_a_truncated_archive_is_refused(tmp_path):
    whole = zip_folder(leap_folder(tmp_path / "a"), tmp_path / "whole.zip").read_bytes()
    cut = tmp_path / "cut" / "cut.zip"
    cut.parent.mkdir()
    for share in (0.1, 0.5, 0.9, 0.999):
        cut.write_bytes(whole[: int(len(whole) * share)])
        refused(cut, "damaged or incomplete")


def test_a_damaged_member_is_found_when_it_is_read_and_leaves_nothing(tmp_path):
    content = os.urandom(50_000)
    path = raw_zip(
        tmp_path / "a.zip", [("photo.jpg", jpeg_bytes()), ("data.bin", content)], zipfile.ZIP_STORED
    )
    data = bytearray(path.read_bytes())
    data[data.index(content) + 40_000] ^= 0xFF
    path.write_bytes(data)
    member = next(m for m in open_capture(path).members if m.name == "data.bin")
    with pytest.raises(CaptureError, match=r"data\.bin in a\.zip cannot be read"):
        member.read_bytes()
    with pytest.raises(CaptureError, match="cannot be read"):
        member.extract_to(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_member_longer_or_shorter_than_announced_is_refused(tmp_path):
    file = tmp_path / "a.bin"
    file.write_bytes(b"12345")
    for size in (3, 9):
        member = Member("a.bin", size, file)
        with pytest.raises(CaptureError, match=r"announced"):
            member.extract_to(tmp_path / "out")
        assert not list((tmp_path / "out").iterdir())
    with pytest.raises(CaptureError, match="announced"):
        Member("a.bin", 9, file).read_bytes()
    with pytest.raises(CaptureError, match="at most 2"):
        Member("a.bin", 5, file).read_bytes(limit=2)


def test_links_out_of_a_folder_are_left_out_and_said(tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text(csv_text(motion(5)))
    folder = leap_folder(tmp_path / "a", weights=False)
    (folder / "weights.csv").symlink_to(secret)
    (folder / "up").symlink_to(tmp_path, target_is_directory=True)
    (folder / "again.jpg").symlink_to("photo.jpg")
    capture = open_capture(folder)
    assert capture.weights_csv is None
    assert {m.name for m in capture.members} == {"photo.jpg", "again.jpg", "data.bin", "faceGeometry1.obj"}
    assert any("up, weights.csv" in warning or "weights.csv, up" in warning for warning in capture.warnings)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_pipes_do_not_block(tmp_path):
    folder = leap_folder(tmp_path / "a")
    os.mkfifo(folder / "pipe.csv")
    assert any("pipe.csv" in warning for warning in open_capture(folder).warnings)
    refused(folder / "pipe.csv", "neither a file nor a folder")
    with pytest.raises(CaptureError, match="not a regular file"):
        Member("pipe.csv", 5, folder / "pipe.csv").read_bytes()


def test_huge_and_deep_json_gives_a_warning(tmp_path):
    folder = tmp_path / "take"
    folder.mkdir()
    (folder / "a.csv").write_text(csv_text(motion(5)))
    for content in (
        '{"a":' * 100_000,
        '{"slate": "' + "x" * (5 << 20) + '"}',
        "\xff\xfe nonsense",
        '{"a": 1' + "0" * 9000 + "}",
    ):
        (folder / "take.json").write_text(content, encoding="latin-1")
        capture = open_capture(folder)
        assert capture.weights_csv is not None
        assert any("take.json" in warning for warning in capture.warnings), content[:20]


MESH = obj_text()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.replace("v -0.075", "v nan", 1), "line 2: .* is not a place"),
        (lambda t: t.replace("v -0.075", "v 1e30", 1), "is not a place"),
        (lambda t: t.replace("v -0.075", "v seven", 1), "is not a place"),
        (lambda t: t + "f 1 2 99\n", "names point 99 of 16"),
        (lambda t: t + "f 1 2 -99\n", "not the number of a point"),
        (lambda t: t + "f 1 2 99999999999999\n", "not the number of a point"),
        (lambda t: t + "f 0 1 2\n", "not the number of a point"),
        (lambda t: t + "f 1 2\n", "2 corners"),
        (lambda t: t + "f 1 2 3 4 5\n", "5 corners"),
        (lambda t: t + "v 1 2\n", "2 numbers where 3"),
        (lambda t: t.replace("f ", "# "), "holds no faces"),
        (lambda t: "", "holds no faces"),
        (lambda t: "\0\1\2\3" * 50, "binary data"),
    ],
)
def test_hostile_meshes_name_the_line(tmp_path, change, says):
    path = tmp_path / "faceGeometry1.obj"
    path.write_text(change(MESH))
    with pytest.raises(CaptureError, match=says):
        read_face_mesh(Member(path.name, path.stat().st_size, path))


def test_a_mesh_with_negative_indices_quads_and_foreign_statements_is_read(tmp_path):
    path = tmp_path / "a.obj"
    points = "v 0 0 0\nv .1 0 0\nv .1 .1 0\nv 0 .1 0\nvn 0 0 1\n"
    path.write_text(f"mtllib /etc/passwd\no x\n{points}f -4//1 -3//1 -2//1 -1//1\nf 1 2 3\n")
    mesh = read_face_mesh(Member(path.name, path.stat().st_size, path))
    assert mesh.faces.tolist() == [[0, 1, 2, 3], [0, 1, 2, -1]]
    assert mesh.uv is None and not mesh.is_arkit
    assert mesh.size == pytest.approx((0.1, 0.1, 0.0))


def test_a_mesh_keeps_its_texture_coordinates(tmp_path):
    path = tmp_path / "a.obj"
    path.write_text(obj_text(5, 3))
    mesh = read_face_mesh(Member(path.name, path.stat().st_size, path))
    assert mesh.vertices.shape == (15, 3) and mesh.faces.shape == (16, 4) and mesh.uv is not None
    xy = mesh.vertices[mesh.faces[:, :3], :2] / (0.15, 0.2) + 0.5
    assert abs(xy - mesh.uv[:, :3]).max() < 1e-4


def test_pictures_of_absurd_headers_do_not_stop_opening(tmp_path):
    (tmp_path / "a.png").write_bytes(png_bytes()[:20])
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff")
    assert open_capture(tmp_path).kind == "photos"
