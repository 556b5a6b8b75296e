# SPDX-License-Identifier: GPL-3.0-or-later
"""A track as data: what it may hold, its file, gaps, confidence, jitter and who is who. Numpy alone."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import CaptureError, WorkerError
from core.rotation import from_rotation_vector, to_matrix
from core.track import Track, bridged, jitter_px, quiet, still_frames
from core.track import mediapipe_module as module
from core.track.confidence import LEAST, confidence
from core.track.jitter import STILL_POINTS, second_differences
from core.track.people import largest, people, seen
from core.track.shape import aligned, boxes, overlap, profile_angle

RATE = 30.0


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """(478, 3) px: points on the front of an ellipsoid of 200 x 260 px, as a face."""
    rng = np.random.default_rng(1)
    direction = rng.normal(size=(478, 3))
    direction[:, 2] = -np.abs(direction[:, 2])
    direction[[454, 234]] = [[1, 0, 0], [-1, 0, 0]]
    direction[[10, 152]] = [[0, -1, 0], [0, 1, 0]]
    return direction / np.linalg.norm(direction, axis=1, keepdims=True) * [100, 130, 90] + [320, 240, 0]


def moving(face: np.ndarray, count: int = 40) -> np.ndarray:
    """(T, 478, 3): the face sways, rolls and comes nearer."""
    t = np.arange(count) / RATE
    turn = to_matrix(from_rotation_vector(np.outer(0.2 * np.sin(3 * t), [0, 0, 1])))
    rolled = np.einsum("tij,nj->tni", turn, face - [320, 240, 0]) * (1 + 0.1 * t)[:, None, None]
    return rolled + np.array([320, 240, 0]) + np.outer(40 * np.sin(2 * t), [1, 0.5, 0])[:, None]


def track_of(landmarks: np.ndarray, lost: tuple[int, ...] = (), **options: object) -> Track:
    count = len(landmarks)
    landmarks = np.array(landmarks, np.float32)
    trust = np.full(count, 0.8, np.float32)
    scores = np.tile(np.linspace(0, 1, 52, dtype=np.float32), (count, 1))
    scores *= np.arange(1, count + 1, dtype=np.float32)[:, None] / count
    for frame in lost:
        landmarks[frame], scores[frame], trust[frame] = np.nan, np.nan, 0.0
    return Track(
        **{
            "name": "take",
            "time": np.arange(count) / RATE,
            "landmarks": landmarks,
            "confidence": trust,
            "size": np.tile([640, 480], (count, 1)),
            "scores": scores,
            "warnings": ("one",),
            **options,
        }
    )


# --- the data and its file


def test_a_track_comes_back_as_it_was(face: np.ndarray, tmp_path: Path) -> None:
    track = track_of(moving(face), lost=(3, 4), skipped=2, faces=2, detector="d", source="s.mp4")
    track.save(tmp_path / "a.npz")
    again = Track.load(tmp_path / "a.npz")
    for name in ("time", "landmarks", "scores", "confidence", "size"):
        np.testing.assert_array_equal(getattr(again, name), getattr(track, name))
    facts = ("name", "skipped", "faces", "detector", "source", "ordered", "warnings", "transform")
    assert [getattr(again, name) for name in facts] == [getattr(track, name) for name in facts]
    assert list(np.flatnonzero(~again.tracked)) == [3, 4]
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_the_box_holds_the_face_and_not_the_lost(face: np.ndarray) -> None:
    box = track_of(moving(face), lost=(0,)).box()
    assert np.isnan(box[0]).all()
    np.testing.assert_allclose(box[1, 2:] - box[1, :2], [200, 260], atol=12)


@pytest.mark.parametrize(
    "change",
    [
        {"time": np.zeros(40)},
        {"time": np.arange(39.0)},
        {"landmarks": np.zeros((40, 468, 3), np.float32)},
        {"landmarks": np.full((40, 478, 3), np.inf, np.float32)},
        {"landmarks": np.full((40, 478, 3), np.nan, np.float32)},
        {"confidence": np.full(40, 1.5, np.float32)},
        {"confidence": np.zeros(40, np.float32)},
        {"size": np.zeros((40, 2), np.int32)},
        {"scores": np.zeros((40, 51), np.float32)},
        {"transform": np.zeros((40, 3, 3), np.float32)},
    ],
)
def test_a_wrong_array_is_refused(face: np.ndarray, change: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError):
        replace(track_of(moving(face)), **change)


def test_a_lost_frame_with_values_is_refused(face: np.ndarray) -> None:
    track = track_of(moving(face))
    with pytest.raises(ValueError, match="NaN elsewhere"):
        replace(track, confidence=np.r_[np.zeros(1, np.float32), track.confidence[1:]])


def test_hostile_files_are_one_sentence(face: np.ndarray, tmp_path: Path) -> None:
    good = tmp_path / "good.npz"
    track_of(moving(face, 4)).save(good)
    with np.load(good) as arrays:
        parts = dict(arrays)
    for number, (change, said) in enumerate(
        [
            ({"meta": np.array("{")}, "not a track"),
            ({"meta": np.array(json.dumps({"schema": 1, "kind": "other"}))}, "not a track"),
            ({"meta": np.array(json.dumps({"schema": 9, "kind": "track"}))}, "newer version"),
            ({"meta": np.array(json.dumps({"schema": 1, "kind": "track", "skipped": "x"}))}, "not a usable"),
            ({"landmarks": np.zeros((4, 3), np.float32)}, "not a usable"),
            ({"confidence": np.array(["a"] * 4)}, "not a usable"),
            ({"time": np.array([0.0, 1.0, 1.0, 2.0])}, "not a usable"),
        ]
    ):
        path = tmp_path / f"{number}.npz"
        np.savez(path, **{**parts, **change})
        with pytest.raises(CaptureError, match=said):
            Track.load(path)
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, **{**parts, "landmarks": np.array([{}])})
    cut = tmp_path / "cut.npz"
    cut.write_bytes(good.read_bytes()[:-200])
    without = tmp_path / "without.npz"
    np.savez(without, **{name: array for name, array in parts.items() if name != "time"})
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
        archive.writestr("meta.npy", "hello")
    for path in (pickled, cut, without, tmp_path / "text.npz", tmp_path / "absent.npz"):
        with pytest.raises(CaptureError):
            Track.load(path)


# --- gaps


def test_short_gaps_are_bridged_by_time_and_stay_untrusted(face: np.ndarray) -> None:
    start, end = np.asarray(face), np.add(face, [30, 0, 0])
    time = np.array([0.0, 0.02, 0.1, 0.2])
    track = track_of(np.stack([start, start, start, end]), lost=(1, 2), time=time)
    filled = bridged(track)
    assert filled.filled.tolist() == [False, True, True, False]
    np.testing.assert_allclose(filled.landmarks[1], np.add(start, [3, 0, 0]), atol=1e-3)
    np.testing.assert_allclose(filled.landmarks[2], np.add(start, [15, 0, 0]), atol=1e-3)
    assert track.confidence[1] == 0 and np.isnan(track.landmarks[1]).all()
    assert filled.scores is not None and np.isfinite(filled.scores).all()


def test_long_gaps_ends_and_photos_are_not(face: np.ndarray) -> None:
    frames = np.stack([face] * 40)
    lost = (0, *range(10, 30), 39)
    assert not bridged(track_of(frames, lost=lost)).filled.any()
    assert bridged(track_of(frames, lost=lost), limit=1.0).filled.sum() == 20
    assert not bridged(track_of(frames, lost=(5,), ordered=False)).filled.any()


# --- geometry and jitter


def test_alignment_removes_any_similarity(face: np.ndarray) -> None:
    points = moving(face)[..., :2]
    np.testing.assert_allclose(aligned(points, points[::-1]), points[::-1], atol=1e-9)


def test_jitter_is_that_of_the_noise_and_not_of_the_head(face: np.ndarray) -> None:
    """White noise of s px in x and y has a second difference of s sqrt(12); alignment takes a little."""
    time, clean = np.arange(300) / RATE, moving(face, 300)
    assert jitter_px(time, clean) < 1e-6
    noise = np.random.default_rng(0).normal(0, 0.5, clean.shape)
    assert jitter_px(time, clean + noise) == pytest.approx(0.5 * np.sqrt(12), rel=0.05)


def test_a_talking_mouth_is_no_jitter(face: np.ndarray) -> None:
    jaw = np.zeros_like(face)
    jaw[[13, 14, 17, 87, 317], 1] = 20.0
    time = np.arange(120) / RATE
    assert jitter_px(time, face + np.sin(30 * time)[:, None, None] * jaw) < 1e-6


def test_uneven_steps_are_no_jitter(face: np.ndarray) -> None:
    time = np.array([0.0, 0.03, 0.05, 0.09, 0.12, 0.15])
    bend = np.zeros_like(face)
    bend[:200, 1] = 1.0  # part of the face moves steadily
    landmarks = face + 20 * time[:, None, None] * bend
    assert np.nanmax(second_differences(time, landmarks)) < 0.01


def test_still_frames_are_those_where_nothing_acts(face: np.ndarray) -> None:
    time = np.arange(120) / RATE
    raised = np.where(time > 2.0, np.sin(8 * (time - 2.0)), 0.0)
    brow = np.zeros_like(face)
    brow[list(STILL_POINTS)[:20], 1] = 20.0
    noise = np.random.default_rng(0).normal(0, 0.2, (120, *face.shape))
    still = still_frames(time, face + raised[:, None, None] * brow + noise)
    assert still.sum() > 20 and time[still].max() < 2.1


def test_lost_frames_and_gaps_give_no_difference(face: np.ndarray) -> None:
    landmarks = moving(face)
    landmarks[10] = np.nan
    time = np.arange(40) / RATE
    time[20:] += 1.0
    found = second_differences(time, landmarks)
    assert np.isnan(found[[0, 9, 10, 11, 19, 20, 39]]).all() and np.isfinite(found).sum() == 33


def test_the_profile_angle_is_that_of_the_head(face: np.ndarray) -> None:
    for angle in (0.0, 0.4, 0.9, 1.4):
        for axis in ([0, 1, 0], [1, 0, 0]):
            turned = (face - [320, 240, 0]) @ to_matrix(from_rotation_vector(angle * np.array(axis, float))).T
            assert profile_angle(turned) == pytest.approx(angle, abs=1e-6)


# --- confidence


def test_confidence_falls_with_blur_size_profile_and_flutter(face: np.ndarray) -> None:
    time, ones = np.arange(40) / RATE, np.ones(40)
    good = moving(face)
    trust = confidence(time, good, ones, ones, ordered=True)
    assert trust.min() > 0.95
    sharp = ones.copy()
    sharp[5] = 0.1
    assert confidence(time, good, ones, sharp, ordered=True)[5] < 0.3
    scale = ones.copy()
    scale[6] = 6.0  # the detector saw 40 px of face
    assert confidence(time, good, scale, ones, ordered=True)[6] < 0.5
    turn = to_matrix(from_rotation_vector(np.array([0, np.radians(75), 0])))
    aside = good.copy()
    aside[7] = (aside[7] - aside[7].mean(0)) @ turn.T + aside[7].mean(0)
    assert confidence(time, aside, ones, ones, ordered=False)[7] < 0.4
    wild = good.copy()
    wild[8] += np.random.default_rng(0).normal(0, 8, face.shape)
    assert confidence(time, wild, ones, ones, ordered=True)[8] < 0.5


def test_lost_is_zero_and_found_never_is(face: np.ndarray) -> None:
    landmarks = moving(face)
    landmarks[3] = np.nan
    trust = confidence(np.arange(40) / RATE, landmarks, np.full(40, 100.0), np.zeros(40), ordered=True)
    assert trust[3] == 0 and (np.delete(trust, 3) >= LEAST).all()
    nothing = np.full_like(landmarks, np.nan)
    assert not confidence(np.arange(40) / RATE, nothing, np.ones(40), np.zeros(40), ordered=True).any()


# --- people


def test_the_one_who_stays_wins_over_one_who_is_large_for_a_moment(face: np.ndarray) -> None:
    time = np.arange(60) / RATE
    large = face * 2.0 + [0, 500, 0]
    frames = [np.stack([large, face][:: 1 if t % 2 else -1]) if t < 8 else face[None] for t in range(60)]
    everybody = people(time, frames)
    kept = np.stack([frames[f][p] for f, p in zip(everybody[0].frames, everybody[0].picks, strict=True)])
    assert everybody[0].frames == list(range(60)) and np.ptp(kept, axis=0).max() == 0
    assert seen(everybody) == 2


def test_two_who_cross_the_order_of_detection_are_not_mixed(face: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    time = np.arange(90) / RATE
    a, b = moving(face, 90), np.add(moving(face * 0.8, 90), [400, 100, 0])
    frames = [np.stack([a[t], b[t]])[rng.permutation(2)] for t in range(90)]
    first, second = people(time, frames)
    for person, truth in ((first, a), (second, b)):
        for frame, pick in zip(person.frames, person.picks, strict=True):
            np.testing.assert_array_equal(frames[frame][pick], truth[frame])


def test_a_face_is_taken_up_again_where_it_was_lost_and_not_elsewhere(face: np.ndarray) -> None:
    time = np.arange(120) / RATE
    none = np.zeros((0, 478, 3))
    back = [face[None]] * 30 + [none] * 60 + [face[None] + 20.0] * 30
    assert len(people(time, back)) == 1
    elsewhere = [face[None]] * 30 + [none] * 60 + [face[None] + [900.0, 0, 0]] * 30
    assert len(people(time, elsewhere)) == 2


def test_a_stray_detection_is_not_a_person(face: np.ndarray) -> None:
    frames = [face[None]] * 60
    frames[7] = np.stack([face, face * 0.2 + [800, 0, 0]])
    assert seen(people(np.arange(60) / RATE, frames)) == 1


def test_photos_keep_their_largest_face(face: np.ndarray) -> None:
    assert largest([np.stack([face * 0.5, face]), np.zeros((0, 478, 3)), face[None]]) == [1, -1, 0]


def test_overlap_is_one_with_itself_and_none_beside(face: np.ndarray) -> None:
    box = boxes(face)
    shifted = np.stack([box, np.add(box, [100, 0, 100, 0]), box + 1000])
    np.testing.assert_allclose(overlap(box, shifted), [1.0, 1 / 3, 0.0], atol=0.01)


# --- the library


def test_a_mediapipe_that_reports_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _name: "0.10.35")
    with pytest.raises(WorkerError, match="metrics"):
        module.import_mediapipe()


def test_remarks_are_dropped_and_errors_pass(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet(), quiet():
        os.write(2, b"W0000 00:00:17.1 12 feedback.cc:114] remark\nINFO: Created TensorFlow Lite XNNPACK\n")
        os.write(2, b"E0000 00:00:17.1 12 graph.cc:1] failure\nunfinished")
    os.write(2, b" business\n")
    said = capfd.readouterr().err
    assert "remark" not in said and "XNNPACK" not in said
    assert "failure" in said and "unfinished" in said and "business" in said
