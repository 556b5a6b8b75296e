# SPDX-License-Identifier: GPL-3.0-or-later
"""The movie of a face track: as many pictures as times, at those times, in the colours that were given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")
pytest.importorskip("cv2")

from core.texture.movie_writer import GROUP, TICKS, planes_of, write_movie  # noqa: E402

SIZE = 64
RATES = {
    "even": np.arange(40) / 30.0,
    "television": 0.5 + np.arange(40) * 1001 / 60_000,
    "uneven": np.cumsum(np.random.default_rng(3).choice([1, 2, 5], 40)) / 30.0,
}


def patches(n: int = 0) -> np.ndarray:
    """(SIZE, SIZE, 3) uint8: 16 even colours, another order for each n."""
    colours = np.random.default_rng(1).integers(25, 230, (4, 4, 3)).astype(np.uint8)
    return np.ascontiguousarray(np.kron(np.roll(colours, n, axis=0), np.ones((16, 16, 1), np.uint8)))


def written(path: Path, times: np.ndarray) -> list:
    with write_movie(path, SIZE, times) as movie:
        for n in range(len(times)):
            movie.write(patches(n))
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


@pytest.mark.parametrize("name", RATES)
def test_pictures_and_times_are_exact(tmp_path: Path, name: str) -> None:
    times = RATES[name]
    frames = written(tmp_path / "face.mp4", times)
    assert len(frames) == len(times)
    found = np.array([float(frame.pts * frame.time_base) for frame in frames])
    assert np.abs(found - times).max() <= 0.51 / TICKS
    alone = [n for n, frame in enumerate(frames) if frame.key_frame]
    assert np.diff([*alone, len(frames)]).max() <= GROUP


def test_a_reader_is_told_the_rate(tmp_path: Path) -> None:
    for name, rate in (("even", 30.0), ("television", 60_000 / 1001)):
        written(tmp_path / "face.mp4", RATES[name])
        with av.open(str(tmp_path / "face.mp4")) as container:
            assert float(container.streams.video[0].guessed_rate) == pytest.approx(rate, rel=1e-6)


def test_colours_come_back(tmp_path: Path) -> None:
    frames = written(tmp_path / "face.mp4", RATES["even"])
    context = frames[0]
    assert (int(context.colorspace), int(context.color_range)) == (1, 1)
    for n in (0, 7, 39):
        # Without swscale, which rounds down: ITU-R BT.709 turned round.
        rgb = upright(frames[n])
        middle = rgb.reshape(4, 16, 4, 16, 3)[:, 5:11, :, 5:11].mean(axis=(1, 3))
        assert np.abs(middle - patches(n)[8::16, 8::16]).max() < 3.0
        assert np.abs((middle - patches(n)[8::16, 8::16]).mean()) < 0.5


def upright(frame) -> np.ndarray:
    """(H, W, 3) float64 0..255 RGB of a frame, chroma by nearest."""
    y, u, v = (
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width].astype(float)
        for plane in frame.planes
    )
    u, v = (np.kron(chroma - 128.0, np.ones((2, 2))) * 255 / 224 for chroma in (u, v))
    y = (y - 16.0) * 255 / 219
    red, blue = y + 1.5748 * v, y + 1.8556 * u
    return np.stack([red, (y - 0.2126 * red - 0.0722 * blue) / 0.7152, blue], axis=-1)


def test_a_plane_is_what_the_standard_says() -> None:
    white, red = np.full((2, 2, 3), 255, np.uint8), np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 255
    assert [int(plane.flat[0]) for plane in planes_of(white)] == [235, 128, 128]
    assert [int(plane.flat[0]) for plane in planes_of(red)] == [63, 102, 240]


def write_some(path: Path, stop: bool = False) -> None:
    """One picture of 40."""
    with write_movie(path, SIZE, RATES["even"]) as movie:
        movie.write(patches())
        if stop:
            raise KeyboardInterrupt


def test_nothing_is_left_of_a_movie_that_breaks_off(tmp_path: Path) -> None:
    path = tmp_path / "face.mp4"
    path.write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt):
        write_some(path, stop=True)
    with pytest.raises(ValueError, match="1 pictures for 40"):
        write_some(path)
    assert [file.name for file in tmp_path.iterdir()] == ["face.mp4"]
    assert path.read_bytes() == b"before"


@pytest.mark.parametrize("times", [[], [0.0, 0.0], [0.0, 1e-6], [-0.1, 0.0]])
def test_times_must_rise(tmp_path: Path, times: list[float]) -> None:
    with pytest.raises(ValueError, match="rise"), write_movie(tmp_path / "face.mp4", SIZE, np.array(times)):
        pass


def test_one_picture_is_a_movie_too(tmp_path: Path) -> None:
    assert len(written(tmp_path / "face.mp4", np.array([0.0]))) == 1
