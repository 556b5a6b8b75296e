# SPDX-License-Identifier: GPL-3.0-or-later
"""The measures of the fidelity bench, against slow twins and published values."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2")
ndimage = pytest.importorskip("scipy.ndimage")

from tests.bench import fidelity_metrics as metrics  # noqa: E402

RNG = np.random.default_rng(4)
FOOTAGE = np.repeat(np.repeat(RNG.integers(30, 220, (16, 20, 3), np.uint8), 4, axis=0), 4, axis=1)
EVERYWHERE = np.ones(FOOTAGE.shape[:2], bool)


def noisy(spread: float) -> np.ndarray:
    """The footage with noise of a standard deviation in levels."""
    noise = np.random.default_rng(5).normal(0, spread, FOOTAGE.shape)
    return np.clip(np.rint(FOOTAGE + noise), 0, 255).astype(np.uint8)


def test_psnr_is_decibels_of_the_mean_square():
    assert metrics.psnr(FOOTAGE, FOOTAGE, EVERYWHERE) == float("inf")
    assert metrics.psnr(FOOTAGE + np.uint8(5), FOOTAGE, EVERYWHERE) == pytest.approx(34.1514, abs=1e-3)
    assert metrics.psnr(noisy(10), FOOTAGE, EVERYWHERE) == pytest.approx(28.13, abs=0.15)
    assert np.isnan(metrics.psnr(FOOTAGE, FOOTAGE, ~EVERYWHERE))


def test_only_the_mask_counts():
    mask, picture = EVERYWHERE.copy(), FOOTAGE.copy()
    mask[:20] = False
    picture[:20] = 0
    assert metrics.psnr(picture, FOOTAGE, mask) == float("inf")


def test_ssim_equals_its_slow_twin():
    """Windows one by one, in double precision, with weights written out."""
    reach = np.arange(-5, 6)
    line = np.exp(-(reach**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    a, b = (one.astype(float) @ [0.299, 0.587, 0.114] for one in (noisy(15), FOOTAGE))
    found = metrics.ssim_map(noisy(15), FOOTAGE)
    for y, x in RNG.integers(5, 59, (40, 2)):
        p, q = a[y - 5 : y + 6, x - 5 : x + 6], b[y - 5 : y + 6, x - 5 : x + 6]
        mp, mq = (window * p).sum(), (window * q).sum()
        vp, vq, both = (window * p * p).sum() - mp**2, (window * q * q).sum() - mq**2, (window * p * q).sum()
        expected = (2 * mp * mq + 6.5025) * (2 * (both - mp * mq) + 58.5225)
        expected /= (mp**2 + mq**2 + 6.5025) * (vp + vq + 58.5225)
        assert found[y, x] == pytest.approx(expected, abs=2e-4)


def test_ssim_falls_with_noise_and_blur_and_not_with_nothing():
    alike = [metrics.ssim(metrics.ssim_map(noisy(s), FOOTAGE), EVERYWHERE) for s in (0, 5, 15, 40)]
    assert alike[0] == pytest.approx(1.0, abs=1e-6)
    assert alike[0] > alike[1] > alike[2] > alike[3]
    blurred = ndimage.gaussian_filter(FOOTAGE.astype(float), (3, 3, 0)).astype(np.uint8)
    assert metrics.ssim(metrics.ssim_map(blurred, FOOTAGE), EVERYWHERE) < 0.9


def test_lab_is_as_published():
    """Lindbloom's values of sRGB's corners under D65."""
    corners = {(1, 1, 1): (100, 0, 0), (1, 0, 0): (53.24, 80.09, 67.20), (0, 0, 1): (32.30, 79.19, -107.86)}
    for rgb, expected in corners.items():
        np.testing.assert_allclose(metrics.lab(np.array(rgb, float)), expected, atol=0.05)
    np.testing.assert_allclose(metrics.lab(np.zeros(3)), 0.0, atol=1e-9)


def test_delta_e_of_equals_is_zero_and_grows():
    grey = np.full((3, 3), 0.2)
    assert np.all(metrics.delta_e(grey, grey) == 0)
    assert np.all(metrics.delta_e(grey, grey * 1.5) > metrics.delta_e(grey, grey * 1.1))


def test_lpips_says_why_it_is_left_out():
    lpips = metrics.Lpips()
    if lpips.missing:
        assert lpips.missing.startswith("LPIPS skipped: ")
        assert np.isnan(lpips.distance(FOOTAGE, FOOTAGE, EVERYWHERE))
    else:
        assert (
            lpips.distance(FOOTAGE, FOOTAGE, EVERYWHERE)
            < 1e-3
            < lpips.distance(noisy(30), FOOTAGE, EVERYWHERE)
        )
