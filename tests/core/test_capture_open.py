# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of capture is told by its content, and a zip gives the same as its folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from capture_samples import (
    csv_text,
    jpeg_bytes,
    leap_folder,
    motion,
    obj_text,
    png_bytes,
    raw_zip,
    take_folder,
    write_csv,
    write_movie,
    zip_folder,
)

from core.capture import extract_all, open_capture, read_face_mesh, read_performance
from core.capture.person import read_person
from core.errors import CaptureError


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    return write_movie(tmp_path_factory.mktemp("movie") / "clip.mp4")


def roles(capture):
    def one(member):
        return (
            None
            if member is None
            else (member.name, member.size, hashlib.sha256(member.read_bytes()).hexdigest())
        )

    lists = (capture.members, capture.photos, capture.face_meshes, capture.opaque)
    return [
        capture.kind,
        one(capture.movie),
        one(capture.weights_csv),
        *([one(m) for m in group] for group in lists),
    ]


@pytest.mark.parametrize("top", ["", "My Capture"])
@pytest.mark.parametrize("make", [leap_folder, take_folder])
def test_a_zip_gives_the_same_members_as_its_folder(tmp_path, movie, make, top):
    folder = make(tmp_path / "a", movie)
    packed = zip_folder(folder, tmp_path / "a.zip", top)
    assert roles(open_capture(folder)) == roles(open_capture(packed))


def test_a_leap_archive_has_all_its_parts(tmp_path, movie):
    capture = open_capture(zip_folder(leap_folder(tmp_path / "anna", movie), tmp_path / "anna.zip", "anna"))
    assert capture.kind == "leap"
    assert capture.name == "anna"
    assert capture.movie is not None and capture.movie.name == "source/ARVideo.mp4"
    assert [m.name for m in capture.photos] == ["photo.jpg"]
    assert [m.name for m in capture.face_meshes] == ["faceGeometry1.obj"]
    assert [m.name for m in capture.opaque] == ["data.bin"]
    assert capture.weights_csv is not None
    performance = read_performance(capture)
    assert performance is not None and performance.frame_count == 60


def test_an_archive_of_an_older_app_is_known(tmp_path):
    capture = open_capture(leap_folder(tmp_path / "old", old=True, weights=False))
    assert (capture.kind, capture.photos[0].name, capture.opaque[0].name) == ("leap", "1.jpg", "data.txt")
    assert read_performance(capture) is None


def test_data_bin_comes_out_byte_for_byte(tmp_path):
    folder = leap_folder(tmp_path / "a")
    capture = open_capture(zip_folder(folder, tmp_path / "a.zip"))
    copied = capture.opaque[0].extract_to(tmp_path / "out")
    assert copied.read_bytes() == (folder / "data.bin").read_bytes()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["data.bin"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    member = open_capture(leap_folder(tmp_path / "a")).opaque[0]
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CaptureError, match=r"data\.bin cannot be written to"):
        member.extract_to(tmp_path / "file")


def test_frames_of_the_same_name_are_not_mixed_up(tmp_path):
    for camera in ("a", "b"):
        (tmp_path / "in" / camera).mkdir(parents=True)
        (tmp_path / "in" / camera / "1.png").write_bytes(png_bytes())
    with pytest.raises(CaptureError, match="is there twice"):
        extract_all(open_capture(tmp_path / "in").photos, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_names_may_be_in_any_case(tmp_path, movie):
    folder = tmp_path / "shouted"
    folder.mkdir()
    (folder / "PHOTO.JPG").write_bytes(jpeg_bytes())
    (folder / "DATA.BIN").write_bytes(b"\x00\x01\x02\x03" * 9)
    (folder / "FACEGEOMETRY1.OBJ").write_text(obj_text())
    (folder / "ARVIDEO.MP4").write_bytes(movie.read_bytes())
    capture = open_capture(folder)
    assert capture.kind == "leap"
    assert capture.movie and capture.photos and capture.face_meshes and capture.opaque


def test_the_texture_movie_of_a_finished_leap_avatar_is_not_the_recording(tmp_path, movie):
    folder = leap_folder(tmp_path / "a")
    (folder / "textures.mp4").write_bytes(movie.read_bytes())
    assert open_capture(folder).movie is None


def test_content_decides_over_names(tmp_path, movie):
    csv = write_csv(tmp_path / "weights.txt")
    assert open_capture(csv).kind == "live_link"
    clip = tmp_path / "clip.jpg"
    clip.write_bytes(movie.read_bytes())
    capture = open_capture(clip)
    assert capture.kind == "video"
    assert "not a JPEG picture" in capture.warnings[0]
    archive = zip_folder(leap_folder(tmp_path / "a"), tmp_path / "capture.dat")
    assert open_capture(archive).kind == "leap"


def test_a_csv_alone_a_folder_and_a_zip_are_one_take(tmp_path, movie):
    folder = take_folder(tmp_path / "20240101_Slate_1", movie)
    packed = zip_folder(folder, tmp_path / "LiveLinkFace_20240101_Slate_1_iPhone.zip")
    for path in (folder, packed, folder / "Slate_1_iPhone.csv"):
        capture = open_capture(path)
        assert capture.kind == "live_link"
        assert capture.movie is not None and capture.movie.name == "Slate_1_iPhone.mov"
        assert capture.metadata["subject"] == "iPhone"
        assert capture.photos == ()
    lonely = tmp_path / "lonely.csv"
    shutil.copy(folder / "Slate_1_iPhone.csv", lonely)
    capture = open_capture(lonely)
    assert capture.movie is None and not capture.metadata


def test_the_calibrated_table_goes_before_plain_and_raw(tmp_path):
    folder = tmp_path / "take"
    folder.mkdir()
    for variant in ("raw", "neutral", "cal"):
        write_csv(folder / f"S_1_iPhone_{variant}.csv", rows=99 if variant == "raw" else 20)
    capture = open_capture(folder)
    assert capture.weights_csv is not None and capture.weights_csv.name == "S_1_iPhone_cal.csv"
    (folder / "S_1_iPhone_cal.csv").unlink()
    weights = open_capture(folder).weights_csv
    assert weights is not None and weights.name == "S_1_iPhone_raw.csv"


def test_the_longest_of_several_takes_is_used_and_said(tmp_path):
    write_csv(tmp_path / "A_1_iPhone.csv", rows=20)
    write_csv(tmp_path / "A_2_iPhone.csv", rows=40)
    capture = open_capture(tmp_path)
    assert capture.weights_csv is not None and capture.weights_csv.name == "A_2_iPhone.csv"
    assert any("2 recordings" in warning for warning in capture.warnings)


def test_a_metahuman_animator_take_is_explained_in_one_sentence(tmp_path, movie):
    folder = tmp_path / "mha"
    folder.mkdir()
    (folder / "take.json").write_text(json.dumps({"slate": "S", "take": 1, "frames": 30}))
    (folder / "depth_data.bin").write_bytes(b"\x8c\x06" * 50)
    (folder / "depth_metadata.mhaical").write_text("{}")
    with pytest.raises(CaptureError, match="MetaHuman Animator take"):
        open_capture(folder)
    (folder / "S_1.mov").write_bytes(movie.read_bytes())
    capture = open_capture(folder)
    assert capture.kind == "live_link" and capture.movie is not None and capture.weights_csv is None
    assert [m.name for m in capture.opaque] == ["depth_data.bin"]
    assert sum("MetaHuman Animator" in warning for warning in capture.warnings) == 1


def test_movie_photos_and_frames(tmp_path, movie):
    assert open_capture(movie).kind == "video"
    photo = tmp_path / "me.png"
    photo.write_bytes(png_bytes())
    assert open_capture(photo).kind == "photos"
    frames = tmp_path / "frames"
    frames.mkdir()
    for index in (*range(1, 14), 100):
        (frames / f"f{index}.png").write_bytes(png_bytes())
    (frames / "poster.png").write_bytes(png_bytes())
    capture = open_capture(frames)
    assert capture.kind == "frames"
    assert [m.name for m in capture.photos[-3:]] == ["f12.png", "f13.png", "f100.png"]
    assert any("1 pictures are not part" in warning for warning in capture.warnings)
    few = tmp_path / "few"
    few.mkdir()
    for index in range(4):
        (few / f"{index}.png").write_bytes(png_bytes())
    assert open_capture(few).kind == "photos"


def test_all_frames_of_a_zip_come_out_at_once(tmp_path):
    path = raw_zip(tmp_path / "frames.zip", [(f"f{i:03d}.png", png_bytes(shade=i)) for i in range(40)])
    capture = open_capture(path)
    files = extract_all(capture.photos, tmp_path / "out")
    assert [f.read_bytes() for f in files] == [png_bytes(shade=i) for i in range(40)]


def test_what_operating_systems_leave_behind_is_passed_over(tmp_path):
    text = csv_text(motion(5)).encode()
    path = raw_zip(
        tmp_path / "mac.zip",
        [("take/a.csv", text), ("__MACOSX/take/._a.csv", b"\0\5\x16\7"), ("take/.DS_Store", b"\0\0\0\1Bud1")],
    )
    capture = open_capture(path)
    assert [m.name for m in capture.members] == ["a.csv"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"Timecode,Sales\n1,2\n", "text, not a capture"),
        ("a.mp4", b"<!DOCTYPE html><html>", "text, not a capture"),
        ("a.obj", obj_text().encode(), "an OBJ mesh, not a capture"),
        ("a.glb", b"glTF\2\0\0\0", "a 3D model, not a capture"),
        ("a.bin", bytes(range(256)), "data of unknown form"),
        ("a.zip", b"PK\x03\x04 and then nothing", "damaged or incomplete zip"),
    ],
)
def test_what_is_no_capture_is_named(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=says) as caught:
        open_capture(path)
    assert name in str(caught.value)


def test_missing_empty_and_finished_folders_are_named(tmp_path):
    with pytest.raises(CaptureError, match="does not exist"):
        open_capture(tmp_path / "nowhere")
    with pytest.raises(CaptureError, match="is empty"):
        open_capture(tmp_path)
    (tmp_path / "avatar.json").write_text("{}")
    with pytest.raises(CaptureError, match="finished avatar"):
        open_capture(tmp_path)
    with pytest.raises(CaptureError, match="only another archive"):
        open_capture(
            raw_zip(
                tmp_path / "n.zip", [("inner.zip", raw_zip(tmp_path / "i.zip", [("a", b"b")]).read_bytes())]
            )
        )


def test_an_archive_inside_is_left_alone_and_said(tmp_path):
    folder = leap_folder(tmp_path / "a")
    raw_zip(folder / "more.zip", [("photo.jpg", jpeg_bytes())])
    assert any("more.zip is an archive inside" in warning for warning in open_capture(folder).warnings)


def test_a_mislabelled_part_is_left_out_and_said(tmp_path):
    folder = leap_folder(tmp_path / "a")
    (folder / "ARVideo.mp4").write_text("not a movie at all, sorry")
    capture = open_capture(folder)
    assert capture.movie is None
    assert any("ARVideo.mp4 is text, not a movie" in warning for warning in capture.warnings)
    (folder / "faceGeometry1.obj").write_bytes(png_bytes())
    assert open_capture(folder).face_meshes == ()


def test_opening_writes_nothing_and_leaves_the_folder_as_it_was(tmp_path, movie):
    folder = leap_folder(tmp_path / "a", movie)
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in tmp_path.rglob("*")}
    capture = open_capture(folder)
    read_performance(capture)
    read_face_mesh(capture.face_meshes[0])
    assert before == {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in tmp_path.rglob("*")}


def test_stored_zips_are_read_too(tmp_path):
    path = raw_zip(tmp_path / "a.zip", [("a.csv", csv_text(motion(9)).encode())], zipfile.ZIP_STORED)
    performance = read_performance(open_capture(path))
    assert performance is not None and performance.frame_count == 9


def test_of_several_takes_in_one_folder_the_facts_belong_to_the_table(tmp_path, movie):
    take_folder(tmp_path / "all" / "a_short", movie, rows=20, lead=0.4)
    folder = take_folder(tmp_path / "all" / "b_long", movie, rows=40)
    facts = json.loads((folder / "take.json").read_text())
    (folder / "take.json").write_text(json.dumps(facts | {"take": 2, "startTimecode": "13:13:04:24.000"}))
    capture = open_capture(tmp_path / "all")
    assert capture.metadata["take"] == 2
    assert capture.movie is not None and capture.movie.folder == "b_long"
    performance = read_performance(capture)
    assert performance is not None and performance.time[0] == pytest.approx(0.1, abs=1e-4)


def test_mattes_beside_photos_are_not_photos(tmp_path):
    for name in ("images/cam0/1.png", "images/cam0/2.png", "bg/cam0/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(png_bytes())
    assert [m.name for m in open_capture(tmp_path).photos] == ["images/cam0/1.png", "images/cam0/2.png"]


def test_odd_names_on_disk_are_shown_in_plain_letters(tmp_path):
    folder = leap_folder(tmp_path / "a")
    try:
        (folder / "two\nlines.txt").write_text("x")
        Path(os.fsdecode(os.fsencode(folder) + b"/\xff.txt")).write_text("y")
    except (OSError, UnicodeError):
        pytest.skip("this file system has no such names")
    capture = open_capture(folder)
    names = [m.name for m in capture.members]
    assert "two_lines.txt" in names and "?.txt" in names
    assert sorted(m.read_bytes() for m in capture.members if m.suffix == ".txt") == [b"x", b"y"]


@pytest.mark.parametrize("value", ["1" + "0" * 400, "NaN", "Infinity", "true", '"x"', "[]"])
def test_a_person_sidecar_with_absurd_numbers_is_refused(tmp_path, value):
    folder = leap_folder(tmp_path / "a")
    (folder / "likeness.json").write_text('{"likeness": 1, "gender": "female", "identity": {"age": 0.5}}')
    assert read_person(open_capture(folder)).identity == {"age": 0.5}
    (folder / "likeness.json").write_text(f'{{"likeness": 1, "identity": {{"age": {value}}}}}')
    with pytest.raises(CaptureError, match="not a finite number"):
        read_person(open_capture(folder))
