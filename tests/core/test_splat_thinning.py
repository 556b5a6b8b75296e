# SPDX-License-Identifier: GPL-3.0-or-later
"""Fewer splats cover what all of them covered."""

from __future__ import annotations

import numpy as np
import pytest

from core.splat.bound import BoundGaussians
from core.splat.splat_avatar import SplatAvatar
from core.splat.surface import HeadSurface
from core.splat.thinning import inclusion, spread, thinned


def sheet(count: int = 4000, seed: int = 1) -> SplatAvatar:
    """A strip of triangles with thin discs of very different sizes."""
    rng, columns = np.random.default_rng(seed), 41
    x = np.repeat(np.linspace(0.0, 0.4, columns), 2)
    rest = np.stack([x, np.tile([0.0, 0.02], columns), np.zeros_like(x)], axis=1)
    first = 2 * np.arange(columns - 1)
    triangles = np.concatenate(
        [np.stack([first, first + 2, first + 1], 1), np.stack([first + 1, first + 2, first + 3], 1)]
    )
    surface = HeadSurface(np.arange(len(rest)), triangles, np.ones(len(triangles)), rest)
    large = rng.normal(-2.0, 0.7, count)
    gaussians = BoundGaussians(
        binding=np.sort(rng.integers(0, len(triangles), count)),
        means=rng.normal(0.0, 0.3, (count, 3)),
        log_scales=np.stack([large, large - 2.5, large + rng.normal(0.0, 0.2, count)], axis=1),
        rotations=np.tile([1.0, 0.0, 0.0, 0.0], (count, 1)),
        opacity_logits=rng.normal(1.0, 1.0, count),
        sh=np.zeros((count, 1, 3)),
    )
    return SplatAvatar(surface, gaussians, "anny")


def area(avatar: SplatAvatar) -> np.ndarray:
    """(F,) opaque area of the splats of each triangle."""
    gaussians = avatar.gaussians
    two = np.sort(gaussians.log_scales, axis=1)[:, 1:].sum(axis=1)
    each = np.exp(two) / (1.0 + np.exp(-gaussians.opacity_logits))
    return np.bincount(gaussians.binding, each, len(avatar.surface))


@pytest.mark.parametrize("share", [0.5, 0.25, 0.15])
def test_a_share_covers_as_much_everywhere(share):
    whole = sheet()
    few = thinned(whole, share)
    assert len(few.gaussians) == round(share * len(whole.gaussians))
    ratio = area(few) / area(whole)
    assert abs(np.log(area(few).sum() / area(whole).sum())) < 0.1
    assert np.quantile(ratio, 0.02) > 0.5
    thickness = [a.gaussians.log_scales.min(axis=1).mean() for a in (few, whole)]
    assert thickness[0] < thickness[1] + 0.5


def test_all_of_them_are_left_alone_and_size_is_a_factor():
    whole = sheet(200)
    assert np.array_equal(thinned(whole, 1.0).gaussians.log_scales, whole.gaussians.log_scales)
    twice = thinned(whole, 1.0, 2.0).gaussians.log_scales
    np.testing.assert_allclose(twice, whole.gaussians.log_scales + np.log(2.0), atol=1e-6)
    few, double = thinned(whole, 0.3), thinned(whole, 0.3, 2.0)
    assert np.array_equal(few.gaussians.means, double.gaussians.means)
    np.testing.assert_allclose(double.gaussians.log_scales, few.gaussians.log_scales + np.log(2.0), atol=1e-5)
    assert len(thinned(whole, 1e-9).gaussians) == 1


@pytest.mark.parametrize("count", [1, 10, 333, 999])
def test_odds_add_up_and_choose_as_many(count):
    weights = np.random.default_rng(2).lognormal(0.0, 2.0, 1000)
    odds = inclusion(weights, count)
    assert odds.max() <= 1.0
    assert odds.min() > 0.0
    assert odds.sum() == pytest.approx(count, rel=1e-5)
    assert len(spread(odds)) == count
    assert len(spread(inclusion(np.zeros(50), 7))) == 7


def test_those_of_no_opacity_go_first():
    whole = sheet(1000)
    whole.gaussians.opacity_logits[::2] = -12.0
    kept = thinned(whole, 0.4).gaussians.opacity_logits
    assert np.mean(kept < -10.0) < 0.02
