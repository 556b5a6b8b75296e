# SPDX-License-Identifier: GPL-3.0-or-later
"""Performance: what it accepts, resampling and slicing as laws, files whole or refused."""

from __future__ import annotations

import json
import math
import shutil
import zipfile
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from performances import ARRAYS, random_performance, same

from core import rotation
from core.arkit import ARKIT_NAMES, INDEX
from core.errors import AvatarError, SettingsError
from core.performance import Performance


def interpolated(performance, t):
    """One resampled time, plainly: scan for the neighbours, mix every value by hand."""
    time = performance.time
    if t <= time[0]:
        i, j, u = 0, 0, 0.0
    elif t >= time[-1]:
        i, j, u = len(time) - 1, len(time) - 1, 0.0
    else:
        j = next(k for k in range(len(time)) if time[k] > t)
        i, u = j - 1, (t - time[j - 1]) / (time[j] - time[j - 1])
    mixed = {n: (1 - u) * getattr(performance, n)[i] + u * getattr(performance, n)[j] for n in ARRAYS}
    a, b = performance.head_rotation[i], performance.head_rotation[j]
    turn = rotation.to_rotation_vector(rotation.multiply(rotation.conjugate(a), b))
    mixed["head_rotation"] = rotation.multiply(a, rotation.from_rotation_vector(u * turn))
    return mixed


def test_resampling_equals_the_plain_loop():
    performance = random_performance()
    times = np.sort(np.random.default_rng(1).uniform(performance.time[0] - 1, performance.time[-1] + 1, 150))
    got = performance.resampled(times)
    plain = [interpolated(performance, t) for t in times]
    for name in ("weights", "head_translation", "gaze", "confidence"):
        np.testing.assert_allclose(getattr(got, name), [row[name] for row in plain], atol=1e-6, err_msg=name)
    matrices = rotation.to_matrix(np.array([row["head_rotation"] for row in plain]))
    np.testing.assert_allclose(rotation.to_matrix(got.head_rotation), matrices, atol=1e-12)


def test_resampling_at_its_own_times_changes_nothing():
    performance = random_performance()
    again = performance.resampled(performance.time)
    same(performance, again)
    np.testing.assert_allclose(again.flame["rot"], performance.flame["rot"], atol=1e-12)
    assert np.array_equal(again.flame["expr"], performance.flame["expr"])
    assert again.timecode == performance.timecode


def test_resampling_through_a_finer_grid_that_holds_the_target_is_resampling_at_once():
    performance = random_performance()
    target = np.linspace(performance.time[3], performance.time[-3], 41)
    fine = np.unique(np.concatenate([target, performance.time]))
    through = performance.resampled(fine).resampled(target)
    same(through, performance.resampled(target), 1e-6)
    assert through.timecode == pytest.approx(performance.resampled(target).timecode)


def test_resampled_rotation_is_unit_and_ignores_signs():
    performance = random_performance()
    flips = np.random.default_rng(3).choice([-1.0, 1.0], (performance.frame_count, 1))
    flipped = replace(performance, head_rotation=performance.head_rotation * flips)
    times = performance.time[:-1] + np.diff(performance.time) * 0.37
    got = flipped.resampled(times).head_rotation
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1.0, atol=1e-12)
    expected = performance.resampled(times).head_rotation
    np.testing.assert_allclose(rotation.to_matrix(got), rotation.to_matrix(expected), atol=1e-12)


def test_outside_the_recording_it_holds_still():
    performance = random_performance()
    got = performance.resampled(np.array([performance.time[0] - 5, performance.time[-1] + 5]))
    assert np.array_equal(got.weights, performance.weights[[0, -1]])
    assert np.array_equal(got.head_rotation, performance.head_rotation[[0, -1]])


def test_one_frame_can_be_resampled():
    one = random_performance(frames=1)
    assert np.array_equal(one.resampled(np.array([0.0, 9.0])).weights, one.weights[[0, 0]])
    assert (one.rate, one.duration) == (0.0, 0.0)


def test_slices_are_parts_and_keep_their_place_in_time():
    performance = random_performance()
    part = performance.sliced(performance.time[10], performance.time[20])
    late = performance.sliced(performance.time[100], performance.time[120])
    assert late.timecode == pytest.approx(performance.time[100] - performance.time[0] - 1.0)  # past midnight
    assert np.array_equal(part.time, performance.time[10:21])
    assert np.array_equal(part.gaze, performance.gaze[10:21])
    assert np.array_equal(part.flame["expr"], performance.flame["expr"][10:21])
    assert part.flame["shape"].shape == (150,)
    moved = performance.time[10] - performance.time[0]
    assert part.timecode == pytest.approx((86_399.0 + moved) % 86_400)
    with pytest.raises(SettingsError, match="No sample"):
        performance.sliced(1e6, 2e6)


def test_rate_is_that_of_the_median_step_and_survives_drops():
    time = np.delete(np.arange(100) / 60.0, [7, 8, 50])
    assert Performance("x", time, np.zeros((97, 52))).rate == pytest.approx(60.0)


def test_gaze_is_recorded_or_derived_from_the_weights():
    weights = np.zeros((2, 52))
    weights[0, [INDEX["eyeLookOutLeft"], INDEX["eyeLookInRight"]]] = 1.0  # both to the subject's left
    weights[1, [INDEX["eyeLookDownLeft"], INDEX["eyeLookDownRight"]]] = 0.5
    derived = Performance("x", np.arange(2.0), weights).gaze_or_from_weights()
    np.testing.assert_allclose(derived[0], np.radians([[30, 0], [30, 0]]))
    np.testing.assert_allclose(derived[1], np.radians([[0, -15], [0, -15]]))
    recorded = random_performance()
    assert recorded.gaze_or_from_weights() is recorded.gaze


def test_arrays_are_converted_copied_and_locked():
    weights = np.zeros((3, 52))
    performance = Performance("x", [0, 1, 2], weights)
    weights[0, 0] = 1
    assert (performance.weights.dtype, performance.time.dtype) == (np.float32, np.float64)
    assert performance.weights[0, 0] == 0
    assert np.array_equal(performance.confidence, [1, 1, 1])
    with pytest.raises(ValueError, match="read-only"):
        performance.weights[0, 0] = 1
    with pytest.raises(FrozenInstanceError):
        performance.name = "y"
    assert np.array_equal(performance.weight("JawOpen"), np.zeros(3))


BAD = {
    "no frames": {"time": np.zeros(0), "weights": np.zeros((0, 52))},
    "not increasing": {"time": np.array([0.0, 1.0, 1.0])},
    "NaN time": {"time": np.array([0.0, np.nan, 1.0])},
    "51 weights": {"weights": np.zeros((3, 51))},
    "flat weights": {"weights": np.zeros(156)},
    "infinite weight": {"weights": np.full((3, 52), np.inf)},
    "text": {"weights": np.full((3, 52), "a")},
    "objects": {"weights": np.full((3, 52), None)},
    "confidence": {"confidence": np.ones(4)},
    "quaternion": {"head_rotation": np.ones((3, 4))},
    "gaze": {"gaze": np.zeros((3, 4))},
    "translation": {"head_translation": np.zeros((2, 3))},
    "flame": {"flame": {"expr": np.full((3, 2), np.nan)}},
    "timecode": {"timecode": math.nan},
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_arrays_are_value_errors(case):
    good = {"name": "x", "time": np.arange(3.0), "weights": np.zeros((3, 52))}
    Performance(**good)
    with pytest.raises(ValueError):
        Performance(**(good | BAD[case]))


def test_save_and_load_give_it_back_bit_for_bit(tmp_path):
    performance = random_performance()
    performance.save(tmp_path / "a.npz")
    again = Performance.load(tmp_path / "a.npz")
    same(performance, again)
    assert again.timecode == performance.timecode
    assert {k: v.tolist() for k, v in again.flame.items()} == {
        k: v.tolist() for k, v in performance.flame.items()
    }
    again.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_what_is_not_there_stays_not_there(tmp_path):
    bare = Performance("bare ✓", np.arange(2.0), np.zeros((2, 52)))
    bare.save(tmp_path / "a.npz")
    again = Performance.load(tmp_path / "a.npz")
    same(bare, again)
    assert (again.flame, again.timecode) == (None, None)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "a.npz"
    random_performance(1).save(target)
    before = target.read_bytes()

    def fail(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.files.np.savez_compressed", fail)
    with pytest.raises(AvatarError, match="No space left"):
        random_performance(2).save(target)
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def stored(tmp_path):
    path = tmp_path / "p.npz"
    random_performance(frames=20).save(path)
    return path


def rewrite(path, **changes):
    """The same file with some arrays replaced, or removed where the new one is None."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files} | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def meta(path, **changes):
    with np.load(path) as archive:
        return np.array(json.dumps(json.loads(str(archive["meta"])) | changes))


DAMAGE = {
    "truncated": lambda p: p.write_bytes(p.read_bytes()[:-400]),
    "cut short": lambda p: p.write_bytes(p.read_bytes()[:50]),
    "empty": lambda p: p.write_bytes(b""),
    "text": lambda p: p.write_text("hello"),
    "flipped bits": lambda p: p.write_bytes(
        bytes(b ^ (i % 997 == 500) for i, b in enumerate(p.read_bytes()))
    ),
    "pickled objects": lambda p: rewrite(p, weights=np.array([{"a": 1}], dtype=object)),
    "wrong shape": lambda p: rewrite(p, weights=np.zeros((20, 51), np.float32)),
    "NaN": lambda p: rewrite(p, weights=np.full((20, 52), np.nan, np.float32)),
    "complex": lambda p: rewrite(p, weights=np.zeros((20, 52), complex)),
    "no weights": lambda p: rewrite(p, weights=None),
    "no meta": lambda p: rewrite(p, meta=None),
    "meta is no JSON": lambda p: rewrite(p, meta=np.array("{")),
    "time goes back": lambda p: rewrite(p, time=np.zeros(20)),
    "other names": lambda p: rewrite(p, names=np.array(ARKIT_NAMES[::-1])),
    "timecode is text": lambda p: rewrite(p, meta=meta(p, timecode="noon")),
    "missing": lambda p: p.unlink(),
    "a folder": lambda p: (p.unlink(), p.mkdir()),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_one_sentence_and_touches_nothing(case, tmp_path):
    path = stored(tmp_path)
    DAMAGE[case](path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(AvatarError) as caught:
        Performance.load(path)
    assert "p.npz" in caught.value.message
    assert "\n" not in str(caught.value)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_newer_schema_is_refused_by_name(tmp_path):
    path = stored(tmp_path)
    rewrite(path, meta=meta(path, schema=99))
    with pytest.raises(AvatarError, match=r"newer version"):
        Performance.load(path)


def test_pickles_are_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (shutil.rmtree, (str(tmp_path),))

    path = tmp_path / "p.npz"
    np.savez(path, meta=np.array([Trap()], dtype=object))
    with pytest.raises(AvatarError):
        Performance.load(path)
    assert path.is_file()


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "p.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights.npy", bytes(50_000_000))
    monkeypatch.setattr("core.files.read_npz.__defaults__", (1_000_000, None))
    with pytest.raises(AvatarError, match="unpack to more than"):
        Performance.load(path)
