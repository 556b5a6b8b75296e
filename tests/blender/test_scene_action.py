# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys lie where the recording has samples; filters never touch the recording."""

from __future__ import annotations

from dataclasses import replace

import bpy
import numpy as np
import pytest
from scene_support import avatar, build, part, performance, settings


def curve(double, path: str, owner: str = "keys", index: int = 0):
    datablock = double.shape_keys if owner == "keys" else double.armature
    _slot, bag = part("addon.scene.bpy_compat").channelbag(datablock.animation_data.action, datablock)
    return bag.fcurves.find(path, index=index)


def keys_of(fcurve) -> np.ndarray:
    pairs = np.empty(2 * len(fcurve.keyframe_points), np.float32)
    fcurve.keyframe_points.foreach_get("co", pairs)
    return pairs.reshape(-1, 2)


JAW = 'key_blocks["jawOpen"].value'


@pytest.mark.parametrize(
    ("rate", "fps", "base"), [(29.97003, 30, 1.001), (30.0, 30, 1.0), (59.94006, 60, 1.001), (24.0, 24, 1.0)]
)
def test_the_scene_takes_the_rate_and_keys_lie_by_time(empty_scene, rate, fps, base):
    take = performance(50, rate)
    take = replace(take, time=take.time + 0.0123)
    double = build(avatar(), take)
    render = empty_scene.render
    assert (render.fps, render.fps_base) == (fps, pytest.approx(base))
    found = keys_of(curve(double, JAW))
    assert found[:, 0] == pytest.approx(take.time * fps / base, abs=1e-3)
    assert found[:, 1] == pytest.approx(take.weight("jawOpen"), abs=1e-6)
    assert (empty_scene.frame_start, empty_scene.frame_end) == (0, 49)


def test_dropped_frames_leave_gaps_in_time(empty_scene):
    take = performance(30)
    kept = np.r_[0:10, 15:30]
    take = replace(
        take, time=take.time[kept], weights=take.weights[kept], head_rotation=None, gaze=None,
        confidence=np.ones(len(kept), np.float32),
    )  # fmt: skip
    double = build(avatar(), take, first_frame=100)
    assert keys_of(curve(double, JAW))[:, 0] == pytest.approx(100 + kept, abs=1e-3)
    assert empty_scene.frame_end == 129


def test_an_odd_rate_is_kept_exactly():
    as_fraction = part("addon.scene.timing").as_fraction
    for rate in (29.5, 12.5, 0.5, 61.7):
        fps, base = as_fraction(rate)
        assert fps / base == pytest.approx(rate, rel=1e-12)


def test_one_action_with_a_slot_for_bones_and_one_for_keys(empty_scene):
    double = build(avatar(), performance())
    assert len(bpy.data.actions) == 1
    action = bpy.data.actions[0]
    assert sorted(slot.target_id_type for slot in action.slots) == ["KEY", "OBJECT"]
    assert double.armature.animation_data.action == double.shape_keys.animation_data.action == action
    assert curve(double, JAW).keyframe_points[0].interpolation == "LINEAR"


def test_a_second_performer_keeps_the_scenes_rate(empty_scene):
    build(avatar("Ada"), performance(30, 25.0))
    other = build(avatar("Ben"), performance(90, 60.0))
    assert empty_scene.render.fps == 25
    assert keys_of(curve(other, JAW))[-1, 0] == pytest.approx(89 / 60 * 25, abs=1e-3)
    assert empty_scene.frame_end == 37


def test_weights_beyond_one_are_not_clipped(empty_scene):
    take = performance()
    weights = take.weights.copy()
    weights[:, part("core.arkit").INDEX["jawOpen"]] = 1.4
    double = build(avatar(), replace(take, weights=weights))
    empty_scene.frame_set(3)
    assert double.shape_keys.key_blocks["jawOpen"].value == pytest.approx(1.4)


def test_filters_keep_the_raw_action_and_switch(empty_scene):
    filters = part("core.filters")
    take = performance(200)
    chosen = filters.FilterSettings(smoothing="SAVITZKY_GOLAY", window=9)
    double = build(avatar(), take, filters=chosen)
    action = part("addon.scene.action")
    smooth = filters.apply(take, chosen).weight("jawOpen")
    assert keys_of(curve(double, JAW))[:, 1] == pytest.approx(smooth, abs=1e-6)
    assert action.use_filtered(double, False)
    assert keys_of(curve(double, JAW))[:, 1] == pytest.approx(take.weight("jawOpen"), abs=1e-6)
    assert action.use_filtered(double, True)
    assert keys_of(curve(double, JAW))[:, 1] == pytest.approx(smooth, abs=1e-6)
    assert len(bpy.data.actions) == 2

    person = avatar()
    person.id = double.id
    rekey = part("addon.scene.build").apply_performance
    rekey(empty_scene, double, person, take, settings())
    assert len(bpy.data.actions) == 1
    assert keys_of(curve(double, JAW))[:, 1] == pytest.approx(take.weight("jawOpen"), abs=1e-6)


def test_decimation_leaves_keys_out_within_its_error(empty_scene):
    take = performance(300, gaze=False)
    smooth = (0.5 + 0.5 * np.sin(np.outer(take.time, np.linspace(1.0, 3.0, 52)))).astype(np.float32)
    take = replace(take, weights=smooth)
    double = build(avatar(), take, decimate_error=0.01)
    found = curve(double, JAW)
    assert len(found.keyframe_points) < 150
    values = np.array([found.evaluate(frame) for frame in take.time * 30.0])
    assert np.abs(values - take.weight("jawOpen")).max() < 0.0101


def test_gaze_keys_replace_drivers_and_give_way_to_them_again(empty_scene):
    person = avatar()
    path = 'pose.bones["eye.L"].rotation_quaternion'
    double = build(person, performance(gaze=False))
    assert len(double.armature.animation_data.drivers) == 8
    double = build(person, performance(gaze=True))
    assert not len(double.armature.animation_data.drivers)
    assert curve(double, path, "bones") is not None
    double = build(person, performance(gaze=False))
    assert len(double.armature.animation_data.drivers) == 8
    assert curve(double, path, "bones") is None


def test_bone_turns_take_the_short_way_between_samples(empty_scene):
    rotation = part("core.rotation")
    turns = rotation.from_rotation_vector(np.outer(np.linspace(0.0, 3.0, 40), [0.0, 1.0, 0.0]))
    turns[::2] *= -1.0  # the same rotations
    double = build(avatar(), replace(performance(40), head_rotation=turns))
    values = np.stack(
        [keys_of(curve(double, 'pose.bones["head"].rotation_quaternion', "bones", i))[:, 1] for i in range(4)]
    )
    assert np.abs(np.diff(values, axis=1)).max() < 0.1
