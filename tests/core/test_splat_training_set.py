# SPDX-License-Identifier: GPL-3.0-or-later
"""Training pictures: views that see the head where it is, mattes and weights, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from splat_footage import SHIRT, SKIN, photographed

from core.avatar import Avatar
from core.camera import VIEW_TO_OPENCV
from core.capture import open_capture
from core.errors import AvatarError, Cancelled, LikenessError, SettingsError, SplatError
from core.splat.cutting import Cut, HeadCutter
from core.splat.head_region import Box, Rise
from core.splat.training_set import TrainingSet, sharp, training_set
from core.splat.view import View
from core.texture.posed import PosedHead

pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    return photographed(tmp_path_factory.mktemp("footage"))


@pytest.fixture(scope="module")
def made(avatar: Avatar) -> TrainingSet:
    return training_set(avatar, every=2)


def test_the_view_of_a_crop_sees_the_head_where_the_camera_saw_it(avatar: Avatar) -> None:
    head = PosedHead.of_avatar(avatar)
    for shot in training_set(avatar, most=200).shots:
        view, scale = shot.view, 320 / 200
        points = head.vertices(shot.sample)[head.rows].astype(float)
        turn, place = head.rotation(shot.sample), head.translation(shot.sample)
        local = (points - place) @ turn
        seen = local @ view.T_view_world[:3, :3].T + view.T_view_world[:3, 3]
        assert np.allclose(seen, points @ VIEW_TO_OPENCV, atol=1e-9)
        px = seen[:, :2] / seen[:, 2:] * [view.fx, view.fy] + [view.cx, view.cy] + shot.corner
        assert np.allclose(px * scale, head.camera.project(points, shot.sample), atol=1e-6)
        assert (view.height, view.width) == shot.image.shape[:2] == shot.matte.shape == shot.weight.shape


def test_the_head_counts_and_is_covered_and_the_torso_does_not(made: TrainingSet) -> None:
    assert made.mattes == "given" and not made.ordered and len(made.shots) == 4
    for shot in made.shots:
        skin = np.all(shot.image == SKIN, axis=2)
        shirt = np.all(shot.image == SHIRT, axis=2)
        wall = ~skin & ~shirt
        head = skin & (np.arange(len(skin))[:, None] < 0.6 * len(skin))
        assert shot.matte[head].min() > 0.99 and shot.weight[head].min() > 0.99
        assert np.mean(shot.weight[shirt] > 0.5) < 0.1
        assert np.mean(shot.matte[wall] > 0.1) < 0.02 and np.mean(shot.weight[wall] > 0.9) > 0.9


def test_a_matte_that_fades_has_no_weight_left_where_it_does(made: TrainingSet) -> None:
    for shot in made.shots:
        skin = np.all(shot.image == SKIN, axis=2)
        within = np.zeros_like(skin)
        within[3:-3, 3:-3] = np.all(
            [np.roll(skin, (y, x), (0, 1))[3:-3, 3:-3] for y in (-3, 0, 3) for x in (-3, 0, 3)], axis=0
        )
        fading = within & (shot.matte < 0.9)
        assert shot.weight[fading].max(initial=0) < 0.1


def test_pictures_are_cut_out_of_the_photos_as_they_are(made: TrainingSet, avatar: Avatar) -> None:
    cv2 = pytest.importorskip("cv2")
    take = avatar.load_performance()
    for shot in made.shots:
        path = avatar.folder.parent / "photos" / "images" / "cam0" / f"{shot.sample:04d}.png"
        x, y = shot.corner
        height, width = shot.image.shape[:2]
        whole = cv2.imread(str(path))[..., ::-1]
        assert np.array_equal(whole[y : y + height, x : x + width], shot.image)
        assert np.array_equal(shot.weights, take.weights[shot.sample])


def test_every_other_picture_is_held_back(made: TrainingSet) -> None:
    assert [shot.held for shot in made.shots] == [False, True, False, True]
    assert [s.sample for s in made.train] == [0, 2] and [s.sample for s in made.held] == [1, 3]


def test_long_takes_are_thinned_and_lost_samples_counted(tmp_path: Path) -> None:
    lost = np.array([1, 1, 0, 1, 1], np.float32)
    avatar = photographed(tmp_path, 5, confidence=lost)
    assert training_set(avatar).left_out == {"lost by the tracker": 1}
    assert [shot.sample for shot in training_set(avatar, limit=3).shots] == [0, 3, 4]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mattes": "best"}, "There are no mattes 'best'"),
        ({"every": 0}, "nothing would be left"),
        ({"most": 8}, "nothing would be left"),
    ],
)
def test_settings_that_cannot_be_are_refused(avatar: Avatar, options: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        training_set(avatar, **options)


def refused(avatar: Avatar, **options: object) -> LikenessError:
    with pytest.raises(LikenessError) as caught:
        training_set(avatar, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value) and caught.value.hint
    return caught.value


def test_too_few_pictures_are_refused_with_the_reason(tmp_path: Path) -> None:
    avatar = photographed(tmp_path, 4, confidence=np.array([1, 1, 0, 0], np.float32))
    problem = refused(avatar)
    assert isinstance(problem, SplatError)
    assert "Only 2 pictures of photos can be used and 3 are needed (2 lost by the tracker)." in str(problem)


def test_a_head_out_of_the_picture_is_not_used(tmp_path: Path) -> None:
    away = np.array([[0, 0, 0], [0.2, 0, 0], [0, 0, 0], [0, 0, 0]], float)
    made = training_set(photographed(tmp_path, 4, head_translation=away))
    assert made.left_out == {"cut off by the border": 1} and [s.sample for s in made.shots] == [0, 2, 3]


def test_mattes_that_show_nobody_are_refused(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    avatar = photographed(tmp_path, 3)
    for path in (tmp_path / "photos" / "bg" / "cam0").iterdir():
        cv2.imwrite(str(path), np.zeros((320, 240), np.uint8))
    assert "3 no person found" in str(refused(avatar))


def test_mattes_that_are_asked_for_must_be_there(tmp_path: Path) -> None:
    avatar = photographed(tmp_path, 3, mattes=False)
    assert "photos has no mattes" in str(refused(avatar, mattes="given"))


def test_footage_that_is_gone_is_named(tmp_path: Path) -> None:
    avatar = photographed(tmp_path, 3)
    shutil.rmtree(tmp_path / "photos")
    problem = refused(avatar)
    assert (
        isinstance(problem, AvatarError) and "no longer at" in str(problem) and "splat train" in problem.hint
    )


def test_a_picture_that_is_blurred_among_sharp_ones_is_left_out(avatar: Avatar) -> None:
    box, view = Box(0, 0, 16, 16), View(16, 16, 10, 10, 8, 8)
    layer = np.zeros((16, 16), np.uint8)
    cuts = [
        Cut(n, np.zeros((16, 16, 3), np.uint8), layer, layer, Rise(0, -0.001, 0), box, view, sharpness)
        for n, sharpness in enumerate([0.2, 0.21, 0.05, 0.19, 0.1, 0.2])
    ]
    cutter = HeadCutter(PosedHead.of_avatar(avatar), open_capture(avatar.folder.parent / "photos"), 512)
    assert [cut.sample for cut in sharp(cuts, cutter)] == [0, 1, 3, 4, 5]
    assert cutter.left_out == {"blurred": 1}


def test_it_can_be_cancelled(avatar: Avatar) -> None:
    def stop(_fraction: float, _stage: str, _text: str) -> None:
        raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        training_set(avatar, progress=stop)
