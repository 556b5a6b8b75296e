# SPDX-License-Identifier: GPL-3.0-or-later
"""The texture stage of the way: what it leaves in the folder, again, without footage, beside others."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from performances import random_performance

from core.avatar import Avatar
from core.camera import VIEW_TO_OPENCV
from core.capture import open_capture
from core.errors import AvatarError, Cancelled, CaptureError, LikenessError
from core.files import read_json
from core.head import load_model
from core.person import rest_of
from core.pipeline import make_avatar
from core.texturing import retexture
from core.track import Track

cv2 = pytest.importorskip("cv2")
av = pytest.importorskip("av")


@pytest.fixture(scope="module")
def sample(root):
    return root / "core" / "data" / "sample" / "likeness_sample.zip"


@pytest.fixture(scope="module")
def made(sample, tmp_path_factory):
    return make_avatar(sample, tmp_path_factory.mktemp("made") / "Ada.avatar", texture_size=1024)


@pytest.fixture
def copy(made, tmp_path):
    return Avatar.load(shutil.copytree(made.folder, tmp_path / made.folder.name))


def tracked(avatar: Avatar) -> str:
    return next(name for name in avatar.performances if avatar.load_performance(name).camera is not None)


def picture(avatar: Avatar, role: str) -> np.ndarray:
    return cv2.imread(str(avatar.texture_path(role)), cv2.IMREAD_UNCHANGED)


def test_every_texture_lies_in_the_folder(made):
    sides = {role: picture(made, role).shape for role in ("albedo", "coverage", "normal", "scalp")}
    assert sides["albedo"] == (1024, 1024, 3)
    assert sides["coverage"] == (1024, 1024)
    assert sides["scalp"][2] == 4
    assert set(made.textures) == {"albedo", "coverage", "normal", "scalp", "predicted"}
    assert not [path.name for path in made.texture_folder.iterdir() if path.name.startswith(".")]


def test_what_is_measured_is_told_from_what_is_invented(made):
    coverage = picture(made, "coverage")
    assert 0.1 < np.mean(coverage > 200) < 0.6, "the face was seen"
    assert np.mean(coverage < 30) > 0.2, "the back of the head was not"
    assert 0 < read_json(made.folder / "report.json", AvatarError)["texture"]["still_seen"] < 1


def test_the_face_track_has_one_picture_per_sample(made):
    name = tracked(made)
    with av.open(str(made.face_track_path(name))) as movie:
        times = [float(frame.pts * frame.time_base) for frame in movie.decode(video=0)]
    expected = made.load_performance(name).time
    assert len(times) == len(expected)
    assert np.allclose(np.array(times) - times[0], expected - expected[0], atol=0.002)


def test_colours_and_sizes_are_those_of_a_person(made):
    assert {"skin", "lip"} <= set(made.colours)
    red, green, blue = made.colours["skin"]
    assert 0.02 < blue < green < red < 0.95
    assert made.colours["lip"][1] / made.colours["lip"][0] < green / red, "lips are redder than skin"
    assert 0.3 <= made.appearance.get("iris_radius", 0.38) <= 0.45


def test_a_capture_can_go_without(sample, tmp_path):
    plain = make_avatar(sample, tmp_path / "Ada.avatar", texture="off")
    assert not plain.textures
    assert not plain.face_tracks
    assert not plain.texture_folder.exists()


def test_textures_are_made_again(copy):
    before = picture(copy, "albedo")
    for path in copy.texture_folder.iterdir():
        path.unlink()
    again = retexture(copy.folder, "still", 512)
    assert picture(again, "albedo").shape == (512, 512, 3)
    small = cv2.resize(before, (512, 512), interpolation=cv2.INTER_AREA)
    off = np.abs(picture(again, "albedo").astype(int) - small)
    assert np.mean(off) < 6, "the same person"
    assert not again.face_tracks, "the movie of before lay on another still"
    assert set(again.textures) == {"albedo", "coverage", "normal"}


def test_work_that_is_stopped_changes_nothing(copy):
    def stop(_done: float, stage: str, _text: str) -> None:
        if stage == "face track":
            raise Cancelled("Stopped.", "")

    before = {path.name: path.read_bytes() for path in copy.texture_folder.iterdir()}
    with pytest.raises(Cancelled):
        retexture(copy.folder, size=512, progress=stop)
    assert {path.name: path.read_bytes() for path in copy.texture_folder.iterdir()} == before
    assert not [path.name for path in copy.folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("change", ["elsewhere", "pictures"])
def test_other_footage_is_refused(copy, sample, change):
    path = copy.track_path(tracked(copy))
    track = Track.load(path)
    if change == "elsewhere":
        landmarks = track.landmarks + np.float32([0.1 * track.size[0, 0], 0, 0])
        replace(track, landmarks=landmarks).save(path)
    else:
        count = track.frame_count - 10
        fields = ("time", "landmarks", "size", "confidence", "scores", "transform", "skin")
        cut = {name: getattr(track, name) for name in fields}
        replace(track, **{name: None if a is None else a[:count] for name, a in cut.items()}).save(path)
    with pytest.raises(CaptureError, match="not the footage"):
        retexture(copy.folder, "still", 512, capture=sample)


def test_the_same_footage_elsewhere_is_taken(copy, sample, tmp_path):
    moved = shutil.copy(sample, tmp_path / "moved.zip")
    assert retexture(copy.folder, "still", 512, capture=moved).textures


def test_footage_that_is_gone_is_one_sentence(copy):
    copy.provenance["capture"]["path"] = str(copy.folder / "gone.zip")
    copy.media_path("movie").unlink()
    copy.save()
    with pytest.raises(AvatarError, match="no longer at") as error:
        retexture(copy.folder)
    assert "--capture" in error.value.hint
    assert picture(copy, "albedo") is not None, "what was there stays"


def test_a_take_that_was_recorded_has_no_footage(tmp_path):
    take = tmp_path / "take.csv"
    random_performance(5, 40, uneven=False).save_live_link_csv(take)
    avatar = make_avatar(take, tmp_path / "Ada.avatar")
    with pytest.raises(AvatarError, match="solved in footage"):
        retexture(avatar.folder)


def test_another_capture_keeps_the_face_tracks_of_before(copy, tmp_path):
    name = tracked(copy)
    take = tmp_path / "other.csv"
    random_performance(5, 40, uneven=False).save_live_link_csv(take)
    after = make_avatar(take, copy.folder)
    assert after.face_track_path(name).is_file()


def test_the_portrait_of_an_archive_is_fitted_with_the_known_head(made, sample):
    from core import rotation
    from core.texture.portraits import portraits

    model = load_model(made.model)
    rest = rest_of(model, made)
    photos, found = portraits(open_capture(sample), model, rest, made.coefficients)
    assert photos.movie is None
    assert found.frame_count == len(photos.photos)
    # The eyes' centres fall into the picture's middle third, upright and the subject's left on the right.
    place = found.camera.head_position + found.head_translation[0]
    joints = [model.joint_names.index(model.roles[f"eye_{side}"]) for side in ("right", "left")]
    eyes = rest.joint_heads[joints] @ rotation.to_matrix(found.head_rotation[0]).T + place
    right, left = found.camera.project(eyes)
    width, height = found.camera.size[0]
    assert width / 4 < right[0] < left[0] < 3 * width / 4
    assert abs(right[1] - left[1]) < 0.05 * height
    assert np.all((eyes @ VIEW_TO_OPENCV)[:, 2] > 0)


def test_footage_that_no_longer_shows_the_face_is_an_error_when_asked_for(copy, tmp_path):
    blank = tmp_path / "blank"
    blank.mkdir()
    cv2.imwrite(str(blank / "0001.png"), np.zeros((64, 64, 3), np.uint8))
    before = picture(copy, "albedo")
    with pytest.raises(LikenessError):
        retexture(copy.folder, capture=blank)
    assert np.array_equal(picture(copy, "albedo"), before), "what was there stays"
