# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters and decimation: neutral settings, laws, and a slow plain twin of each fast path."""

from __future__ import annotations

import math
import time as clock
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from performances import random_performance, same
from scipy.signal import savgol_filter

from core import rotation
from core.arkit import INDEX, MIRROR
from core.decimate import decimate, decimate_channels
from core.errors import SettingsError
from core.filters import FilterSettings, apply, per_shape
from core.performance import Performance
from core.smoothing import one_euro, savitzky_golay

SMOOTH = [FilterSettings(smoothing="ONE_EURO"), FilterSettings(smoothing="SAVITZKY_GOLAY")]


def uneven(count=150, seed=0):
    return np.cumsum(np.random.default_rng(seed).uniform(0.3, 3.0, count)) / 30.0


def plain_one_euro(time, values, cutoff, beta, derivative_cutoff):
    """Casiez et al., one channel and one sample at a time, alpha = 1 / (1 + tau / dt)."""
    out = [values[0]]
    speed = 0.0
    for i in range(1, len(values)):
        dt = time[i] - time[i - 1]
        alpha = 1 / (1 + 1 / (2 * math.pi * derivative_cutoff) / dt)
        speed = alpha * (values[i] - values[i - 1]) / dt + (1 - alpha) * speed
        alpha = 1 / (1 + 1 / (2 * math.pi * (cutoff + beta * abs(speed))) / dt)
        out.append(alpha * values[i] + (1 - alpha) * out[-1])
    return np.array(out)


def plain_savitzky_golay(time, values, window, order):
    """A polynomial fitted by numpy.polyfit around each sample."""
    out = []
    for i in range(len(values)):
        start = min(max(i - window // 2, 0), len(values) - window)
        part = slice(start, start + window)
        out.append(np.polyfit(time[part] - time[i], values[part], order)[-1])
    return np.array(out)


def plain_decimate(time, values, error):
    """Ramer, Douglas, Peucker by recursion on one channel."""

    def split(first, last):
        worst, at = 0.0, None
        slope = (values[last] - values[first]) / (time[last] - time[first])
        for i in range(first + 1, last):
            excess = abs(values[i] - (values[first] + slope * (time[i] - time[first]))) - error
            if excess > worst:
                worst, at = excess, i
        return [] if at is None else [*split(first, at), at, *split(at, last)]

    return [0, *split(0, len(values) - 1), len(values) - 1]


# --- settings -------------------------------------------------------------------------------------


def test_neutral_settings_give_equal_arrays():
    performance = random_performance()
    same(performance, apply(performance, FilterSettings()))


def test_shape_settings_alone_leave_the_head_and_the_eyes():
    performance = random_performance()
    same(performance, apply(performance, FilterSettings(gain=(2.0,) * 52)), skip=("weights",))


@pytest.mark.parametrize(
    "bad",
    [
        {"smoothing": "GAUSSIAN"},
        {"cutoff": 0.0},
        {"cutoff": math.nan},
        {"derivative_cutoff": -1.0},
        {"beta": -0.1},
        {"window": 6},
        {"window": 0},
        {"order": 5},
        {"order": -1},
        {"gain": (1.0,) * 51},
        {"offset": (math.nan,) * 52},
    ],
)
def test_bad_settings_are_refused(bad):
    with pytest.raises(SettingsError):
        FilterSettings(**bad)


def test_settings_are_values():
    assert FilterSettings(gain=np.ones(52)) == FilterSettings()
    assert hash(FilterSettings(gain=[1.0] * 52)) == hash(FilterSettings())


def test_per_shape_knows_dialects_and_refuses_others():
    gain = per_shape({"JawOpen": 2.0, "eyeBlink_L": 0.5}, 1.0)
    assert (gain[INDEX["jawOpen"]], gain[INDEX["eyeBlinkLeft"]], sum(gain)) == (2.0, 0.5, 52 + 1.0 - 0.5)
    with pytest.raises(SettingsError, match="blah"):
        per_shape({"blah": 1.0}, 1.0)


# --- shapes ---------------------------------------------------------------------------------------


def test_gain_offset_and_limits_in_this_order():
    rng = np.random.default_rng(1)
    gain, offset = rng.uniform(0, 2, 52), rng.uniform(-0.3, 0.3, 52)
    low, high = rng.uniform(0, 0.2, 52), rng.uniform(0.6, 1.0, 52)
    performance = random_performance()
    got = apply(performance, FilterSettings(gain=gain, offset=offset, minimum=low, maximum=high)).weights
    for row, raw in zip(got, performance.weights, strict=True):
        for c in range(52):
            plain = min(max(float(raw[c]) * gain[c] + offset[c], low[c]), high[c])
            assert row[c] == pytest.approx(plain, abs=1e-6)


def test_mouth_close_never_exceeds_jaw_open():
    got = apply(random_performance(), FilterSettings(limit_mouth_close=True))
    jaw, close = got.weight("jawOpen"), got.weight("mouthClose")
    assert np.all(close <= np.maximum(jaw, 0))
    raw = random_performance()
    allowed = raw.weight("mouthClose") <= raw.weight("jawOpen")
    assert np.array_equal(close[allowed], raw.weight("mouthClose")[allowed])
    assert allowed.any() and not allowed.all()


def test_mouth_swap_twice_is_the_identity():
    performance = random_performance()
    swap = FilterSettings(swap_mouth=True)
    once = apply(performance, swap)
    assert np.array_equal(once.weight("mouthLeft"), performance.weight("mouthRight"))
    assert np.array_equal(once.weight("mouthSmileLeft"), performance.weight("mouthSmileLeft"))
    same(performance, apply(once, swap))


# --- mirror ---------------------------------------------------------------------------------------


def test_mirror_twice_is_the_identity():
    performance = random_performance()
    mirror = FilterSettings(mirror=True)
    same(performance, apply(apply(performance, mirror), mirror))
    assert apply(performance, mirror).flame is None


def test_mirror_turns_head_and_eyes_to_the_other_side():
    performance = random_performance()
    got = apply(performance, FilterSettings(mirror=True))
    yaw, pitch, roll = rotation.to_angles(performance.head_rotation)
    np.testing.assert_allclose(rotation.to_angles(got.head_rotation), (-yaw, pitch, -roll), atol=1e-12)
    assert np.array_equal(got.gaze[:, 0], performance.gaze[:, 1] * [-1, 1])
    assert np.array_equal(got.head_translation, performance.head_translation * [-1, 1, 1])
    assert np.array_equal(got.weights, performance.weights[:, MIRROR])


def test_gaze_of_mirrored_weights_is_the_mirrored_gaze():
    performance = replace(random_performance(), gaze=None)
    mirrored = apply(performance, FilterSettings(mirror=True)).gaze_or_from_weights()
    np.testing.assert_allclose(mirrored, performance.gaze_or_from_weights()[:, ::-1] * [-1, 1], atol=1e-12)


@pytest.mark.parametrize("smooth", SMOOTH, ids=lambda s: s.smoothing)
def test_smoothing_and_mirror_commute(smooth):
    performance = random_performance()
    mirror = FilterSettings(mirror=True)
    same(apply(apply(performance, smooth), mirror), apply(apply(performance, mirror), smooth), 1e-6)


# --- smoothing ------------------------------------------------------------------------------------


def test_one_euro_equals_the_plain_loop():
    time = uneven()
    values = np.random.default_rng(1).normal(size=(150, 5))
    got = one_euro(time, values, 1.2, 0.7, 0.9)
    for c in range(5):
        np.testing.assert_allclose(got[:, c], plain_one_euro(time, values[:, c], 1.2, 0.7, 0.9), atol=1e-12)


def test_two_ways_are_the_plain_loop_forwards_and_then_backwards_in_time():
    performance = random_performance()
    euro = FilterSettings("ONE_EURO", cutoff=1.2, beta=0.7, derivative_cutoff=0.9)
    got = apply(performance, euro)
    for c in (0, 17, 51):
        there = plain_one_euro(performance.time, performance.weights[:, c].astype(float), 1.2, 0.7, 0.9)
        back = plain_one_euro(performance.time[-1] - performance.time[::-1], there[::-1], 1.2, 0.7, 0.9)
        np.testing.assert_allclose(got.weights[:, c], back[::-1], atol=1e-6)


@pytest.mark.parametrize(("window", "order"), [(5, 2), (7, 2), (11, 3), (21, 4), (3, 0)])
def test_savitzky_golay_equals_scipy_on_even_times(window, order):
    values = np.random.default_rng(2).normal(size=(200, 6))
    got = savitzky_golay(100.0 + np.arange(200) / 30.0, values, window, order)
    np.testing.assert_allclose(got, savgol_filter(values, window, order, axis=0, mode="interp"), atol=1e-9)


def test_savitzky_golay_equals_polyfit_on_uneven_times():
    time = uneven()
    values = np.random.default_rng(3).normal(size=(150, 3))
    got = savitzky_golay(time, values, 9, 3)
    for c in range(3):
        np.testing.assert_allclose(got[:, c], plain_savitzky_golay(time, values[:, c], 9, 3), atol=1e-9)


def test_savitzky_golay_keeps_polynomials_at_any_times():
    time = uneven()
    values = np.stack([1 + 2 * time, 3 - time + 0.5 * time**2], axis=1)
    np.testing.assert_allclose(savitzky_golay(time, values, 9, 2), values, atol=1e-9)


def test_short_series():
    for count in (1, 2, 3, 5):
        values = np.random.default_rng(count).normal(size=(count, 2))
        time = np.arange(count) / 30.0
        assert savitzky_golay(time, values, 7, 2).shape == values.shape
        if count <= 3:  # a parabola through three points is exact, and fewer are left alone
            np.testing.assert_allclose(savitzky_golay(time, values, 7, 2), values, atol=1e-12)
        assert np.array_equal(one_euro(time, values, 1.0, 0.0)[0], values[0])


@pytest.mark.parametrize("smooth", SMOOTH, ids=lambda s: s.smoothing)
def test_a_still_face_stays_still(smooth):
    still = random_performance(frames=1)
    performance = still.resampled(uneven())
    got = apply(performance, smooth)
    same(performance, got, 1e-6)


def test_one_euro_lets_everything_pass_at_a_high_cutoff():
    performance = random_performance()
    got = apply(performance, FilterSettings(smoothing="ONE_EURO", cutoff=1e9))
    same(performance, got, 1e-6)


@pytest.mark.parametrize("smooth", SMOOTH, ids=lambda s: s.smoothing)
def test_noise_is_calmed_and_motion_kept_without_lag(smooth):
    rng = np.random.default_rng(4)
    time = uneven(600)
    clean = 0.5 + 0.4 * np.sin(2 * np.pi * 0.1 * time)
    noisy = np.repeat((clean + rng.normal(size=600) * 0.02)[:, None], 52, axis=1)
    quiet = replace(smooth, beta=1.0, derivative_cutoff=1.0, window=9)
    got = apply(Performance("x", time, noisy), quiet).weights[:, 0]
    middle = slice(20, -20)
    assert np.std((got - clean)[middle]) < 0.7 * 0.02
    shifts = [np.mean((np.interp(time + s, time, got) - clean)[middle] ** 2) for s in (-0.05, 0.0, 0.05)]
    assert np.argmin(shifts) == 1


def test_one_way_is_what_a_live_stream_gets():
    performance = random_performance()
    live = FilterSettings(smoothing="ONE_EURO", two_way=False)
    whole = apply(performance, live)
    start = apply(performance.sliced(-math.inf, performance.time[50]), live)
    assert np.array_equal(whole.weights[:51], start.weights)


@pytest.mark.parametrize("smooth", SMOOTH, ids=lambda s: s.smoothing)
def test_smoothed_rotation_ignores_the_signs_of_quaternions(smooth):
    performance = random_performance()
    flips = np.random.default_rng(5).choice([-1.0, 1.0], (performance.frame_count, 1))
    flipped = replace(performance, head_rotation=performance.head_rotation * flips)
    a, b = apply(performance, smooth).head_rotation, apply(flipped, smooth).head_rotation
    np.testing.assert_allclose(np.linalg.norm(b, axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(rotation.to_matrix(a), rotation.to_matrix(b), atol=1e-12)


def test_filters_leave_the_raw_performance_alone():
    raw, untouched = random_performance(), random_performance()
    shapes = {"gain": (2.0,) * 52, "mirror": True, "swap_mouth": True, "limit_mouth_close": True}
    apply(raw, FilterSettings("ONE_EURO", **shapes))
    same(raw, untouched)


# --- decimation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [0.0, 0.001, 0.05, 0.5])
def test_decimation_equals_the_plain_recursion(error):
    time, values = uneven(), np.cumsum(np.random.default_rng(6).normal(size=(150, 4)) * 0.1, axis=0)
    got = decimate_channels(time, values, error)
    for c in range(4):
        assert got[c].tolist() == plain_decimate(time, values[:, c], error)
        assert decimate(time, values[:, c], error).tolist() == got[c].tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.floats(0.0, 1.0), st.integers(0, 10**6))
def test_every_sample_is_within_the_error(count, error, seed):
    rng = np.random.default_rng(seed)
    time = np.cumsum(rng.uniform(0.01, 1.0, count))
    values = np.cumsum(rng.normal(size=(count, 3)), axis=0) * rng.choice([1e-3, 1.0, 1e3])
    for c, kept in enumerate(decimate_channels(time, values, error)):
        assert kept[0] == 0 and kept[-1] == count - 1 and np.all(np.diff(kept) > 0)
        gap = np.abs(np.interp(time, time[kept], values[kept, c]) - values[:, c])
        assert gap.max() <= error + 1e-9 * np.abs(values).max()


def test_channels_that_share_their_keys_are_all_within_their_errors():
    time, values = uneven(), np.cumsum(np.random.default_rng(7).normal(size=(150, 4)), axis=0)
    error = np.array([0.5, 0.1, 2.0, 1.0])
    kept = decimate(time, values, error)
    assert len(kept) < 150
    for c in range(4):
        assert np.abs(np.interp(time, time[kept], values[kept, c]) - values[:, c]).max() <= error[c] + 1e-9


def test_straight_lines_and_steps():
    time = np.arange(100) / 30
    assert decimate(time, 3 - 2 * time, 1e-9).tolist() == [0, 99]
    assert decimate(time, (np.arange(100) >= 50).astype(float), 0.01).tolist() == [0, 49, 50, 99]
    assert decimate(np.array([1.0]), np.array([2.0]), 0.1).tolist() == [0]
    assert decimate(np.array([1.0, 2.0]), np.array([2.0, 5.0]), 0.1).tolist() == [0, 1]


def test_a_negative_error_is_refused():
    with pytest.raises(SettingsError, match="-1"):
        decimate(np.arange(3.0), np.zeros(3), -1)


def test_60_channels_of_4030_samples_are_fast_also_at_their_worst():
    time = np.arange(4030) / 30.0
    rng = np.random.default_rng(8)
    cases = {
        "walk": np.cumsum(rng.normal(size=(4030, 60)) * 0.01, axis=0),
        "noise": rng.random((4030, 60)),
        "one sample per level": np.repeat(np.exp(time[:, None] * 5), 60, axis=1),
    }
    for name, values in cases.items():
        began = clock.perf_counter()
        decimate_channels(time, values, 1e-3)
        assert clock.perf_counter() - began < 3.0, name  # 0.1 to 0.5 s where nothing else runs
