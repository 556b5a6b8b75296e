# SPDX-License-Identifier: GPL-3.0-or-later
"""The person's own face: still, the track in step with the action, the predicted texture; no purple."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from face_support import level_of, pixel, screen, write_face_avatar
from footage_support import open_avatar
from scene_support import part

EVEN = np.arange(12) / 25.0


@pytest.fixture(scope="module")
def folder(module, tmp_path_factory) -> Path:
    """An avatar with a track, a still and a predicted texture."""
    return write_face_avatar(tmp_path_factory.mktemp("face") / "Ada.avatar", {"take": EVEN})


@pytest.fixture
def root(empty_scene, folder):
    return open_avatar(folder)


def double_of(root) -> Any:
    return part("addon.session").double_of(bpy.context.scene, root)


def shown_picture(frame: int, tmp_path: Path, engine: str = "CYCLES") -> float:
    """Number of the track's picture that a rendering shows."""
    return (pixel(frame, tmp_path, engine)[1] - level_of(0)) / (level_of(1) - level_of(0))


def nearest(times: np.ndarray, fps: float, frame: int) -> np.ndarray:
    """Pictures that may be shown at a scene frame: the nearest in time, and another as near as that."""
    apart = np.abs(times - frame / fps)
    return np.flatnonzero(apart < apart.min() + 1e-3)


@pytest.mark.parametrize("fps", [25, 24, 60, 12])
def test_the_track_keeps_in_step_at_any_scene_rate(root, tmp_path, fps):
    scene = bpy.context.scene
    screen(double_of(root))
    scene.render.fps, scene.render.fps_base = fps, 1.0
    bpy.ops.likeness.fix_check(key="RATE")
    for frame in np.unique(np.linspace(0, scene.frame_end, 6).astype(int)).tolist():
        shown = shown_picture(frame, tmp_path)
        assert np.abs(nearest(EVEN, fps, frame) - shown).min() < 0.4, frame


def test_the_first_picture_holds_before_and_the_last_one_after(root, tmp_path):
    screen(double_of(root))
    for frame, picture in ((-4, 0), (0, 0), (1, 1), (11, 11), (12, 11), (40, 11)):
        assert shown_picture(frame, tmp_path) == pytest.approx(picture, abs=0.4), frame


@pytest.mark.parametrize("kind", ["late", "uneven"])
def test_late_and_uneven_recordings(empty_scene, tmp_path, kind):
    rng = np.random.default_rng(1)
    times = {"late": 0.4 + EVEN, "uneven": np.cumsum(rng.choice([1 / 50, 1 / 25, 3 / 50], 12))}[kind]
    root = open_avatar(write_face_avatar(tmp_path / "Ada.avatar", {"take": times}))
    screen(double_of(root))
    scene = bpy.context.scene
    fps = part("addon.scene.timing").rate_of(scene)
    for frame in range(int(times[0] * fps), scene.frame_end + 1, 3):
        seen = round(shown_picture(frame, tmp_path))
        assert abs(times[seen] - frame / fps) <= abs(times - frame / fps).min() + 1 / 50 + 1e-3


def test_another_performance_brings_its_own_track(empty_scene, tmp_path):
    root = open_avatar(write_face_avatar(tmp_path / "Ada.avatar", {"first": EVEN, "second": EVEN[:8]}))
    session = part("addon.session")
    screen(double_of(root))
    seen = {}
    for name in ("first", "second", "first"):
        session.play(bpy.context, root, name)
        seen[name] = shown_picture(4, tmp_path)
    assert seen["first"] == pytest.approx(4, abs=0.4)
    assert seen["second"] == pytest.approx(3 + 4, abs=0.4)


def test_a_saved_file_shows_the_same_face(root, tmp_path):
    screen(double_of(root))
    before = shown_picture(7, tmp_path)
    path = str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=path)
    assert before == pytest.approx(7, abs=0.4)
    assert shown_picture(7, tmp_path) == pytest.approx(before, abs=0.01)
    assert shown_picture(2, tmp_path) == pytest.approx(2, abs=0.4)


def test_the_other_engine_shows_the_same_picture(root, tmp_path):
    if not part("addon.scene.graphics").has_opengl():
        pytest.skip("EEVEE needs OpenGL, which this machine does not have")
    screen(double_of(root))
    engine = part("addon.scene.bpy_compat").EEVEE
    for frame in (3, 9):
        assert shown_picture(frame, tmp_path, engine) == pytest.approx(frame, abs=0.5)
