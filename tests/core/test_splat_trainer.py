# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of the trainer on pictures of a patch: it comes nearer, can be repeated, can be taken up again."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba")

from core.splat.evaluate import Score, evaluate, score
from core.splat.loss import Loss
from core.splat.shot_levels import SeenLoss, on_background, smaller
from core.splat.trainer import BACKGROUND, Trainer, lit
from tests.core.splat_bound_samples import avatar_of
from tests.core.splat_train_samples import patch_shots, patch_trainer

Array = np.ndarray


def run(trainer: Trainer, steps: int) -> list[float]:
    return [trainer.step() for _ in range(steps)]


def stored(trainer: Trainer) -> dict[str, Array]:
    """The state as it comes back from a file."""
    file = io.BytesIO()
    np.savez(file, **trainer.state())
    file.seek(0)
    with np.load(file) as arrays:
        return {name: arrays[name] for name in arrays.files}


def same(one: Trainer, other: Trainer) -> bool:
    """Whether all that a run consists of is equal in every bit."""
    first, second = one.state(), other.state()
    return first.keys() == second.keys() and all(np.array_equal(first[k], second[k]) for k in first)


def test_training_comes_nearer_to_pictures_it_never_saw():
    shots = patch_shots(avatar_of(150, 1, 3), 10, held=3)
    trainer = patch_trainer(240, shots=shots)
    before = evaluate(trainer, shots.held)
    losses = run(trainer, 240)
    after = evaluate(trainer, shots.held)
    assert after.psnr > before.psnr + 4 and after.ssim > before.ssim + 0.2
    assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:20])
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("stop", [1, 9, 27, 44])
def test_a_run_that_was_stopped_takes_the_same_steps(stop):
    """Before and after it learned what is usual, and between densifications, on a run with every feature."""
    begun, later = (patch_trainer(60, exposure=True) for _ in range(2))
    run(begun, stop)
    later.restore(stored(begun))
    assert same(begun, later) and later.iteration == stop
    assert run(begun, 60 - stop) == run(later, 60 - stop)
    assert same(begun, later)


def test_threads_do_not_change_a_bit():
    one, two = (patch_trainer(30, threads=threads) for threads in (1, 3))
    assert run(one, 30) == run(two, 30)
    assert same(one, two)


def test_another_seed_looks_at_the_pictures_in_another_order():
    one, two = (patch_trainer(10, seed=seed) for seed in (1, 2))
    assert run(one, 10) != run(two, 10)


def test_every_picture_comes_round():
    trainer, seen = patch_trainer(40), []
    original = trainer._next
    trainer._next = lambda: seen.append(original()) or seen[-1]
    run(trainer, 12)
    assert sorted(seen[:6]) == sorted(seen[6:]) == list(range(6))


def test_springs_keep_what_no_picture_shows():
    """Gaussians outside every picture stay where they began."""
    shots = patch_shots(avatar_of(150, 1, 3))
    left = tuple(half(shot) for shot in shots.shots)
    trainer = patch_trainer(120, shots=replace(shots, shots=left), densify_until=0.0, refine=False)
    before = {name: getattr(trainer.gaussians, name).copy() for name in ("means", "log_scales")}
    run(trainer, 120)
    unseen = trainer._optimiser.second["means"].max(axis=1) == 0
    assert 20 < unseen.sum() < 130
    for name, array in before.items():
        moved = np.abs(getattr(trainer.gaussians, name) - array).reshape(len(array), -1).max(axis=1)
        assert moved[unseen].max() < 1e-6 and np.median(moved[~unseen]) > 0.005


def half(shot):
    """A shot that is cut off in the middle."""
    width = shot.view.width // 2
    view = replace(shot.view, width=width)
    image, matte, weight = (one[:, :width] for one in (shot.image, shot.matte8, shot.weight8))
    return replace(shot, image=image, matte8=matte, weight8=weight, view=view)


def test_exposure_is_learned_and_centred():
    """Every other picture is taken a third darker: the gains say so, and their mean is none."""
    shots = patch_shots(avatar_of(150, 1, 3), 6)
    dark = [
        replace(shot, image=np.rint(shot.image * (0.67 if n % 2 else 1.0)).astype(np.uint8))
        for n, shot in enumerate(shots.shots)
    ]
    trainer = patch_trainer(300, shots=replace(shots, shots=tuple(dark)), exposure=True, densify_until=0.0)
    run(trainer, 300)
    gains = trainer.refinement.values[:, 58:]
    assert np.abs(gains.mean(axis=0)).max() < 1e-9
    assert np.all(gains[1::2].mean(axis=0) < gains[::2].mean(axis=0) - 0.15)


def test_light_changes_the_head_and_not_what_is_behind():
    rng = np.random.default_rng(0)
    colour, alpha = rng.random((4, 5, 3)).astype(np.float32), rng.random((4, 5)).astype(np.float32)
    gain = np.array([0.5, 1.0, 1.5], np.float32)
    over = colour * alpha[..., None] + (1 - alpha[..., None]) * 0.5
    expected = gain * colour * alpha[..., None] + (1 - alpha[..., None]) * 0.5
    assert np.allclose(lit(over, alpha, gain, BACKGROUND), expected, atol=1e-6)


def test_scores_look_inside_the_matte_alone():
    shot = patch_shots(avatar_of(150, 1, 3), 1).shots[0]
    target = on_background(shot.image, shot.matte, BACKGROUND)
    spoiled = target.copy()
    spoiled[shot.matte8 <= 127] = 0
    assert score(shot, spoiled, target).psnr > 90
    assert score(shot, np.clip(target.astype(int) + 10, 0, 255).astype(np.uint8), target).psnr < 30
    empty = replace(shot, matte8=np.zeros_like(shot.matte8))
    assert all(np.isnan(value) for value in score(empty, target, target))
    assert isinstance(score(shot, target, target), Score)


def test_nothing_is_learned_from_what_does_not_count():
    """Not even through the windows of SSIM that reach over the border; elsewhere the loss is as it was."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 256, (40, 32, 3), np.uint8)
    image = rng.random((40, 32, 3)).astype(np.float32)
    weight = np.full((40, 32), 255, np.uint8)
    assert np.allclose(SeenLoss(target, weight)(image)[1], Loss(target, weight)(image)[1])
    weight[24:, 8:20], weight[24:, 20:] = 0, 120
    loss = SeenLoss(target, weight)
    value, slopes = loss(image)
    other = image.copy()
    other[24:, 8:20] = 1 - other[24:, 8:20]
    assert not slopes[24:, 8:20].any() and slopes[24:, 20:].any() and loss(other)[0] == pytest.approx(value)
    step, way = 1e-3, np.sign(slopes)
    ahead, behind = (loss((image + sign * step * way).astype(np.float32))[0] for sign in (1, -1))
    assert (ahead - behind) / (2 * step) == pytest.approx(float(np.sum(slopes * way)), rel=0.01)


@pytest.mark.parametrize("side", [48, 51])
def test_a_smaller_shot_sees_the_same(side):
    """A point is at half its pixel, and the picture is the mean of what it was."""
    shot = patch_shots(avatar_of(150, 1, 3), 1, side=side).shots[0]
    small = smaller(shot, 2)
    assert small.image.shape == (side // 2, side // 2, 3) == (small.view.height, small.view.width, 3)
    point = np.array([0.02, -0.01, 0.03])

    def px(view):
        x, y, z = view.T_view_world[:3, :3] @ point + view.T_view_world[:3, 3]
        return np.array([view.fx * x / z + view.cx, view.fy * y / z + view.cy])

    assert np.allclose(px(small.view), px(shot.view) / 2)
    even = 2 * (side // 2)
    mean = shot.image[:even, :even].reshape(even // 2, 2, even // 2, 2, 3).mean(axis=(1, 3))
    assert np.abs(small.image - mean).max() <= 1


def test_the_result_is_what_was_learned():
    trainer = patch_trainer(20)
    run(trainer, 20)
    result = trainer.result({"a": 1})
    assert result.gaussians is trainer.gaussians and result.report == {"a": 1}
    assert result.refined is not None and np.allclose(
        result.refined["values"], trainer.refinement.values, atol=1e-6
    )
