# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of movies and pictures: the project's own reader of MP4 tables is held equal to the av library."""

from __future__ import annotations

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
from capture_samples import DATA, jpeg_bytes, png_bytes, real_file, rotate_movie, write_movie, zip_folder

from core.capture import Member, image_facts, media_facts, open_capture
from core.errors import CaptureError


def member(path):
    return Member(path.name, path.stat().st_size, path)


def assert_both_ways_agree(path):
    pytest.importorskip("av")
    plain, by_av = media_facts(member(path), use_av=False), media_facts(member(path), use_av=True)
    assert plain.duration == pytest.approx(by_av.duration, abs=1e-3)
    assert plain.fps == pytest.approx(by_av.fps, rel=1e-4)
    left, right = plain.to_dict(), by_av.to_dict()
    for name in ("duration", "fps"):
        left.pop(name), right.pop(name)
    assert left == right
    return plain


@pytest.mark.parametrize(
    ("fps", "sound", "suffix"),
    [(30, True, ".mp4"), (25, False, ".mov"), (60, True, ".mov"), (24, True, ".mp4")],
)
def test_own_reader_equals_av(tmp_path, fps, sound, suffix):
    facts = assert_both_ways_agree(write_movie(tmp_path / f"a{suffix}", 1.5, fps, sound))
    assert (facts.frames, facts.width, facts.height, facts.audio) == (round(1.5 * fps), 64, 48, sound)
    assert facts.duration == pytest.approx(facts.frames / fps, abs=1e-3) and facts.fps == pytest.approx(fps)
    assert not facts.variable


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_is_clockwise_in_both(tmp_path, degrees):
    facts = assert_both_ways_agree(rotate_movie(write_movie(tmp_path / "a.mov"), degrees))
    assert facts.rotation == degrees
    assert facts.display_size == ((48, 64) if degrees in (90, 270) else (64, 48))


@pytest.mark.parametrize("name", ["expressions.mp4", "talking.mp4"])
def test_own_reader_equals_av_on_real_movies(name):
    assert_both_ways_agree(real_file(DATA / "videos" / name))


def test_a_movie_in_a_zip_has_the_same_facts(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    plain = media_facts(member(write_movie(folder / "a.mp4")), use_av=False)
    movie = open_capture(zip_folder(folder, tmp_path / "a.zip")).movie
    assert movie is not None
    assert media_facts(movie) == media_facts(movie, use_av=False) == plain
    assert media_facts(movie, use_av=True).to_dict() == plain.to_dict()


def test_facts_need_no_av(tmp_path, root):
    """As in Blender's own Python: av cannot be imported, and nothing but numpy is."""
    path = write_movie(tmp_path / "a.mp4")
    script = (
        "import sys; sys.modules['av'] = None\n"
        "from core.capture import inspect, open_capture\n"
        "report = inspect(open_capture(sys.argv[1]))\n"
        "assert report.movie.frames == 30 and not report.problems, report\n"
        "heavy = {'torch', 'scipy', 'cv2', 'PIL', 'mediapipe', 'trimesh'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script, str(path)], check=True, cwd=root)


@pytest.mark.parametrize("use_av", [False, True])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.98])
def test_movies_that_were_cut_off_say_so(tmp_path, use_av, share):
    path = write_movie(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(CaptureError, match=r"movie a\.mp4"):
        media_facts(member(path), use_av=use_av)


def test_boxes_of_absurd_sizes_say_so(tmp_path):
    path = tmp_path / "a.mp4"
    start = struct.pack(">I4s8s", 16, b"ftyp", b"isomisom")
    for box in (
        struct.pack(">I4s", 0xFFFFFFFF, b"moov"),
        struct.pack(">I4sQ", 1, b"moov", 1 << 62),
        struct.pack(">I4s", 4, b"moov"),
        struct.pack(">I4s", 8, b"moov"),
        struct.pack(">I4sI4s", 16, b"moov", 9999, b"trak"),
        struct.pack(">I4s", 8, b"free") * 50,
    ):
        path.write_bytes(start + box)
        with pytest.raises(CaptureError, match=r"The movie a\.mp4"):
            media_facts(member(path), use_av=False)


def test_sound_alone_and_other_containers_are_explained(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.mp4"), "w") as movie:
        tone = movie.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        movie.mux(tone.encode(frame))
        movie.mux(tone.encode())
    for use_av in (False, True):
        with pytest.raises(CaptureError, match="has no pictures"):
            media_facts(member(tmp_path / "a.mp4"), use_av=use_av)
    path = write_movie(tmp_path / "a.mkv", sound=False)
    assert media_facts(member(path), use_av=True).width == 64
    with pytest.raises(CaptureError, match="not an MP4 or QuickTime movie"):
        media_facts(member(path), use_av=False)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "WEBP"])
def test_picture_sizes_equal_those_of_a_picture_library(tmp_path, kind):
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / f"a.{kind.lower()}"
    image.new("RGB", (37, 91), (10, 120, 200)).save(path, kind)
    facts = image_facts(member(path))
    assert (facts.format, facts.width, facts.height, facts.rotation) == (kind.lower(), 37, 91, 0)
    if kind == "WEBP":
        image.new("RGBA", (37, 91), (10, 120, 200, 9)).save(path, kind, lossless=True)
        assert (image_facts(member(path)).width, image_facts(member(path)).height) == (37, 91)


@pytest.mark.parametrize(("orientation", "degrees"), [(None, 0), (1, 0), (3, 180), (6, 90), (8, 270)])
def test_a_photo_turned_by_exif_says_so(tmp_path, orientation, degrees):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg_bytes(orientation=orientation))
    facts = image_facts(member(path))
    assert (facts.width, facts.height, facts.rotation) == (48, 64, degrees)


def test_the_made_photo_is_a_photo():
    image = pytest.importorskip("PIL.Image")
    with image.open(io.BytesIO(jpeg_bytes(40, 24, 6))) as photo:
        photo.load()
        assert photo.size == (40, 24) and photo.getexif()[0x0112] == 6
        assert photo.getextrema() == (128, 128)


def test_a_broken_picture_header_leaves_the_size_unknown(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes()[:18])
    assert image_facts(member(path)).width == 0
