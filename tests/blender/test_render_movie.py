# SPDX-License-Identifier: GPL-3.0-or-later
"""Movies: what goes in comes out, in the codec asked for, in step with the sound."""

from __future__ import annotations

import os
import stat
import struct
import wave
import zlib
from pathlib import Path

import bpy
import numpy as np
import pytest
from scene_support import part


def write_png(path: Path, width: int, height: int, value: int) -> None:
    """A grey picture."""
    write_picture(path, np.full((height, width, 3), value, np.uint8))


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """(height, width, 3) uint8 as a PNG, without an image library."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = pixels.shape
    rows = b"".join(b"\x00" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.fixture
def frames(tmp_path, empty_scene) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for n in range(12):
        write_png(folder / f"frame_{n:05d}.png", 65, 48, 20 * n)
    return folder


@pytest.fixture
def voice(tmp_path) -> Path:
    path = tmp_path / "voice.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\x00\x20\x00\xe0" * 8000)
    return path


@pytest.mark.parametrize(("codec", "box"), [("H265", b"hvc1"), ("H264", b"avc1")])
def test_blender_encodes_every_frame_with_sound(frames, voice, tmp_path, codec, box):
    before = {kind: len(getattr(bpy.data, kind)) for kind in ("scenes", "images", "sounds")}
    out = part("addon.scene.movie").encode_movie(frames, tmp_path / "out" / "movie.mp4", 25.0, voice, codec)
    assert box in out.read_bytes()
    assert [path.name for path in out.parent.iterdir()] == ["movie.mp4"]
    assert {kind: len(getattr(bpy.data, kind)) for kind in before} == before
    clip = bpy.data.movieclips.load(str(out))
    assert tuple(clip.size) == (64, 48)  # chroma is stored for pairs of pixels
    assert (clip.frame_duration, clip.fps) == (12, 25.0)
    sound = bpy.data.sounds.load(str(out))
    assert sound.channels != "INVALID"


def seen_in(movie: Path, scene, frame: int, folder: Path) -> np.ndarray:
    """One frame of a movie as Blender shows it, (height, width, 3) 0..255, lowest row first."""
    width, height = bpy.data.movieclips.load(str(movie)).size
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = (
        width,
        height,
        100,
    )
    scene.sequence_editor_create().strips.new_movie("Movie", str(movie), 1, 1)
    scene.view_settings.view_transform = "Standard"
    scene.frame_set(frame)
    part("addon.scene.bpy_compat").set_png_format(scene.render.image_settings)
    scene.render.filepath = str(folder / "seen.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(folder / "seen.png"))
    return 255 * np.array(image.pixels[:]).reshape(height, width, 4)[..., :3]


def test_the_pictures_keep_their_colours(empty_scene, frames, tmp_path):
    out = part("addon.scene.movie").encode_movie(frames, tmp_path / "movie.mp4", 24.0, codec="H264")
    assert seen_in(out, empty_scene, 7, tmp_path)[24, 32] == pytest.approx([120] * 3, abs=3)


def test_a_small_portrait_is_shown_whole(empty_scene, tmp_path):
    folder = tmp_path / "portrait"
    folder.mkdir()
    picture = np.full((80, 60, 3), 20, np.uint8)
    picture[:10], picture[:, :10] = 120, 220
    for n in range(2):
        write_picture(folder / f"frame_{n:05d}.png", picture)
    out = part("addon.scene.movie").encode_movie(folder, tmp_path / "movie.mp4", 24.0, codec="H264")
    seen = seen_in(out, empty_scene, 1, tmp_path)[::-1]
    assert seen.shape == (80, 60, 3)
    assert np.abs(seen - picture).mean() < 6


def test_without_sound_there_is_no_sound(frames, tmp_path):
    out = part("addon.scene.movie").encode_movie(frames, tmp_path / "movie.mov", 29.97, codec="H264")
    assert bpy.data.movieclips.load(str(out)).fps == pytest.approx(29.97, abs=1e-3)
    assert b"mp4a" not in out.read_bytes()


def test_what_cannot_be_encoded_is_said_in_a_sentence(frames, tmp_path):
    encode, problem = part("addon.scene.movie").encode_movie, part("core.errors").SettingsError
    out = tmp_path / "movie.mp4"
    out.write_bytes(b"old")
    with pytest.raises(problem, match="codec 'XVID' is not known"):
        encode(frames, out, 25.0, codec="XVID")
    with pytest.raises(problem, match=r"cannot be called movie\.gif"):
        encode(frames, tmp_path / "movie.gif", 25.0)
    with pytest.raises(problem, match="no frames"):
        encode(tmp_path, out, 25.0)
    with pytest.raises(problem, match=r"sound .* is missing"):
        encode(frames, out, 25.0, tmp_path / "absent.wav")
    write_png(frames / "frame_00012.png", 64, 48, 0)
    with pytest.raises(problem, match="another size"):
        encode(frames, out, 25.0)
    (frames / "frame_00012.png").write_bytes(b"\x89PNG")
    with pytest.raises(problem, match="incomplete"):
        encode(frames, out, 25.0)
    assert out.read_bytes() == b"old"


def test_ffmpeg_gets_leaps_settings():
    ffmpeg = part("addon.scene.ffmpeg")
    plain = ffmpeg.arguments("ffmpeg", (64, 48), 30, 60.0, None, 0.0, "H265", Path("/a b/out.mp4"))
    assert plain[-1] == "/a b/out.mp4"
    assert plain[plain.index("-r") + 1] == "60/1"
    assert " ".join(plain).endswith("-c:v libx265 -crf 2 -vf format=yuv420p10le -tag:v hvc1 /a b/out.mp4")
    odd = ffmpeg.arguments("ffmpeg", (65, 48), 30, 29.97003, Path("/s.wav"), 0.5, "H265", Path("/out.mp4"))
    assert odd[odd.index("-r") + 1] == "30000/1001"
    assert odd[odd.index("-ss") + 1 : odd.index("-ss") + 4] == ["0.500000", "-i", "file:/s.wav"]
    assert odd[odd.index("-vf") + 1].endswith(",format=yuv420p10le")
    assert float(odd[odd.index("-t") + 1]) == pytest.approx(30 * 1001 / 30000, abs=1e-6)


def fake_ffmpeg(folder: Path, script: str) -> None:
    folder.mkdir()
    program = folder / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_ffmpeg_is_fed_every_picture_and_writes_the_movie(frames, tmp_path, monkeypatch):
    fake_ffmpeg(tmp_path / "bin", 'for last; do :; done; cat > "$last"')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    out = part("addon.scene.movie").encode_movie(frames, tmp_path / "movie.mp4", 30.0, encoder="FFMPEG")
    pictures = sorted(frames.glob("*.png"))
    assert out.read_bytes() == b"".join(path.read_bytes() for path in pictures)


def test_a_failing_or_missing_ffmpeg_says_why_and_leaves_the_old_movie(frames, tmp_path, monkeypatch):
    encode, problem = part("addon.scene.movie").encode_movie, part("core.errors").SettingsError
    out = tmp_path / "movie.mp4"
    out.write_bytes(b"old")
    fake_ffmpeg(tmp_path / "bin", "echo 'Unknown encoder libx265' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(problem, match="Unknown encoder libx265"):
        encode(frames, out, 30.0, encoder="FFMPEG")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(problem, match="ffmpeg is not installed"):
        encode(frames, out, 30.0, encoder="FFMPEG")
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "frames", "movie.mp4"]
