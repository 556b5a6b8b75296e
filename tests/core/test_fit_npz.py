# SPDX-License-Identifier: GPL-3.0-or-later
"""CAP4D's fit.npz, cameras and reference folders: read, written, hostile, and to performances and back."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flame_files import VERTICES, model

from core.capture import inspect, open_capture
from core.capture.reference_folder import reference_folder
from core.errors import CaptureError, LikenessError, SettingsError
from core.fit.camera_path import CameraPath, orbit, read_camera_path, write_camera_path
from core.fit.fit_npz import FlameFit, read_fit, with_parameters, write_fit
from core.fit.flame_exchange import eye_rotation_of, fit_of, gaze_of, performance_of, tagged, variant_of
from core.fit.reference_writer import frontal_first, write_reference_folder
from core.head.flame import FlameParameters, refit, vertices
from core.head.flame.compile import origin_of
from core.head.flame.forward import matrices
from core.performance import Performance
from core.rotation import to_matrix


def made_fit(frames: int = 5, fps: float = 24.0, seed: int = 0, **changes) -> FlameFit:
    """A plausible fit with one camera that stands somewhere."""
    rng = np.random.default_rng(seed)
    extr = np.eye(4)
    extr[:3, :3] = matrices(np.array([0.05, -0.1, 0.02]))
    extr[:3, 3] = 0.02, -0.03, 0.1
    values = {
        "shape": rng.normal(size=150),
        "expr": rng.normal(size=(frames, 65)),
        "rot": rng.normal(size=(frames, 3)) * 0.3,
        "tra": rng.normal(size=(frames, 3)) * 0.05 + [0, 0, -1.2],
        "eye_rot": np.c_[rng.normal(size=(frames, 2)) * 0.2, np.zeros(frames)],
        "fx": np.array([2000.0]),
        "fy": np.array([2000.0]),
        "cx": np.array([380.0]),
        "cy": np.array([500.0]),
        "extr": extr[None],
        "resolutions": np.array([[1008, 756]]),
        "fps": fps,
    }
    return FlameFit(**(values | changes))


def assert_same(a: FlameFit, b: FlameFit, atol: float = 0.0) -> None:
    for name in ("shape", "expr", "rot", "tra", "eye_rot", "fx", "fy", "cx", "cy", "extr", "resolutions"):
        assert np.allclose(getattr(a, name), getattr(b, name), rtol=0, atol=max(atol, 1e-7)), name
    assert a.camera_order == b.camera_order and a.fps == b.fps


def test_what_is_written_is_read_and_has_the_shapes_that_loaders_index(tmp_path):
    mask, boxes = np.array([[True, False, True, True, True]]), np.arange(20).reshape(1, 5, 4)
    neck = np.full((5, 3), 0.1)
    fit = made_fit(valid_mask=mask, detection_boxes=boxes, error=2.5, neck_rot=neck)
    write_fit(tmp_path / "fit.npz", fit)
    read = read_fit(tmp_path / "fit.npz")
    assert_same(read, fit)
    assert np.array_equal(read.valid_mask, mask) and np.array_equal(read.detection_boxes, boxes)
    assert read.error == 2.5 and np.allclose(read.neck_rot, neck) and read.jaw_rot is None
    with np.load(tmp_path / "fit.npz", allow_pickle=False) as held:
        forms = {k: (held[k].shape, str(held[k].dtype)) for k in held.files}
    assert forms["expr"] == ((5, 65), "float32") and forms["shape"] == ((150,), "float32")
    assert (
        forms["fx"][0] == (1, 1)
        and forms["extr"][0] == (1, 4, 4)
        and forms["resolutions"] == ((1, 2), "int64")
    )
    assert forms["camera_order"] == ((1,), "<U4") and forms["fps"] == ((), "int64")
    assert {forms[k] for k in ("rot", "tra", "eye_rot", "neck_rot")} == {((5, 3), "float32")}


def test_a_driving_file_has_no_shape(tmp_path):
    fit = made_fit(shape=None)
    write_fit(tmp_path / "fit.npz", fit)
    with np.load(tmp_path / "fit.npz") as held:
        assert "shape" not in held.files
    assert read_fit(tmp_path / "fit.npz").shape is None


@pytest.mark.parametrize(
    "changes",
    [
        {"expr": np.zeros((5, 64))},
        {"expr": np.zeros((0, 65))},
        {"rot": np.zeros((4, 3))},
        {"tra": np.full((5, 3), np.nan)},
        {"fx": np.array([-1.0])},
        {"fx": np.array([1.0, 2.0])},
        {"extr": np.zeros((1, 4, 4))},
        {"extr": np.diag([1.0, 1.0, -1.0, 1.0])[None]},
        {"resolutions": np.array([[0, 756]])},
        {"resolutions": np.array([[10**9, 756]])},
        {"fps": 0.0},
        {"shape": np.zeros(300)},
        {"camera_order": ("a", "b")},
        {"eye_rot": np.array([["x"] * 3] * 5)},
        {"valid_mask": np.ones((2, 5), bool)},
    ],
)
def test_a_wrong_array_is_named(tmp_path, changes):
    with pytest.raises(ValueError):
        made_fit(**changes)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04damaged",
        pickle.dumps({"expr": 1}),
        pickle.dumps(os.system),
    ],
)
def test_files_that_are_none(tmp_path, content):
    (tmp_path / "fit.npz").write_bytes(content)
    with pytest.raises(LikenessError, match=r"fit\.npz"):
        read_fit(tmp_path / "fit.npz")
    with pytest.raises(CaptureError, match="gone"):
        read_fit(tmp_path / "gone.npz")


def test_pickled_dicts_are_read_and_pickled_code_is_not(tmp_path):
    fit = made_fit()
    write_fit(tmp_path / "fit.npz", fit)
    with np.load(tmp_path / "fit.npz") as held:
        values = {k: held[k] for k in held.files}
    np.savez(tmp_path / "dict.npz", np.array(values, object))
    assert_same(read_fit(tmp_path / "dict.npz"), fit)

    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    np.savez(tmp_path / "harm.npz", **(values | {"expr": np.array(Harm(), object)}))
    with pytest.raises(LikenessError, match="which no head model needs"):
        read_fit(tmp_path / "harm.npz")
    assert not (tmp_path / "harm").exists()


def test_projection_is_the_camera_of_the_performance():
    """One point by CAP4D's formula and by the performance's pose and camera: the same pixel."""
    fit, flame = made_fit(), model("2023_no_jaw")
    assert fit.shape is not None
    origin = origin_of(flame, fit.shape.astype(np.float64))
    performance = performance_of(fit, "take", origin=origin)
    points = vertices(flame.cap4d, fit.parameters)[:, ::50]
    local = np.einsum("tji,tnj->tni", matrices(fit.rot), points - fit.tra[:, None])
    camera = performance.camera
    assert (
        camera is not None
        and performance.head_rotation is not None
        and performance.head_translation is not None
    )
    place = camera.head_position + performance.head_translation
    view = np.einsum("tij,tnj->tni", to_matrix(performance.head_rotation), local - origin) + place[:, None]
    assert np.allclose(camera.project(view), fit.project(points), atol=1e-4)
    flipped = fit.extr[0, :3, :3] @ (points[0] * [1, -1, -1]).T + fit.extr[0, :3, 3:]
    by_hand = flipped[:2] / flipped[2] * 2000.0 + np.array([[380.0], [500.0]])
    assert np.allclose(fit.project(points)[0], by_hand.T)


def test_a_performance_and_back_is_the_same_fit_before_an_untwisted_camera():
    fit = made_fit(extr=np.eye(4)[None])
    origin = np.array([0.0, 0.01, -0.05])
    performance = performance_of(fit, "take", origin=origin)
    assert performance.rate == pytest.approx(24.0) and variant_of(performance.flame or {}) == "2023_no_jaw"
    assert_same(fit_of(performance, origin=origin), fit, atol=1e-6)


def test_another_camera_gives_the_same_picture():
    """The written fit has its world before the camera: other rot and tra, equal pixels."""
    fit, flame = made_fit(), model("2023_no_jaw")
    back = fit_of(performance_of(fit, "take"))
    assert not np.allclose(back.rot, fit.rot, atol=1e-3)
    rows = flame.at(np.arange(0, VERTICES, 40), "cap4d")
    assert np.allclose(
        back.project(vertices(rows, back.parameters)), fit.project(vertices(rows, fit.parameters)), atol=1e-2
    )


def test_a_performance_keeps_its_parameters_on_disk_and_in_time(tmp_path):
    performance = performance_of(made_fit(extr=np.eye(4)[None]), "take")
    performance.save(tmp_path / "take.npz")
    read = Performance.load(tmp_path / "take.npz")
    assert_same(fit_of(read), made_fit(extr=np.eye(4)[None]), atol=1e-6)
    half = read.resampled(read.time[:-1] + 0.5 / 24)
    assert fit_of(half).frame_count == 4 and np.allclose(fit_of(half).shape, made_fit().shape)


def test_gaze_is_the_direction_of_the_turned_eye():
    rng = np.random.default_rng(1)
    gaze = np.c_[rng.uniform(-0.8, 0.8, 20), rng.uniform(-0.5, 0.5, 20)]
    vectors = eye_rotation_of(gaze)
    assert np.allclose(gaze_of(vectors), gaze) and np.all(vectors[:, 2] == 0)
    assert gaze_of(np.array([[0, 0.2, 0]]))[0, 0] == pytest.approx(0.2)  # about +Y is to the subject's left
    assert gaze_of(np.array([[-0.2, 0, 0]]))[0, 1] == pytest.approx(0.2)  # about -X is up
    assert np.allclose(eye_rotation_of(np.zeros((1, 2))), 0)


def test_a_changed_gaze_goes_into_the_fit():
    fit = made_fit(extr=np.eye(4)[None])
    performance = performance_of(fit, "take")
    assert performance.gaze is not None
    changed = replace(performance, gaze=performance.gaze + np.array([0.1, 0.0]))
    assert np.allclose(
        gaze_of(fit_of(changed).eye_rot), gaze_of(fit.eye_rot) + np.array([0.1, 0.0]), atol=1e-6
    )


def test_mapped_expressions_make_a_fit_of_any_performance(tmp_path):
    """Weights of our own body, mapped to CAP4D's expressions elsewhere, with the pose and camera of the
    track.
    """
    performance = replace(performance_of(made_fit(extr=np.eye(4)[None]), "take"), flame=None)
    expression = np.random.default_rng(3).normal(size=(5, 65))
    fit = fit_of(performance, expression=expression)
    assert fit.shape is None and np.allclose(fit.expr, expression, atol=1e-6)
    assert np.allclose(gaze_of(fit.eye_rot), gaze_of(made_fit().eye_rot), atol=1e-6)
    write_fit(tmp_path / "fit.npz", fit)
    assert read_fit(tmp_path / "fit.npz").frame_count == 5


def test_what_cannot_be_a_fit_is_said():
    performance = performance_of(made_fit(), "take")
    for changed, match in (
        (replace(performance, flame=None), "no parameters"),
        (
            replace(performance, flame={**(performance.flame or {}), "variant": tagged("2023_open")}),
            "no parameters",
        ),
        (replace(performance, camera=None), "no camera"),
        (replace(performance, head_rotation=None), "no camera or no head pose"),
    ):
        with pytest.raises(SettingsError, match=match):
            fit_of(changed)
    assert variant_of({"variant": np.array([1, 2, 300.0])}) is None


def test_parameters_of_another_release_are_refitted_before_they_are_written(tmp_path):
    rng = np.random.default_rng(2)
    given = FlameParameters.of(
        "2020",
        rng.normal(size=100) * 0.5,
        rng.normal(size=(5, 50)) * 0.3,
        jaw=np.c_[np.linspace(0, 0.2, 5), np.zeros((5, 2))],
    )
    fit = made_fit(frames=9, valid_mask=np.ones((1, 9), bool), error=2.0)
    with pytest.raises(SettingsError, match="Re-fit"):
        with_parameters(fit, given)
    found = refit(model("2020"), given, model("2023_no_jaw"))
    write_fit(tmp_path / "fit.npz", with_parameters(fit, found.parameters))
    written = read_fit(tmp_path / "fit.npz")
    assert written.valid_mask is None and written.error is None and np.array_equal(written.fx, fit.fx)
    again = written.parameters
    away = vertices(model("2023_no_jaw").cap4d, again) - vertices(model("2020").whole, given)
    assert np.sqrt((away**2).sum(axis=2).mean()) < 0.0012


def test_camera_files_round_trip_and_orbits_keep_their_distance(tmp_path):
    fit = made_fit()
    path = orbit(fit, 48)
    write_camera_path(tmp_path / "orbit.npz", path)
    read = read_camera_path(tmp_path / "orbit.npz")
    assert np.allclose(read.extr, path.extr, atol=1e-6) and np.array_equal(read.pinhole, path.pinhole)
    assert read.resolution == (1008, 756) and read.fps == 24.0
    head = np.array([1, -1, -1]) * fit.tra[0]
    distance = np.linalg.norm(path.positions - head, axis=1)
    assert np.allclose(distance, distance[0])
    seen = np.einsum("nij,j->ni", path.extr[:, :3, :3], head) + path.extr[:, :3, 3]
    assert np.allclose(seen, seen[0])  # the head stays where it is in the picture
    assert np.allclose(orbit(fit, 3, yaw=0.0, pitch=0.0).extr, fit.extr[0])


def test_damaged_camera_files(tmp_path):
    np.savez(tmp_path / "orbit.npz", extr=np.eye(4)[None])
    with pytest.raises(CaptureError, match="no fx"):
        read_camera_path(tmp_path / "orbit.npz")
    good = orbit(made_fit(), 2)
    for changes in (
        {"extr": np.zeros((2, 4, 4))},
        {"resolution": (0, 1)},
        {"fps": 0.0},
        {"pinhole": np.ones((1, 4))},
    ):
        with pytest.raises(ValueError):
            CameraPath(**({"extr": good.extr, "pinhole": good.pinhole, "resolution": (1, 1)} | changes))


def picture(value: int, size: tuple[int, int] = (8, 6)) -> np.ndarray:
    return np.full((*size, 3), value, np.uint8)


def test_a_reference_folder_is_written_and_opens_as_a_capture(tmp_path):
    pytest.importorskip("PIL")
    fit = made_fit(fps=-1, extr=np.eye(4)[None])
    folder = tmp_path / "person"
    mattes = [np.full((8, 6), 255, np.uint8)] * 5
    write_reference_folder(folder, fit, [picture(i) for i in range(5)], mattes=mattes)
    capture = open_capture(folder)
    assert capture.kind == "photos" and len(capture.photos) == 5 and capture.flame_fit is not None
    assert all("bg" not in photo.name for photo in capture.photos)
    said = {part.role: part.facts for part in inspect(capture).parts}
    assert said["flame"] == "FLAME 2023_no_jaw, 5 frames before a camera"
    found = reference_folder(capture)
    assert found is not None
    assert [m.basename for m in found.images["cam0"]] == [f"{i:05d}.png" for i in range(5)]
    assert len(found.mattes["cam0"]) == 5 and not found.movies
    assert found.references == tuple(("cam0", i) for i in frontal_first(fit))
    assert found.references[0][1] == np.argmax(matrices(fit.rot)[:, 2, 2])
    assert_same(read_fit(found.fit), fit)


def test_a_movie_in_the_place_of_pictures(tmp_path):
    """As pixel3dmm leaves it: `images/cam0.mp4`, and any frame of it can be a reference."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "cam0.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(64))
    write_fit(tmp_path / "fit.npz", made_fit())
    (tmp_path / "reference_images.json").write_text('[["cam0", 3]]')
    capture = open_capture(tmp_path)
    found = reference_folder(capture)
    assert capture.kind == "video" and capture.movie is not None and found is not None
    assert found.movies["cam0"] == capture.movie and not found.images and found.references == (("cam0", 3),)


def test_a_damaged_fit_is_a_problem_of_the_report_and_no_more(tmp_path):
    pytest.importorskip("PIL")
    write_reference_folder(tmp_path / "person", made_fit(fps=-1), [picture(i) for i in range(5)])
    np.savez(tmp_path / "person" / "fit.npz", expr=np.zeros(3))
    report = inspect(open_capture(tmp_path / "person"))
    assert any("no fit of CAP4D" in problem for problem in report.problems)
    assert sum(part.role == "photo" for part in report.parts) == 5


def test_numbers_that_do_not_fit_leave_nothing_behind(tmp_path):
    pytest.importorskip("PIL")
    fit = made_fit(fps=-1)
    for count, mattes, references in ((4, 0, None), (5, 3, None), (5, 0, [9])):
        with pytest.raises(SettingsError):
            write_reference_folder(
                tmp_path / "person",
                fit,
                [picture(i) for i in range(count)],
                mattes=[picture(0)[..., 0]] * mattes,
                references=references,
            )
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "table", ['{"a": 1}', "[]", '[["cam0"]]', '[["cam0", 7]]', '[["cam1", 0]]', '[["cam0", -1]]', "["]
)
def test_a_list_of_references_that_is_none(tmp_path, table):
    pytest.importorskip("PIL")
    write_reference_folder(tmp_path / "person", made_fit(fps=-1), [picture(i) for i in range(5)])
    (tmp_path / "person" / "reference_images.json").write_text(table)
    with pytest.raises(CaptureError, match="reference_images"):
        reference_folder(open_capture(tmp_path / "person"))


def test_without_a_list_every_picture_is_a_reference(tmp_path):
    pytest.importorskip("PIL")
    folder = tmp_path / "person"
    write_reference_folder(folder, made_fit(fps=-1), [picture(i) for i in range(5)])
    (folder / "reference_images.json").unlink()
    found = reference_folder(open_capture(folder))
    assert found is not None and len(found.references) == 5
    (folder / "fit.npz").unlink()
    assert reference_folder(open_capture(folder)) is None


def test_the_list_of_references_is_plain_json(tmp_path):
    pytest.importorskip("PIL")
    folder: Path = tmp_path / "person"
    write_reference_folder(folder, made_fit(fps=-1), [picture(i) for i in range(5)], references=[2, 0])
    assert json.loads((folder / "reference_images.json").read_text()) == [["cam0", 2], ["cam0", 0]]
