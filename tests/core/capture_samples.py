# SPDX-License-Identifier: GPL-3.0-or-later
"""Make captures in temporary folders: takes, Leap archives, movies, and archives no phone would write."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from core.arkit import LIVE_LINK_CSV_NAMES

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
"""Real files that are not part of the project; tests that use them skip where they are absent."""
TAKE = DATA / "takes" / "live_link_face.csv"
STREAM = DATA / "streams" / "live_link_face.gesichter"
HEADER = ("Timecode", "BlendShapeCount", *LIVE_LINK_CSV_NAMES)
COLUMN = {name: index for index, name in enumerate(LIVE_LINK_CSV_NAMES)}


def timecode(seconds: float) -> str:
    """`HH:MM:SS:FF.mmm` of a time of day, FF counting sixtieths."""
    thousandths = round(seconds * 60_000) % (86_400 * 60_000)
    second, rest = divmod(thousandths, 60_000)
    return (
        f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
    )


def real_file(path: Path) -> Path:
    """The path, or a skip where the shared data is not at hand."""
    if not path.exists():
        pytest.skip(f"{path.name} of the shared test data is not here")
    return path


def motion(rows: int, rate: float = 30.0, head: bool = True, seed: int = 7) -> np.ndarray:
    """(T, 61) float64 smooth weights in 0..1 and small angles, in CSV order."""
    rng = np.random.default_rng(seed)
    time = np.arange(rows)[:, None] / rate
    speed, phase = rng.uniform(0.3, 1.5, 61), rng.uniform(0.0, 6.0, 61)
    values = 0.5 + 0.4 * np.sin(2 * np.pi * speed * time + phase)
    values[:, 52:] = 0.3 * (values[:, 52:] - 0.5)
    if not head:
        values[:, 52:55] = 0.0
    return values


def csv_text(
    values: np.ndarray,
    seconds: np.ndarray | None = None,
    header: Iterable[str] = HEADER,
    delimiter: str = ",",
    newline: str = "\n",
) -> str:
    """A table as the app writes it; `seconds` (T,) are times of day, by default 30 rows/s from 13:13:04."""
    seconds = 47584.5 + np.arange(len(values)) / 30.0 if seconds is None else seconds
    rows = [delimiter.join(header)]
    for second, row in zip(seconds, values, strict=True):
        rows.append(delimiter.join([timecode(float(second)), "61", *(f"{value:.10f}" for value in row)]))
    return newline.join(rows) + newline


def write_csv(path: Path, rows: int = 60, **options: object) -> Path:
    """Write a table of smooth motion."""
    path.write_text(csv_text(motion(rows), **options), encoding="utf-8", newline="")  # type: ignore[arg-type]
    return path


def png_bytes(width: int = 8, height: int = 6, shade: int = 128) -> bytes:
    """A grey PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = b"".join(b"\0" + bytes([shade]) * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(pixels))
        + chunk(b"IEND", b"")
    )


def jpeg_bytes(width: int = 48, height: int = 64, orientation: int | None = None) -> bytes:
    """A valid grey JPEG, with an EXIF orientation if one is given.

    Every 8 x 8 block is two bits: no change of brightness, end of block, each the only code of its table.
    """

    def segment(marker: int, data: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data

    one_code = bytes([1] + [0] * 15) + b"\0"
    blocks = -(-width // 8) * -(-height // 8)
    bits = "0" * (2 * blocks)
    bits += "1" * (-len(bits) % 8)
    out = b"\xff\xd8"
    if orientation is not None:
        entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
        out += segment(0xE1, b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4))
    out += segment(0xDB, b"\0" + bytes([16]) * 64)
    out += segment(0xC0, struct.pack(">BHHB3B", 8, height, width, 1, 1, 0x11, 0))
    out += segment(0xC4, b"\x00" + one_code) + segment(0xC4, b"\x10" + one_code)
    out += segment(0xDA, bytes([1, 1, 0, 0, 63, 0]))
    return out + int(bits, 2).to_bytes(len(bits) // 8, "big") + b"\xff\xd9"


def obj_text(columns: int = 4, rows: int = 4) -> str:
    """A bent grid of triangles with texture coordinates, the size of a face."""
    points, uv, faces = [], [], []
    for j in range(rows):
        for i in range(columns):
            x, y = i / (columns - 1) - 0.5, j / (rows - 1) - 0.5
            points.append(f"v {0.15 * x:.6f} {0.2 * y:.6f} {0.08 * (0.5 - x * x - y * y):.6f}")
            uv.append(f"vt {x + 0.5:.6f} {y + 0.5:.6f}")
    for j in range(rows - 1):
        for i in range(columns - 1):
            a, b = j * columns + i + 1, (j + 1) * columns + i + 1
            faces += [f"f {a}/{a} {a + 1}/{a + 1} {b + 1}/{b + 1}", f"f {a}/{a} {b + 1}/{b + 1} {b}/{b}"]
    return "\n".join(["# face", *points, *uv, *faces]) + "\n"


def write_movie(
    path: Path, seconds: float = 1.0, fps: int = 30, sound: bool = True, size: tuple[int, int] = (64, 48)
) -> Path:
    """A small MPEG-4 movie of changing grey with a tone."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as movie:
        video = movie.add_stream("mpeg4", rate=fps)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        tone = movie.add_stream("aac", rate=44100, layout="mono") if sound else None
        for index in range(round(seconds * fps)):
            picture = np.full((size[1], size[0], 3), index * 4 % 256, np.uint8)
            movie.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        movie.mux(video.encode())
        if tone is not None:
            wave = np.sin(2 * np.pi * 440 * np.arange(round(seconds * 44100)) / 44100).astype(np.float32)
            for start in range(0, len(wave), 1024):
                frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], "fltp", "mono")
                frame.sample_rate, frame.pts = 44100, start
                movie.mux(tone.encode(frame))
            movie.mux(tone.encode())
    return path


def rotate_movie(path: Path, degrees: int) -> Path:
    """Write a display rotation, clockwise, into the first track header of an MP4."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    a, b, c, d = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    struct.pack_into(">9i", data, matrix, a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def leap_folder(folder: Path, movie: Path | None = None, weights: bool = True, old: bool = False) -> Path:
    """An unpacked Leap archive: photo, mesh, data.bin, and the open sidecar with the weights."""
    folder.mkdir(parents=True)
    (folder / ("1.jpg" if old else "photo.jpg")).write_bytes(jpeg_bytes())
    rng = np.random.default_rng(3)
    (folder / ("data.txt" if old else "data.bin")).write_bytes(b"LEAP" + rng.bytes(4096 - 4))
    (folder / "faceGeometry1.obj").write_text(obj_text(), encoding="ascii")
    if weights:
        write_csv(folder / "weights.csv")
    if movie is not None:
        (folder / "source").mkdir()
        (folder / "source" / "ARVideo.mp4").write_bytes(movie.read_bytes())
    return folder


def take_folder(folder: Path, movie: Path | None = None, rows: int = 60, lead: float = 0.0) -> Path:
    """A Live Link Face take; the table begins `lead` s after the movie."""
    folder.mkdir(parents=True)
    seconds = 47584.5 + lead + np.arange(rows) / 30.0
    (folder / "Slate_1_iPhone.csv").write_text(csv_text(motion(rows), seconds), encoding="utf-8")
    facts = {
        "subject": "iPhone", "slate": "Slate", "take": 1, "appVersion": "1.3.2", "deviceModel": "iPhone13,3",
        "startTimecode": timecode(47584.5), "endTimecode": timecode(47584.5 + rows / 30.0),
        "frames": rows, "calibrated": False, "startTimestamp": {"timescale": 1000000000, "value": 5},
    }  # fmt: skip
    (folder / "take.json").write_text(json.dumps(facts), encoding="utf-8")
    (folder / "frame_log.csv").write_text(
        f"V,0,{facts['startTimecode']}\nA,0,{facts['startTimecode']}\n", encoding="utf-8"
    )
    (folder / "thumbnail.jpg").write_bytes(jpeg_bytes())
    if movie is not None:
        (folder / "Slate_1_iPhone.mov").write_bytes(movie.read_bytes())
    return folder


def zip_folder(folder: Path, path: Path, top: str = "") -> Path:
    """Pack a folder, under one top-level folder if a name is given."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(
                    file,
                    f"{top}/{file.relative_to(folder).as_posix()}"
                    if top
                    else file.relative_to(folder).as_posix(),
                )
    return path


def raw_zip(
    path: Path, entries: Iterable[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED
) -> Path:
    """A zip with exactly these entries, whatever their names."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path
