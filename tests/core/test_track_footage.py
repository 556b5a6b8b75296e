# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracking of footage that is turned, uneven, crowded, dark, damaged or missing, by the sample's person."""

from __future__ import annotations

import argparse
import io
import threading
from pathlib import Path

import numpy as np
import pytest
from track_clips import SAMPLE, clip, sample_frames, write_clip

from core.__main__ import parser
from core.capture import Capture, Member, open_capture
from core.errors import Cancelled, CaptureError, ModelError, SettingsError, WorkerError
from core.files import sha256_of
from core.progress import silent
from core.track import Face, Track, open_detector, quiet, track_capture
from core.track.bundle import FILE, find_bundle
from core.track.fetch import fetch_bundle
from core.track.lanes import detect_all
from core.track.movie import Movie
from core.track.pictures import Stills, read_photo
from core.track.search import tiles

for _library in ("av", "cv2", "PIL"):
    pytest.importorskip(_library)
try:
    with quiet():
        open_detector().close()
except WorkerError as problem:
    pytest.skip(str(problem), allow_module_level=True)

SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return sample_frames()


@pytest.fixture(scope="module")
def plain(frames: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Track:
    """The track of the clip as it is."""
    return track_capture(clip(tmp_path_factory.mktemp("plain") / "a.mp4", frames))


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Mean px between landmarks of frames that both have."""
    return float(np.nanmean(np.linalg.norm(a[..., :2] - b[..., :2], axis=-1)))


# --- time and form


def test_every_frame_is_tracked_at_its_time(frames: np.ndarray, plain: Track) -> None:
    np.testing.assert_allclose(plain.time, np.arange(len(frames)) / 30.0, atol=1e-9)
    assert plain.tracked.all() and plain.confidence.min() > 0.5 and not plain.warnings
    assert plain.size.tolist() == [[frames.shape[2], frames.shape[1]]] * len(frames)
    low, high = plain.landmarks[..., :2].min((0, 1)), plain.landmarks[..., :2].max((0, 1))
    assert (low > 0).all() and (high < plain.size[0]).all()


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_movie_is_tracked_as_shown(
    frames: np.ndarray, plain: Track, turn: int, tmp_path: Path
) -> None:
    stored = [np.rot90(frame, turn // 90) for frame in frames[:4]]
    track = track_capture(clip(tmp_path / "turned.mp4", stored, turn=turn))
    assert track.size.tolist() == plain.size[:4].tolist()
    assert distance(track.landmarks, plain.landmarks[:4]) < 1.0


def test_uneven_times_are_kept(frames: np.ndarray, tmp_path: Path) -> None:
    times = np.array([0, 18, 60, 66, 90, 180, 186, 240, 270, 300, 360, 540]) / 600.0
    track = track_capture(clip(tmp_path / "uneven.mp4", frames, times=times))
    np.testing.assert_allclose(track.time, times, atol=1e-9)


def test_time_starts_with_the_sound_where_that_is_first(frames: np.ndarray, tmp_path: Path) -> None:
    """A movie whose pictures begin late has them late; its clock may begin anywhere."""
    import av

    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as movie:
        video = movie.add_stream("mpeg4", rate=30)
        video.height, video.width, video.pix_fmt = *frames[0].shape[:2], "yuv420p"
        sound = movie.add_stream("pcm_s16le", rate=8000, layout="mono")
        for index in range(20):
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 400), np.int16), "s16", "mono")
            tone.sample_rate, tone.pts = 8000, 16000 + 400 * index
            movie.mux(sound.encode(tone))
        for index, picture in enumerate(frames[:3]):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            frame.pts = 75 + index  # 2.5 s, half a second after the sound
            movie.mux(video.encode(frame))
        movie.mux(video.encode())
        movie.mux(sound.encode())
    with Movie(Member(path.name, path.stat().st_size, path)) as movie:
        times = [picture.time for picture in movie]
    np.testing.assert_allclose(times, [0.5, 0.5 + 1 / 30, 0.5 + 2 / 30], atol=2e-3)


def test_large_frames_are_looked_at_small_and_reported_in_full(frames: np.ndarray, tmp_path: Path) -> None:
    large = np.repeat(np.repeat(frames[:3], 4, axis=1), 4, axis=2)
    track = track_capture(clip(tmp_path / "large.mp4", large))
    with Movie(open_capture(tmp_path / "large.mp4").movie) as movie:  # type: ignore[arg-type]
        assert all(max(picture.rgb.shape) <= 960 for picture in movie)
    small = track_capture(clip(tmp_path / "small.mp4", frames[:3]))
    assert track.size[0].tolist() == [4 * frames.shape[2], 4 * frames.shape[1]]
    assert distance(track.landmarks / 4.0, small.landmarks) < 1.0


def test_a_packed_movie_is_tracked_as_a_plain_one(tmp_path: Path) -> None:
    packed = open_capture(SAMPLE)
    assert packed.movie is not None
    plain = open_capture(packed.movie.extract_to(tmp_path))
    with Movie(packed.movie) as a, Movie(plain.movie) as b:  # type: ignore[arg-type]
        for first, second in zip(a, b, strict=True):
            assert first.time == second.time
            np.testing.assert_array_equal(first.rgb, second.rgb)


def test_the_same_take_gives_the_same_track(frames: np.ndarray, tmp_path: Path) -> None:
    capture = clip(tmp_path / "a.mp4", frames)
    first, second = track_capture(capture), track_capture(capture)
    np.testing.assert_array_equal(first.landmarks, second.landmarks)


# --- who, and what is lost


def test_the_one_who_stays_is_tracked_beside_another(frames: np.ndarray, tmp_path: Path) -> None:
    """A larger face that is there for a third of the take does not take the track over."""
    height, width = frames.shape[1:3]
    both = np.zeros((len(frames), 2 * height, 3 * width, 3), np.uint8)
    both[:, :height, :width] = frames
    double = np.repeat(np.repeat(frames, 2, axis=1), 2, axis=2)
    both[4:6, :, width:] = double[4:6]
    track = track_capture(clip(tmp_path / "two.mp4", both))
    assert track.tracked.all() and np.nanmax(track.landmarks[..., 0]) < width
    assert track.faces == 2 and any("2 faces" in warning for warning in track.warnings)


def test_dark_frames_are_lost_and_the_face_is_found_again(
    frames: np.ndarray, plain: Track, tmp_path: Path
) -> None:
    dark = frames.copy()
    dark[4:7] = 0
    track = track_capture(clip(tmp_path / "dark.mp4", dark))
    assert list(np.flatnonzero(~track.tracked)) == [4, 5, 6]
    assert np.isnan(track.landmarks[4:7]).all() and not track.confidence[4:7].any()
    assert any("3 pictures" in warning for warning in track.warnings)
    assert distance(track.landmarks, plain.landmarks) < 1.0


def test_blurred_frames_are_trusted_less(frames: np.ndarray, plain: Track, tmp_path: Path) -> None:
    import cv2

    blurred = frames.copy()
    blurred[6] = cv2.GaussianBlur(frames[6], (0, 0), 5.0)
    track = track_capture(clip(tmp_path / "blurred.mp4", blurred))
    assert track.confidence[6] < 0.5 * plain.confidence[6]
    assert track.confidence[2] == pytest.approx(plain.confidence[2], abs=0.2)


def test_a_face_too_small_for_the_detector_is_looked_at_closer(
    frames: np.ndarray, plain: Track, tmp_path: Path
) -> None:
    """The face is 5% of the picture's width; the detector alone finds faces from 10% on."""
    wide = np.full((5, 1280, 1920, 3), 90, np.uint8)
    at = np.array([1400, 700])
    small = frames[:5, ::2, ::2]
    wide[:, at[1] : at[1] + small.shape[1], at[0] : at[0] + small.shape[2]] = small
    track = track_capture(clip(tmp_path / "wide.mp4", wide))
    assert track.tracked.all() and track.size[0].tolist() == [1920, 1280]
    assert distance((track.landmarks[..., :2] - at) * 2.0, plain.landmarks[:5]) < 4.0
    photo = photo_capture(tmp_path / "photos", {"a.jpg": jpeg(wide[0]), "b.jpg": jpeg(wide[1])})
    photos = track_capture(photo)
    assert photos.tracked.all() and photos.time.tolist() == [0, 1]
    assert distance(photos.landmarks, track.landmarks[:2]) < 2.0


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (100, 100), (7, 300)])
def test_tiles_cover_the_picture_and_overlap_by_half(size: tuple[int, int]) -> None:
    count = np.zeros(size[::-1], int)
    found = list(tiles(*size, 0.5))
    for left, top, right, bottom in found:
        count[top:bottom, left:right] += 1
        assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
    assert count.min() >= 1 and len(found) <= 9


# --- photos and folders of frames


def photo_capture(folder: Path, pictures: dict[str, bytes]) -> Capture:
    folder.mkdir()
    for name, data in pictures.items():
        (folder / name).write_bytes(data)
    return open_capture(folder)


def jpeg(rgb: np.ndarray, orientation: int = 1) -> bytes:
    import PIL.Image

    out, exif = io.BytesIO(), PIL.Image.Exif()
    exif[0x0112] = orientation
    PIL.Image.fromarray(rgb).save(out, "JPEG", quality=95, exif=exif)
    return out.getvalue()


def test_photos_are_turned_as_their_exif_block_says(frames: np.ndarray, tmp_path: Path) -> None:
    # As stored, where showing turns them: 6 by 90 degrees clockwise, 3 by 180, 8 by 270; 2 is a mirror image.
    stored = {1: frames[0], 6: np.rot90(frames[0], 1), 3: np.rot90(frames[0], 2), 8: np.rot90(frames[0], 3)}
    stored[2] = frames[0][:, ::-1]
    names = {f"p{number}.jpg": jpeg(np.ascontiguousarray(rgb), number) for number, rgb in stored.items()}
    track = track_capture(photo_capture(tmp_path / "photos", names))
    assert not track.ordered and track.time.tolist() == [0, 1, 2, 3, 4]
    assert track.size.tolist() == [[frames.shape[2], frames.shape[1]]] * 5
    assert max(distance(landmarks, track.landmarks[0]) for landmarks in track.landmarks) < 1.5


def test_an_unreadable_photo_is_left_out_by_name(frames: np.ndarray, tmp_path: Path) -> None:
    good = jpeg(np.ascontiguousarray(frames[0]))
    track = track_capture(photo_capture(tmp_path / "p", {"a.jpg": good, "b.jpg": good[:300], "c.jpg": good}))
    assert track.time.tolist() == [0, 2] and track.skipped == 1
    assert sum("b.jpg" in warning for warning in track.warnings) == 1


def test_numbered_frames_are_a_movie_of_thirty_a_second(frames: np.ndarray, tmp_path: Path) -> None:
    names = {f"f_{index:03d}.jpg": jpeg(np.ascontiguousarray(frame)) for index, frame in enumerate(frames)}
    track = track_capture(photo_capture(tmp_path / "frames", names))
    assert track.ordered
    np.testing.assert_allclose(track.time, np.arange(len(frames)) / 30.0)


def test_photos_of_any_depth_are_read(tmp_path: Path) -> None:
    import PIL.Image

    deep = tmp_path / "deep.png"
    PIL.Image.fromarray(np.full((6, 8), 0x8000, np.uint16)).save(deep)
    rgb, size = read_photo(Member(deep.name, deep.stat().st_size, deep))
    assert size == (8, 6) and rgb.shape == (6, 8, 3) and (rgb == 0x80).all()


def test_heic_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "IMG_1.HEIC"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    with pytest.raises(CaptureError, match="HEIC"):
        read_photo(Member(path.name, path.stat().st_size, path))
    stills = Stills([Member(path.name, path.stat().st_size, path)], ordered=False)
    assert not list(stills) and stills.skipped == 1 and "HEIC" in stills.problems[0]


def test_a_picture_that_claims_a_huge_size_is_refused(tmp_path: Path) -> None:
    from capture_samples import png_bytes

    data = bytearray(png_bytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    path = tmp_path / "huge.png"
    path.write_bytes(bytes(data))
    with pytest.raises(CaptureError):
        read_photo(Member(path.name, path.stat().st_size, path))


# --- footage that gives no track


def test_footage_without_a_face_is_one_sentence(frames: np.ndarray, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (3, 120, 160, 3), np.uint8)
    with pytest.raises(CaptureError, match=r"No face was found in noise\.mp4"):
        track_capture(clip(tmp_path / "noise.mp4", noise))
    with pytest.raises(CaptureError, match=r"dark\.mp4 is almost black"):
        track_capture(clip(tmp_path / "dark.mp4", noise // 60))
    with pytest.raises(CaptureError, match="single picture"):
        track_capture(clip(tmp_path / "one.mp4", frames[:1]))
    sheet = tmp_path / "take.csv"
    from capture_samples import write_csv

    with pytest.raises(CaptureError, match="no movie and no photo"):
        track_capture(open_capture(write_csv(sheet)))
    with pytest.raises(SettingsError, match="media"):
        track_capture(open_capture(SAMPLE), media="sound")


def test_damaged_frames_are_skipped_and_counted(frames: np.ndarray, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "damaged.mp4", frames)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat")
    middle = start + (len(data) - start) // 2
    data[middle : middle + 4000] = bytes(4000)
    path.write_bytes(bytes(data))
    track = track_capture(open_capture(path))
    assert track.tracked.sum() >= 6
    assert track.frame_count + track.skipped == len(frames) or track.skipped == 0
    assert np.isin(np.round(track.time * 30).astype(int), np.arange(len(frames))).all()


def test_a_movie_that_breaks_off_says_after_how_many_pictures(frames: np.ndarray, tmp_path: Path) -> None:
    whole, path = write_clip(tmp_path / "whole.mp4", frames), tmp_path / "half.mp4"
    av = pytest.importorskip("av")
    with av.open(str(whole)) as movie, av.open(str(path), "w", options={"movflags": "faststart"}) as copy:
        stream = copy.add_stream_from_template(movie.streams.video[0])
        for packet in movie.demux(movie.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    track = track_capture(open_capture(path))
    assert 3 <= track.frame_count < len(frames)
    assert f"breaks off after {track.frame_count} of {len(frames)} pictures" in " ".join(track.warnings)


@pytest.mark.parametrize("size", [0, 40, 700])
def test_a_cut_movie_is_one_sentence(frames: np.ndarray, size: int, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "cut.mp4", frames)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CaptureError) as problem:
        track_capture(Capture("video", path, "cut", (), movie=Member(path.name, size, path)))
    assert "cut.mp4" in problem.value.message


def test_cancelling_stops_all_threads(frames: np.ndarray, tmp_path: Path) -> None:
    def stop(fraction: float, _stage: str, _text: str) -> None:
        if fraction > 0:
            raise Cancelled("Stopped.")

    before = threading.active_count()
    with pytest.raises(Cancelled):
        track_capture(clip(tmp_path / "a.mp4", frames), stop)
    assert threading.active_count() == before


class Broken:
    """A detector that fails at the third picture."""

    name, independent, notes, seen = "broken", True, (), 0

    def detect(self, rgb: np.ndarray, time: float) -> list[Face]:
        self.seen += 1
        if self.seen == 3:
            raise RuntimeError("graph")
        return []

    def restart(self) -> None: ...

    def close(self) -> None: ...


def test_a_failing_detector_is_heard_of(frames: np.ndarray, tmp_path: Path) -> None:
    with Movie(clip(tmp_path / "a.mp4", frames).movie) as movie, pytest.raises(RuntimeError, match="graph"):  # type: ignore[arg-type]
        detect_all(movie, Broken, 2, lambda _count: None)


# --- detectors and their model


def test_both_detectors_agree(frames: np.ndarray, tmp_path: Path) -> None:
    if find_bundle() is None:
        pytest.skip(f"{FILE} is not here")
    capture = clip(tmp_path / "a.mp4", frames[:4])
    try:
        wheel = track_capture(capture, detector="wheel")
    except WorkerError as problem:
        pytest.skip(str(problem))
    bundle = track_capture(capture, detector="bundle")
    size = np.linalg.norm(wheel.box()[0, 2:] - wheel.box()[0, :2])
    assert distance(wheel.landmarks, bundle.landmarks) < 0.02 * size
    assert wheel.scores is None and bundle.scores is not None and bundle.transform is not None
    assert bundle.scores.max() <= 1.0 and not bundle.scores[:, 51].any()


def test_an_independent_detector_is(frames: np.ndarray) -> None:
    if find_bundle() is None:
        pytest.skip(f"{FILE} is not here")
    from core.track.pictures import squared

    with quiet():
        detector = open_detector(kind="bundle")
        alone = detector.detect(squared(frames[9]), 0.3)[0]
        for index in range(9):
            detector.detect(squared(frames[index]), 1.0 + index / 30)
        after = detector.detect(squared(frames[9]), 1.3)[0]
        detector.close()
    np.testing.assert_array_equal(alone.landmarks, after.landmarks)


def test_a_damaged_or_missing_bundle_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / FILE).write_bytes(b"PK\x03\x04 no bundle")
    with quiet(), pytest.raises(ModelError, match=FILE):
        open_detector([tmp_path], kind="bundle")
    monkeypatch.setattr("core.track.bundle.model_places", lambda _models: iter(()))
    with pytest.raises(ModelError, match="not found"):
        open_detector(kind="bundle")
    with pytest.raises(SettingsError):
        open_detector(kind="other")


def test_another_version_of_the_bundle_is_used_with_a_warning(frames: np.ndarray, tmp_path: Path) -> None:
    known = find_bundle()
    if known is None:
        pytest.skip(f"{FILE} is not here")
    other = tmp_path / FILE
    other.write_bytes(known.read_bytes() + bytes(1))  # a zip with something behind it
    capture = clip(tmp_path / "a.mp4", frames[:2])
    assert not track_capture(capture, models=[known.parent]).warnings
    warnings = track_capture(capture, models=[tmp_path]).warnings
    assert any("another version" in warning for warning in warnings)


def test_the_bundle_is_looked_for_where_the_user_says_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("given", "variable"):
        (tmp_path / name).mkdir()
        (tmp_path / name / FILE).touch()
    monkeypatch.setenv("LIKENESS_MODELS", str(tmp_path / "variable"))
    assert find_bundle([tmp_path / "given"]) == tmp_path / "given" / FILE
    assert find_bundle([tmp_path / "nothing"]) == tmp_path / "variable" / FILE


def test_fetching_keeps_only_the_right_file(tmp_path: Path) -> None:
    source = tmp_path / "source.task"
    source.write_bytes(b"bundle" * 50_000)
    good, folder = sha256_of(source), tmp_path / "models"
    with pytest.raises(ModelError, match="not the"):
        fetch_bundle(folder, url=source.as_uri(), sha256="0" * 64)
    with pytest.raises(ModelError, match="cannot be fetched"):
        fetch_bundle(folder, url=(tmp_path / "absent").as_uri(), sha256=good)
    assert not list(folder.iterdir())

    def stop(_fraction: float, _stage: str, _text: str) -> None:
        raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        fetch_bundle(folder, stop, url=source.as_uri(), sha256=good)
    assert not list(folder.iterdir())
    told: list[float] = []
    path = fetch_bundle(folder, lambda fraction, *_: told.append(fraction), url=source.as_uri(), sha256=good)
    assert path.read_bytes() == source.read_bytes() and told == sorted(told) and told[-1] == 1.0
    assert [entry.name for entry in folder.iterdir()] == [FILE]


# --- the command


def test_the_command_writes_the_track_and_says_what_it_saw(frames: np.ndarray, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "take.mp4", frames[:5])
    options: argparse.Namespace = parser().parse_args(["track", str(path), "-o", str(tmp_path / "t.npz")])
    value, lines = options.run(options, silent)
    assert (value["frames"], value["tracked"], value["lost"], value["faces"]) == (5, 5, 0, 1)
    assert Track.load(tmp_path / "t.npz").frame_count == 5 and any("frames/s" in line for line in lines)
    options.output = tmp_path / "absent" / "t.npz"
    with pytest.raises(SettingsError):
        options.run(options, silent)


# --- real footage


@pytest.mark.parametrize(("name", "count"), [("expressions", 183), ("talking", 175)])
def test_every_frame_of_the_shared_clips_is_tracked(name: str, count: int) -> None:
    path = SHARED / "data" / "videos" / f"{name}.mp4"
    if not path.is_file():
        pytest.skip(f"{path.name} of the shared test data is not here")
    track = track_capture(open_capture(path))
    assert track.frame_count == count and track.tracked.all() and track.faces == 1
