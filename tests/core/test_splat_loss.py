# SPDX-License-Identifier: GPL-3.0-or-later
"""The loss of drawn pictures against its plain float64 twin, and its own laws."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import SettingsError
from core.splat.loss import Loss

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

Array = np.ndarray


def twin(image: Array, target: Array, weight: Array, part: float = 0.2) -> tuple[float, Array]:
    """The loss and its gradient as they are defined, by torch in float64."""
    x = torch.tensor(np.asarray(image, np.float64), requires_grad=True)
    y, w = torch.tensor(np.asarray(target, np.float64)), torch.tensor(np.asarray(weight, np.float64))
    line = torch.exp(-0.5 * (torch.arange(-5, 6, dtype=torch.float64) / 1.5) ** 2)
    window = (line[:, None] * line / line.sum() ** 2)[None, None]

    def blur(a: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(a.permute(2, 0, 1)[:, None], window, padding=5)[:, 0]

    mx, my = blur(x), blur(y)
    xx, yy, xy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    ssim = (2 * mx * my + 1e-4) * (2 * xy + 9e-4) / ((mx**2 + my**2 + 1e-4) * (xx + yy + 9e-4))
    loss = (1 - part) * (x - y).abs().mean(2) + part * (1 - ssim.mean(0))
    value = (loss * w).sum() / w.sum()
    value.backward()
    assert x.grad is not None
    return value.item(), x.grad.numpy()


def pictures(kind: str, height: int, width: int) -> tuple[Array, Array]:
    """A drawn picture, float32, and its target, uint8."""
    rng = np.random.default_rng(height)
    ys, xs = np.mgrid[:height, :width] / 32.0
    smooth = 0.5 + 0.4 * np.sin(np.stack([xs + ys, 2 * xs, 3 * ys], -1))
    target = np.where(xs[..., None] < 0.5, 1.0, smooth)
    if kind == "far":
        image = rng.random(target.shape)
    elif kind == "near":
        image = target + rng.normal(0, 0.01, target.shape)
    else:  # a flat picture on a flat one: the variances are rounding errors
        target = np.full(target.shape, 0.8)
        image = target + 0.1
    return image.astype(np.float32), np.round(255 * target).astype(np.uint8)


def weights(kind: str, height: int, width: int) -> Array:
    """float32 of one kind."""
    rng = np.random.default_rng(7)
    weight = rng.random((height, width)).astype(np.float32)
    if kind == "holes":
        weight[rng.random(weight.shape) < 0.4] = 0.0
    elif kind == "island":
        weight[: height // 3] = weight[:, : width // 2] = weight[-6:] = weight[:, -9:] = 0.0
    elif kind == "pixel":
        weight[:] = 0.0
        weight[height // 2, 1] = 0.5
    return weight


@pytest.mark.parametrize("kind", ["far", "near", "flat"])
@pytest.mark.parametrize("mask", ["all", "holes", "island", "pixel"])
@pytest.mark.parametrize(("height", "width"), [(48, 61), (7, 9), (37, 80)])
def test_equals_the_plain_twin(kind: str, mask: str, height: int, width: int) -> None:
    image, target = pictures(kind, height, width)
    weight = weights("holes" if height < 20 and mask == "island" else mask, height, width)
    value, gradient = Loss(target, weight)(image, 1)
    expected, slopes = twin(image, target / 255.0, weight)
    assert value == pytest.approx(expected, abs=1e-6)
    assert gradient.shape == image.shape
    assert gradient.dtype == np.float32
    assert np.linalg.norm(gradient - slopes) <= 1e-5 * np.linalg.norm(slopes)
    assert np.abs(gradient - slopes).max() <= 2e-5 * np.abs(slopes).max()


@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_the_share_of_ssim_is_as_wanted(part: float) -> None:
    image, target = pictures("near", 40, 33)
    weight = weights("all", 40, 33)
    value, gradient = Loss(target, weight, ssim_part=part)(image)
    expected, slopes = twin(image, target / 255.0, weight, part)
    assert value == pytest.approx(expected, abs=1e-6)
    assert np.abs(gradient - slopes).max() <= 2e-5 * np.abs(slopes).max()


def test_any_number_of_threads_gives_the_same_bits() -> None:
    image, target = pictures("near", 150, 70)
    loss = Loss(target, weights("island", 150, 70))
    value, gradient = loss(image, 1)
    for threads in (2, 3, 5):
        again, other = loss(image, threads)
        assert again == value
        assert np.array_equal(other, gradient)


def test_bytes_and_floats_are_the_same_target() -> None:
    image, target = pictures("near", 40, 50)
    coarse = np.round(255 * weights("holes", 40, 50)).astype(np.uint8)
    value, gradient = Loss(target, coarse)(image)
    other, again = Loss(target / np.float32(255), coarse / np.float32(255))(image)
    assert value == pytest.approx(other, abs=1e-7)
    assert np.abs(gradient - again).max() < 1e-4 * np.abs(gradient).max()


def test_the_target_itself_costs_nothing_and_does_not_pull() -> None:
    target = pictures("far", 30, 40)[0]
    value, gradient = Loss(target)(target)
    assert abs(value) < 1e-9
    assert np.abs(gradient).max() < 1e-9


def test_it_keeps_no_copy() -> None:
    target = pictures("near", 30, 40)[1]
    weight = weights("all", 30, 40)
    loss = Loss(target, weight)
    assert loss.target is target
    assert loss.weight is weight


def test_what_is_no_picture_is_refused() -> None:
    target = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(SettingsError, match="is none"):
        Loss(target, np.ones((8, 7), np.float32))
    with pytest.raises(SettingsError, match="No pixel"):
        Loss(target, np.zeros((8, 8), np.float32))
    with pytest.raises(SettingsError, match="share of SSIM"):
        Loss(target, ssim_part=1.5)
    with pytest.raises(SettingsError, match="compared"):
        Loss(target)(np.zeros((8, 9, 3), np.float32))
