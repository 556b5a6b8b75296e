# SPDX-License-Identifier: GPL-3.0-or-later
"""Acting, cameras, pictures and movies of Gaussian heads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from capture_samples import write_movie

from core import rotation
from core.avatar import Avatar
from core.camera import VIEW_TO_OPENCV
from core.errors import LikenessError, SettingsError
from core.fit.camera_path import CameraPath, write_camera_path
from core.splat.acting import Acting, Standing
from core.splat.animate import Sound, animate, pictures
from core.splat.as_trained import as_trained
from core.splat.camera_path import Shots, shots
from core.splat.pictures import background_colour
from core.splat.refine import EXPRESSION, MOTION, SIZE, moved_view
from tests.core.splat_players import patch_player, take

pytest.importorskip("numba")
cv2 = pytest.importorskip("cv2")

Array = np.ndarray
Q = rotation.from_rotation_vector
HEAD = np.array([[-0.08, -0.12, -0.1], [0.08, 0.14, 0.09], [0.0, 0.0, 0.11], [0.0, -0.3, 0.0]])


def front(acting: Acting, size: int = 48) -> Shots:
    return shots("front", acting, patch_player().splats.surface.rest, None, size)[0]


def test_the_own_performance_before_the_own_camera_is_what_was_tracked():
    performance = take("own")
    acting, usual = Acting.of(performance), Standing.of(performance)
    camera = performance.camera
    assert camera is not None
    assert performance.head_rotation is not None
    assert performance.head_translation is not None
    taken, notes = shots("footage", acting, HEAD, (usual, camera), 256)
    assert not notes
    point = np.array([0.02, 0.05, 0.09])
    corners = []
    for row, view in enumerate(taken.views(acting)):
        turn = rotation.to_matrix(performance.head_rotation[row])
        place = camera.head_position + performance.head_translation[row]
        np.testing.assert_allclose(view.T_view_world[:3, :3], VIEW_TO_OPENCV @ turn, atol=1e-12)
        np.testing.assert_allclose(view.T_view_world[:3, 3], VIEW_TO_OPENCV @ place, atol=1e-12)
        seen = view.T_view_world[:3, :3] @ point + view.T_view_world[:3, 3]
        ours = np.array([view.fx * seen[0], view.fy * seen[1]]) / seen[2] + [view.cx, view.cy]
        footage = camera.project(turn @ point + place)
        corners.append(footage - ours * camera.focal[0] / view.fx)
    np.testing.assert_allclose(corners, np.tile(corners[0], (len(corners), 1)), atol=1e-9)


def test_what_training_corrected_is_played_in_the_own_take_only():
    performance = take("own")
    avatar = Avatar(Path("x.avatar"), "x", provenance={"splats": {"performance": "own"}})
    values = np.random.default_rng(3).normal(0, 0.05, (3, SIZE))
    splats = replace(patch_player().splats, refined={"samples": np.array([0, 2, 6]), "values": values})
    played = as_trained(performance, avatar, splats)
    np.testing.assert_array_equal(as_trained(take("other"), avatar, splats).weights, take("other").weights)
    shorter = performance.sliced(0.5, 0.6)
    assert as_trained(shorter, avatar, splats) is shorter
    home, camera = Standing.of(performance), performance.camera
    assert camera is not None
    plain = shots("footage", Acting.of(performance), HEAD, (home, camera), 64)[0].views(
        Acting.of(performance)
    )
    moved = Acting.of(played, home)
    for row, motion in ((0, values[0]), (2, values[1]), (4, 0.5 * (values[1] + values[2])), (6, values[2])):
        wanted = moved_view(plain[row], motion[MOTION]).T_view_world
        found = shots("footage", moved, HEAD, (home, camera), 64)[0].views(moved)[row].T_view_world
        np.testing.assert_allclose(found, wanted, atol=1e-9)
        np.testing.assert_allclose(
            played.weights[row], performance.weights[row] + motion[EXPRESSION], atol=1e-6
        )


def test_the_head_stays_in_the_picture_of_the_footage():
    performance = take("own")
    acting, camera = Acting.of(performance), performance.camera
    assert camera is not None
    for view in shots("footage", acting, HEAD, (Standing.of(performance), camera), 200)[0].views(acting):
        seen = HEAD[:3] @ view.T_view_world[:3, :3].T + view.T_view_world[:3, 3]
        px = seen[:, :2] / seen[:, 2:] * [view.fx, view.fy] + [view.cx, view.cy]
        assert px.min() > 10
        assert px.max() < 190


def test_acting_does_not_depend_on_how_the_camera_stood():
    performance = take("somebody")
    assert performance.head_rotation is not None and performance.camera is not None
    tilt = Q(np.array([0.4, -0.2, 0.9]))
    turn = rotation.to_matrix(tilt)
    tilted = replace(
        performance,
        head_rotation=rotation.multiply(tilt, performance.head_rotation),
        head_translation=performance.head_translation @ turn.T,
        camera=replace(performance.camera, head_position=np.array([0.3, 0.1, -2.0])),
    )
    one, other = Acting.of(performance), Acting.of(tilted)
    np.testing.assert_allclose(one.turns, other.turns, atol=1e-9)
    np.testing.assert_allclose(one.shifts, other.shifts, atol=1e-9)


def test_a_foreign_head_is_put_where_the_avatar_usually_is():
    acting, home = Acting.of(take("foreign", 40, 3)), Standing.of(take("home", seed=5))
    turns, places = acting.poses(home)
    np.testing.assert_allclose(places.mean(axis=0), home.place, atol=1e-12)
    left = rotation.to_rotation_vector(rotation.from_matrix(home.turn.T @ turns))
    assert np.abs(left.mean(axis=0)).max() < 0.01
    nod = rotation.from_angles(np.zeros(40), 0.2 * np.sin(np.arange(40)), np.zeros(40))
    turns, _ = Acting.of(take("nod", 40, head_rotation=nod, head_translation=None)).poses(home)
    about = rotation.to_rotation_vector(rotation.from_matrix(home.turn.T @ turns))
    assert np.abs(about[:, 1:]).max() < 1e-6  # a nod is one about the axis through the ears


def test_a_part_of_a_take_keeps_the_usual_pose_of_the_whole():
    performance = take("long", 30)
    part = performance.sliced(0.7, 1.0)
    whole, some = Acting.of(performance), Acting.of(part, Standing.of(performance))
    rows = np.searchsorted(performance.time, part.time)
    np.testing.assert_allclose(some.turns, whole.turns[rows])
    np.testing.assert_allclose(some.shifts, whole.shifts[rows])


def test_an_orbit_goes_round_the_head_at_one_distance():
    acting = Acting.of(take("still", 50, head_rotation=None, head_translation=None))
    views = shots("orbit", acting, HEAD, None, 64)[0].views(acting)
    middle = 0.5 * (HEAD[:3].min(axis=0) + HEAD[:3].max(axis=0))
    seen = np.array([view.T_view_world[:3, :3] @ middle + view.T_view_world[:3, 3] for view in views])
    np.testing.assert_allclose(seen, np.tile([0, 0, seen[0, 2]], (len(seen), 1)), atol=1e-9)
    assert np.ptp([view.centre[0] for view in views]) > 0.3


def path_of(file: Path, extr: Array, lens: tuple[float, ...] = (600.0, 600.0, 320.0, 240.0)) -> Path:
    write_camera_path(file, CameraPath(extr, np.tile(lens, (len(extr), 1)), (480, 640), 25.0))
    return file


def test_a_camera_file_sees_what_the_footage_saw(tmp_path):
    performance = take("own")
    acting, usual, camera = Acting.of(performance), Standing.of(performance), performance.camera
    assert camera is not None
    file = path_of(tmp_path / "still.npz", np.tile(np.eye(4), (7, 1, 1)))
    taken, notes = shots(str(file), acting, HEAD, (usual, camera), None)
    assert (taken.size, notes) == ((640, 480), [])
    same = shots("footage", acting, HEAD, (usual, camera), 64)[0]
    for one, other in zip(taken.views(acting), same.views(acting), strict=True):
        np.testing.assert_allclose(one.T_view_world, other.T_view_world, atol=1e-7)
    assert shots(str(file), acting, HEAD, (usual, camera), 320)[0].size == (320, 240)


def test_cameras_that_look_past_the_head_get_it_where_they_look(tmp_path):
    acting = Acting.of(take("own", 5))
    extr = np.tile(np.eye(4), (5, 1, 1))
    for row, angle in enumerate(np.linspace(-0.5, 0.5, 5)):  # round a point 2 m ahead and 1.5 m aside
        turn = rotation.to_matrix(Q(np.array([0.0, angle, 0.0])))
        extr[row, :3, :3], extr[row, :3, 3] = turn, [0, 0, 2] - turn @ [1.5, 0, 2]
    file = path_of(tmp_path / "aside.npz", extr)
    taken, notes = shots(str(file), acting, HEAD, None, None)
    assert len(notes) == 1 and "look past the head" in notes[0]
    middle = taken.standing.place + 0.5 * (HEAD[:3].min(axis=0) + HEAD[:3].max(axis=0))
    np.testing.assert_allclose(VIEW_TO_OPENCV @ middle, [1.5, 0, 2], atol=1e-6)


def test_the_last_camera_stays_when_a_file_ends(tmp_path):
    acting = Acting.of(take("own", 9))
    file = path_of(tmp_path / "short.npz", np.tile(np.eye(4), (4, 1, 1)))
    taken, notes = shots(str(file), acting, HEAD, None, None)
    assert len(taken.extr) == 9
    assert any("ends after 0.16 s" in note for note in notes)


@pytest.mark.parametrize(
    ("word", "of"),
    [("sideways", "no camera"), ("footage", "no performance"), ("orbit:x", "none"), ("front:3", "no camera")],
)
def test_a_camera_that_is_not_there_is_refused(word, of):
    with pytest.raises(SettingsError, match=of):
        shots(word, Acting.rest(), HEAD, None)


def test_a_transparent_picture_laid_over_a_colour_is_the_opaque_one():
    player, acting = patch_player(), Acting.of(take("own", 2))
    clear = list(pictures(player, acting, front(acting), "transparent"))
    solid = list(pictures(player, acting, front(acting), "#3060c0"))
    for rgba, rgb in zip(clear, solid, strict=True):
        alpha = rgba[..., 3:] / 255
        assert 0.05 < alpha.mean() < 0.95
        laid = alpha * rgba[..., :3] + (1 - alpha) * [0x30, 0x60, 0xC0]
        within = (rgba[..., :3] > 0) & (rgba[..., :3] < 255)  # a PNG cannot hold a colour beyond these
        assert np.abs(laid - rgb)[within].max() <= 1.6


def test_pictures_do_not_depend_on_the_threads():
    player, acting = patch_player(), Acting.of(take("own", 1))
    one, many = (next(pictures(player, acting, front(acting), "white", n)) for n in (1, 3))
    np.testing.assert_array_equal(one, many)


def test_frames_are_written_and_replaced(tmp_path):
    player, acting = patch_player(), Acting.of(take("own", 3))
    expected = list(pictures(player, acting, front(acting)))
    for part in (acting, acting.at(np.array([0, 1]))):
        animate(player, part, front(acting) if part is acting else front(part), tmp_path / "frames")
        names = sorted(path.name for path in (tmp_path / "frames").iterdir())
        assert names == [f"frame_{n:05d}.png" for n in range(len(part))]
    stored = cv2.imread(str(tmp_path / "frames" / "frame_00001.png"))[..., ::-1]
    np.testing.assert_array_equal(stored, expected[1])


def test_a_movie_has_every_frame_and_the_sound_of_the_footage(tmp_path):
    av = pytest.importorskip("av")
    player, acting = patch_player(), Acting.of(take("own", 20))
    footage = write_movie(tmp_path / "footage.mp4", 2.0)
    notes = animate(player, acting, front(acting), tmp_path / "m.mp4", sound=Sound(footage, 0.5))
    assert notes == []
    with av.open(str(tmp_path / "m.mp4")) as movie:
        stream = movie.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in movie.decode(video=0)]
    with av.open(str(tmp_path / "m.mp4")) as movie:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in movie.decode(audio=0)])
        assert movie.streams.audio[0].rate == 48_000
    np.testing.assert_allclose([time for time, _ in frames], np.arange(20) / 25, atol=1e-3)
    first = next(pictures(player, acting, front(acting)))
    assert np.abs(frames[0][1].mean(axis=2) - first.mean(axis=2)).mean() < 4  # colours have half the pixels
    assert abs(len(heard) / 48_000 - 20 / 25) < 0.06
    tone = np.abs(np.fft.rfft(heard[9_600:28_800]))
    assert abs(np.argmax(tone) / 0.4 - 440) < 5


def test_a_movie_without_readable_sound_is_silent_and_says_so(tmp_path):
    player, acting = patch_player(), Acting.of(take("own", 2))
    (tmp_path / "broken.mp4").write_bytes(b"no movie")
    notes = animate(
        player, acting, front(acting), tmp_path / "m.mp4", sound=Sound(tmp_path / "broken.mp4", 0)
    )
    assert len(notes) == 1 and "silent" in notes[0]
    assert {path.name for path in tmp_path.iterdir()} == {"broken.mp4", "m.mp4"}


@pytest.mark.parametrize("name", ["frames", "m.mp4"])
def test_what_is_stopped_leaves_nothing_and_what_was_there(tmp_path, name):
    player, acting = patch_player(), Acting.of(take("own", 4))
    output = tmp_path / name
    animate(player, acting, front(acting), output)
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}

    def stop(fraction: float, _stage: str, _text: str) -> None:
        if fraction > 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        animate(player, acting, front(acting), output, "black", progress=stop)
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == before


@pytest.mark.parametrize(
    ("output", "background", "says"),
    [
        ("m.mp4", "transparent", "cannot be transparent"),
        ("missing/frames", "white", "no folder"),
        ("notes.txt", "white", "is a file"),
        ("full", "white", "other files than frames"),
        ("frames", "beige", "no background"),
        ("frames", "#12345", "no background"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(tmp_path, output, background, says):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "holiday.jpg").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(LikenessError, match=says) as caught:
        animate(patch_player(), Acting.rest(), front(Acting.rest()), tmp_path / output, background)
    assert caught.value.message.count(". ") == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_odd_movies_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="even"):
        animate(patch_player(), Acting.rest(), front(Acting.rest(), 33), tmp_path / "m.mp4")


def test_colours_by_name_and_number():
    assert background_colour("transparent") is None
    assert background_colour("#ff8000") == (1.0, 128 / 255, 0.0)
