# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames for Blender: what a job may be, what is written, what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import rotation
from core.errors import Cancelled, LikenessError, SettingsError, SplatError
from core.splat.acting import Acting
from core.splat.camera_path import shots
from core.splat.frames import draw_frames
from core.splat.frames_job import read_job
from tests.core.splat_players import Player, patch_player, take

pytest.importorskip("numba")
cv2 = pytest.importorskip("cv2")

Array = np.ndarray
SIDE = 40


def job_of(folder: Path, frames: int = 4, **changes: Any) -> Path:
    """A job of the patch, with some of its arrays changed, or left out where they are None."""
    player, acting = patch_player(), Acting.of(take("own", frames))
    player.splats.save(folder / "splats.npz")
    views = shots("front", acting, player.splats.surface.rest, None, SIDE)[0].views(acting)
    arrays: dict[str, Any] = {
        "splats": np.array(str(folder / "splats.npz")),
        "vertices": player.track(acting),
        "latent": player.splats.gaussians.basis.latent(acting.weights),
        "T_view_world": np.array([view.T_view_world for view in views]),
        "size": np.array([SIDE, SIDE]),
        "numbers": np.arange(7, 7 + frames),
        "compensated": np.array(False),
    }
    arrays |= {key: np.array([getattr(view, key) for view in views]) for key in ("fx", "fy", "cx", "cy")}
    arrays |= changes
    np.savez(folder / "job.npz", **{key: value for key, value in arrays.items() if value is not None})
    return folder / "job.npz"


def picture(folder: Path, number: int, name: str = "splat") -> Array:
    return cv2.cvtColor(
        cv2.imread(str(folder / f"{name}_{number:05d}.png"), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA
    )


def test_frames_have_straight_alpha_and_depth(tmp_path):
    path, player = job_of(tmp_path), patch_player()
    assert draw_frames(read_job(path), tmp_path / "out") == {"frames": 4, "drawn": 4, "kept": 0}
    acting = Acting.of(take("own", 4))
    view = shots("front", acting, player.splats.surface.rest, None, SIDE)[0].views(acting)[2]
    drawn = stored(player).draw(acting.weights[2], acting.gaze[2], view)
    rgba, depth = picture(tmp_path / "out", 9), np.load(tmp_path / "out" / "splat_00009.depth.npy")
    assert (rgba.dtype, depth.dtype, depth.shape) == (np.uint8, np.float32, (SIDE, SIDE))
    np.testing.assert_allclose(rgba[..., 3] / 255, drawn.alpha, atol=0.51 / 255)
    laid = np.clip(rgba[..., :3] / 255.0 * drawn.alpha[..., None], 0, 1)
    there = drawn.image.max(axis=2) < drawn.alpha  # colours that a picture can hold
    np.testing.assert_allclose(laid[there], drawn.image[there], atol=0.01)
    np.testing.assert_allclose(depth, drawn.depth, atol=1e-4)
    assert np.all(depth[drawn.alpha == 0] == 0)


def stored(player: Player) -> Player:
    """The player with its numbers as a file keeps them."""
    import tempfile

    from core.splat.splat_avatar import SplatAvatar

    with tempfile.TemporaryDirectory() as folder:
        player.splats.save(Path(folder) / "splats.npz")
        return Player(SplatAvatar.load(Path(folder) / "splats.npz"), player.head)


def test_sixteen_bits_and_a_name(tmp_path):
    draw_frames(read_job(job_of(tmp_path)), tmp_path / "eight")
    path = job_of(tmp_path, bits=np.array(16), name=np.array("Anna's head"[:4] + "-1"))
    draw_frames(read_job(path), tmp_path / "out")
    fine = picture(tmp_path / "out", 8, "Anna-1")
    assert fine.dtype == np.uint16
    np.testing.assert_allclose(fine / 257.0, picture(tmp_path / "eight", 8), atol=0.51)


def test_weights_do_as_well_as_latents(tmp_path):
    draw_frames(read_job(job_of(tmp_path)), tmp_path / "one")
    draw_frames(read_job(job_of(tmp_path, latent=None, weights=take("own", 4).weights)), tmp_path / "other")
    np.testing.assert_array_equal(picture(tmp_path / "one", 7), picture(tmp_path / "other", 7))


def test_a_moved_turned_and_scaled_world_gives_the_same_picture(tmp_path):
    path = job_of(tmp_path)
    arrays = dict(np.load(path))
    turn = rotation.to_matrix(rotation.from_rotation_vector(np.array([0.4, 1.9, -0.7])))
    scale, shift = 2.5, np.array([3.0, -1.0, 2.0])
    moved = scale * arrays["vertices"] @ turn.T + shift
    cameras = arrays["T_view_world"].copy()
    cameras[:, :3, :3] = cameras[:, :3, :3] @ turn.T
    cameras[:, :3, 3] = scale * cameras[:, :3, 3] - np.einsum("tij,j->ti", cameras[:, :3, :3], shift)
    draw_frames(read_job(path), tmp_path / "one")
    draw_frames(read_job(job_of(tmp_path, vertices=moved, T_view_world=cameras)), tmp_path / "other")
    difference = picture(tmp_path / "one", 7)[..., 3].astype(int) - picture(tmp_path / "other", 7)[..., 3]
    assert np.abs(difference).max() <= 2
    near, far = (np.load(tmp_path / name / "splat_00007.depth.npy") for name in ("one", "other"))
    seen = (near > 0) & (far > 0)
    np.testing.assert_allclose(far[seen], scale * near[seen], rtol=1e-4)


def test_frames_that_are_there_are_kept_and_changed_ones_drawn(tmp_path):
    out = tmp_path / "out"
    path = job_of(tmp_path)
    draw_frames(read_job(path), out)
    stamps = {entry.name: entry.stat().st_mtime_ns for entry in out.glob("*.png")}
    assert draw_frames(read_job(path), out) == {"frames": 4, "drawn": 0, "kept": 4}
    vertices = np.load(path)["vertices"]
    vertices[1] += 0.01
    (out / "splat_00010.depth.npy").unlink()
    assert draw_frames(read_job(job_of(tmp_path, vertices=vertices)), out)["drawn"] == 2
    changed = {entry.name for entry in out.glob("*.png") if entry.stat().st_mtime_ns != stamps[entry.name]}
    assert changed == {"splat_00008.png", "splat_00010.png"}


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    job, out = read_job(job_of(tmp_path)), tmp_path / "out"

    def stop(fraction: float, _stage: str, _text: str) -> None:
        if fraction >= 0.5:
            raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        draw_frames(job, out, stop)
    names = {entry.name for entry in out.iterdir()}
    parts = [f"splat_{n:05d}{end}" for n in (7, 8) for end in (".png", ".depth.npy")]
    assert names == {*parts, "splat.frames.json"}
    told: list[str] = []
    found = draw_frames(job, out, lambda _fraction, _stage, text: told.append(text))
    assert found == {"frames": 4, "drawn": 2, "kept": 2}
    assert told == ["Frame 9", "Frame 10", "2 frames drawn, 2 kept"]


def test_a_damaged_record_costs_time_and_nothing_else(tmp_path):
    job, out = read_job(job_of(tmp_path)), tmp_path / "out"
    draw_frames(job, out)
    (out / "splat.frames.json").write_text('{"splat_00007": [1]}')
    assert draw_frames(job, out)["drawn"] == 4


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"splats": None}, "no 'splats'"),
        ({"splats": np.array(3)}, "splats is no text"),
        ({"splats": np.array("nowhere.npz")}, "nowhere.npz is missing"),
        ({"vertices": np.zeros((4, 5, 3))}, "vertices has the shape"),
        ({"vertices": np.full((4, 49, 3), np.nan)}, "not finite"),
        ({"latent": np.zeros((4, 9))}, "latent has the shape"),
        ({"latent": None}, "no 'latent'"),
        ({"numbers": np.array([1, 1, 2, 3])}, "numbered one by one"),
        ({"numbers": np.arange(4.0)}, "numbers has the shape"),
        ({"fx": np.zeros(4)}, "above zero"),
        ({"size": np.array([0, 8])}, "cannot be drawn"),
        ({"size": np.array([1 << 40, 8])}, "cannot be drawn"),
        ({"bits": np.array(12)}, "12 bits"),
        ({"name": np.array("../../x")}, "cannot be written"),
        ({"ortho_scale": np.ones(4)}, "orthographic"),
        ({"cx": np.array([{}] * 4, object)}, "damaged"),
    ],
)
def test_hostile_jobs_are_refused_in_one_sentence(tmp_path, changes, says):
    path = job_of(tmp_path, **changes)
    with pytest.raises(LikenessError, match=says) as caught:
        read_job(path)
    assert isinstance(caught.value, SplatError | SettingsError)
    assert caught.value.message.rstrip(".").count(". ") == 0


def test_a_file_is_no_folder_for_frames(tmp_path):
    job = read_job(job_of(tmp_path))
    (tmp_path / "out").write_text("mine")
    with pytest.raises(SettingsError, match="is a file"):
        draw_frames(job, tmp_path / "out")
