# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample capture that ships: what a phone would have recorded of a person whom we know exactly."""

from __future__ import annotations

import json

import numpy as np
import pytest

from core.capture import media_facts, open_capture, read_face_mesh, read_performance
from core.head import load_model
from core.performance import Performance
from core.pipeline import make_avatar
from core.track.mediapipe_module import import_mediapipe

MOST_BYTES = 3_000_000


@pytest.fixture(scope="module")
def folder(root):
    return root / "core" / "data" / "sample"


@pytest.fixture(scope="module")
def capture(folder):
    return open_capture(folder / "likeness_sample.zip")


@pytest.fixture(scope="module")
def truth(folder):
    return Performance.load(folder / "likeness_sample_truth.npz")


def test_it_is_a_small_leap_archive_with_open_sidecars(folder, capture):
    assert capture.kind == "leap"
    assert capture.photos and capture.movie and capture.face_meshes and capture.weights_csv
    assert not capture.opaque, "we do not pretend to write data.bin"
    assert (folder / "likeness_sample.zip").stat().st_size < MOST_BYTES


def test_the_movie_is_three_seconds_at_thirty_frames_with_sound(capture, truth):
    facts = media_facts(capture.movie)
    assert facts.duration >= 3.0 and facts.fps == pytest.approx(30.0) and facts.audio
    assert facts.duration == pytest.approx(truth.frame_count / 30.0, abs=0.05)


def test_the_recorded_weights_are_the_truth(capture, truth):
    recorded = read_performance(capture)
    assert np.allclose(recorded.time, truth.time, atol=1e-4)
    assert np.abs(recorded.weights - truth.weights).max() < 1e-6
    alignment = np.abs(np.sum(recorded.head_rotation * truth.head_rotation, axis=1))
    assert alignment.min() > 1 - 1e-9
    assert np.abs(recorded.gaze - truth.gaze).max() < 1e-6


def test_lips_brows_lids_eyes_and_head_all_act(truth):
    moving = np.ptp(truth.weights, axis=0)
    assert (moving > 0.1).sum() >= 20
    assert truth.weight("eyeBlinkLeft").max() > 0.95
    assert np.degrees(np.ptp(truth.gaze[:, 0, 0])) > 10


def test_the_face_mesh_is_the_first_frame_of_the_person(folder, capture, truth):
    person = json.loads((folder / "likeness_sample_truth.json").read_text(encoding="utf-8"))
    model = load_model("anny")
    rest = model.rest(model.identity_coefficients(person["identity"]))
    surface = model.expressed(rest, truth.weights[0])
    mesh = read_face_mesh(capture.face_meshes[0])
    distance = (
        np.abs(mesh.vertices[:, None] - surface[None, model.part_vertices("body")]).sum(axis=2).min(axis=1)
    )
    assert len(mesh.vertices) > 800 and distance.max() < 1e-5


def test_an_avatar_without_tracking_has_the_gender_that_the_sidecar_tells(folder, tmp_path):
    person = json.loads((folder / "likeness_sample_truth.json").read_text(encoding="utf-8"))
    avatar = make_avatar(folder / "likeness_sample.zip", tmp_path / "sample.avatar", tracking=False)
    assert avatar.gender == person["gender"] and avatar.performances
    assert avatar.identity == {"gender": 1.0}


@pytest.mark.filterwarnings("ignore")
def test_a_standard_detector_finds_the_face_in_every_frame(capture, tmp_path):
    av = pytest.importorskip("av")
    pytest.importorskip("cv2")
    mediapipe = import_mediapipe()
    if not hasattr(mediapipe, "solutions"):
        pytest.skip("this mediapipe carries no face detector")
    path = capture.movie.extract_to(tmp_path)
    found, total = 0, 0
    detection = mediapipe.solutions.face_detection.FaceDetection(
        model_selection=0, min_detection_confidence=0.5
    )
    with detection as detector, av.open(str(path)) as movie:
        for frame in movie.decode(video=0):
            total += 1
            found += len(detector.process(frame.to_ndarray(format="rgb24")).detections or []) == 1
    assert total >= 90 and found == total
