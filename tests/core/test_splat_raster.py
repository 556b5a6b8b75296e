# SPDX-License-Identifier: GPL-3.0-or-later
"""The Gaussian rasteriser against its plain float64 twin, and its own laws."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import ModelError, SettingsError
from core.splat import raster
from core.splat.gaussians import Activated, Gaussians
from core.splat.raster import gradients, render
from core.splat.view import View

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

from tests.core import splat_twin  # noqa: E402

BACKGROUND = np.array([0.2, 0.5, 0.9], np.float32)
FIELDS = ("means", "log_scales", "rotations", "opacity_logits", "sh")


def view_of(width: int = 52, height: int = 39) -> View:
    """A camera that is neither centred nor upright; 52 x 39 px leaves tiles half outside."""
    turn = np.array([0.2, -0.3, 0.15])
    angle = np.linalg.norm(turn)
    k = np.cross(np.eye(3), turn / angle)
    pose = np.eye(4)
    pose[:3, :3] = np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k
    pose[:3, 3] = 0.03, -0.02, 1.0
    return View(width, height, 1.6 * width, 1.7 * width, 0.47 * width, 0.55 * height, pose)


def scene(kind: str, degree: int, count: int = 101, seed: int = 0) -> Gaussians:
    """Gaussians of one kind in front of the camera."""
    rng = np.random.default_rng(seed)
    means = rng.normal(0, 0.12, (count, 3))
    log_scales = rng.normal(-4.0, 0.7, (count, 3))
    logits = rng.normal(0.0, 1.5, count)
    if kind == "behind":
        means[::2] = rng.normal(0, 0.8, (len(means[::2]), 3)) - [0, 0, 0.9]
    elif kind == "borders":
        means[:, :2] = rng.choice([-0.31, 0.31], (count, 2)) + rng.normal(0, 0.03, (count, 2))
    elif kind == "huge":
        log_scales[::3] = rng.normal(-0.5, 1.0, log_scales[::3].shape)
    elif kind == "tiny":
        log_scales -= 6.0
    elif kind == "small":
        log_scales -= 2.5
    elif kind == "needles":
        log_scales[:, 0] += 3.0
        log_scales[:, 1:] -= 3.0
    elif kind == "opaque":
        logits += 7.0
        log_scales += 1.0
    sh = rng.normal(0, 0.25, (count, (degree + 1) ** 2, 3))
    return Gaussians(means, log_scales, rng.normal(size=(count, 4)), logits, sh)


def twin_of(gaussians: Gaussians, view: View, compensated: bool = False) -> tuple[dict, dict]:
    """Its picture, and the leaves it was made from."""
    leaves = {
        name: torch.tensor(getattr(gaussians, name), dtype=torch.float64, requires_grad=True)
        for name in FIELDS
    }
    found = splat_twin.render(
        leaves["means"],
        leaves["log_scales"].exp(),
        leaves["rotations"],
        leaves["opacity_logits"].sigmoid(),
        leaves["sh"],
        view,
        torch.tensor(BACKGROUND, dtype=torch.float64),
        compensated,
    )
    return found, leaves


CASES = [
    ("plain", 3, False),
    ("plain", 1, True),
    ("behind", 2, False),
    ("borders", 0, False),
    ("huge", 1, False),
    ("tiny", 0, False),
    ("small", 0, True),
    ("needles", 3, False),
    ("opaque", 3, False),
]


@pytest.mark.parametrize(("kind", "degree", "compensated"), CASES)
def test_equals_the_plain_twin(kind: str, degree: int, compensated: bool) -> None:
    gaussians, view = scene(kind, degree), view_of()
    drawn = render(gaussians, view, BACKGROUND, compensated=compensated, threads=1)
    twin, leaves = twin_of(gaussians, view, compensated)
    sure = (twin["margin"] > 1e-5).numpy()
    assert sure.mean() > 0.98
    assert drawn.alpha.mean() > 0.0
    # The depth is divided by alpha, which is 1 less the light: what is faint has few digits.
    for name, most in (("image", 1e-5), ("alpha", 1e-5), ("depth", 5e-5)):
        assert np.abs(getattr(drawn, name) - twin[name].detach().numpy())[sure].max() < most, name

    rng = np.random.default_rng(1)
    d_image, d_alpha = rng.normal(size=(*sure.shape, 3)) * sure[..., None], rng.normal(size=sure.shape) * sure
    loss = (twin["image"] * torch.tensor(d_image)).sum() + (twin["alpha"] * torch.tensor(d_alpha)).sum()
    loss.backward()
    slopes = gradients(drawn, d_image, d_alpha)
    for name in FIELDS:
        expected, got = leaves[name].grad.numpy(), getattr(slopes, name)
        assert got.shape == expected.shape
        assert got.dtype == np.float32
        assert np.linalg.norm(got - expected) <= 1e-4 * np.linalg.norm(expected), name
        assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max(), name


def test_the_screen_gradient_is_that_of_moving_the_picture() -> None:
    view, gaussians = view_of(), scene("plain", 2)
    d_image = np.random.default_rng(2).normal(size=(view.height, view.width, 3))
    slopes = gradients(render(gaussians, view, BACKGROUND), d_image)
    leaves = {name: torch.tensor(getattr(gaussians, name), dtype=torch.float64) for name in FIELDS}
    scales = leaves["log_scales"].exp()
    centre, *others = splat_twin.project(leaves["means"], scales, leaves["rotations"], view, False)
    shifted = centre.requires_grad_()
    picture = splat_twin.blend(
        shifted,
        *others,
        leaves["opacity_logits"].sigmoid(),
        splat_twin.colours_of(leaves["means"], leaves["sh"], view),
        view,
        torch.tensor(BACKGROUND, dtype=torch.float64),
    )
    (picture["image"] * torch.tensor(d_image)).sum().backward()
    assert shifted.grad is not None
    expected = shifted.grad.numpy()
    assert np.abs(slopes.screen - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("count", [1, 7, 8, 101])
def test_activated_arrays_draw_the_same_and_have_their_own_slopes(count: int) -> None:
    gaussians, view = scene("plain", 1, count), view_of()
    activated = gaussians.activated()
    drawn, again = render(gaussians, view, BACKGROUND), render(activated, view, BACKGROUND)
    assert np.abs(drawn.image - again.image).max() < 1e-5
    d_image = np.random.default_rng(3).normal(size=drawn.image.shape)
    stored, direct = gradients(drawn, d_image), gradients(again, d_image)
    pairs = [
        (stored.means, direct.means),
        (stored.log_scales, direct.scales * activated.scales),
        (stored.opacity_logits, direct.opacities * activated.opacities * (1 - activated.opacities)),
        (stored.sh, direct.colours),
    ]
    for first, second in pairs:
        assert np.linalg.norm(first - second) <= 1e-4 * np.linalg.norm(first)


def test_plain_colours_are_drawn_as_they_are_and_take_their_slopes() -> None:
    activated, view = scene("plain", 0).activated(), view_of()
    rng = np.random.default_rng(4)
    colours = rng.uniform(-0.2, 1.2, (len(activated), 3))
    plain = Activated(activated.means, activated.scales, activated.rotations, activated.opacities, colours)
    drawn = render(plain, view, BACKGROUND)
    d_image = rng.normal(size=drawn.image.shape)
    slopes = gradients(drawn, d_image)
    # The picture is linear in the colours: the slope is exact for any step.
    step = rng.normal(size=colours.shape)
    other = Activated(plain.means, plain.scales, plain.rotations, plain.opacities, colours + step)
    change = ((render(other, view, BACKGROUND).image.astype(float) - drawn.image) * d_image).sum()
    assert change == pytest.approx((slopes.colours * step).sum(), rel=1e-3)


def test_is_the_same_for_any_number_of_threads_and_any_time() -> None:
    gaussians, view = scene("plain", 2, 1500), view_of(200, 150)
    d_image = np.random.default_rng(5).normal(size=(150, 200, 3))
    results = []
    for threads in (1, 2, 3, 8, 1):
        drawn = render(gaussians, view, BACKGROUND, threads=threads)
        slopes = gradients(drawn, d_image, d_image[..., 0])
        results.append([drawn.image, drawn.alpha, drawn.depth, *(getattr(slopes, name) for name in FIELDS)])
    for other in results[1:]:
        for first, second in zip(results[0], other, strict=True):
            assert np.array_equal(first, second)


def test_an_empty_scene_is_the_background() -> None:
    view = view_of()
    for gaussians in (Gaussians.empty(1), scene("plain", 1)):
        away = View(view.width, view.height, view.fx, view.fy, view.cx, view.cy, np.diag([1.0, 1, -1, 1]), 50)
        drawn = render(gaussians, away, BACKGROUND)
        assert (drawn.image == BACKGROUND).all()
        assert not drawn.alpha.any()
        assert not drawn.depth.any()
        assert not drawn.context.visible.any()
        slopes = gradients(drawn, np.ones_like(drawn.image), np.ones_like(drawn.alpha))
        for name in FIELDS:
            assert getattr(slopes, name).shape == getattr(gaussians, name).shape
            assert not getattr(slopes, name).any()


def test_what_is_nearer_covers_what_is_farther() -> None:
    means = np.array([[0.0, 0.0, 3.0], [0.0, 0.0, 2.0]])
    colours = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    activated = Activated(means, np.full((2, 3), 0.5), np.tile([1.0, 0, 0, 0], (2, 1)), np.ones(2), colours)
    drawn = render(activated, View(33, 33, 40.0, 40.0, 16.5, 16.5))
    assert drawn.image[16, 16] == pytest.approx([0.0099, 0.99, 0.0], abs=1e-6)
    assert drawn.alpha[16, 16] == pytest.approx(0.9999, abs=1e-6)
    assert drawn.depth[16, 16] == pytest.approx((0.99 * 2 + 0.0099 * 3) / 0.9999, abs=1e-5)


def test_half_sizes_are_those_of_what_is_drawn() -> None:
    whole, view = scene("plain", 0, 12), view_of(160, 160)
    for index in range(12):
        one = Gaussians(*(getattr(whole, name)[index : index + 1] for name in FIELDS))
        drawn = render(one, view)
        rows, columns = np.nonzero(drawn.alpha)
        assert drawn.context.visible[0] == (len(rows) > 0)
        if len(rows) and rows.min() > 0 and columns.min() > 0 and max(rows.max(), columns.max()) < 159:
            half = (np.ptp(columns) / 2, np.ptp(rows) / 2)
            assert np.abs(drawn.context.half_sizes[0] - half).max() < 1.0


def test_too_many_too_large_gaussians_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raster, "MAX_PAIRS", 100)
    with pytest.raises(SettingsError, match="too many times"):
        render(scene("huge", 0), view_of())


def test_absurd_values_neither_fail_nor_leak() -> None:
    good, view = scene("plain", 1), view_of()
    arrays = {name: getattr(good, name).copy() for name in FIELDS}
    arrays["log_scales"][0] = 80.0
    arrays["log_scales"][1] = -80.0
    arrays["rotations"][2] = 0.0
    arrays["rotations"][3] *= 1e15
    arrays["opacity_logits"][4:6] = 1e6, -1e6
    arrays["means"][6] = 1e30
    arrays["sh"][7] = 1e20
    odd = Gaussians.of_arrays(arrays)
    drawn = render(odd, view, BACKGROUND)
    slopes = gradients(drawn, np.ones_like(drawn.image))
    assert np.isfinite(drawn.image).all()
    for name in FIELDS:
        assert np.isfinite(getattr(slopes, name)[8:]).all(), name


def test_wrong_arrays_are_told_by_name() -> None:
    good = scene("plain", 1)
    arrays = {name: getattr(good, name) for name in FIELDS}
    for name, bad in (
        ("log_scales", arrays["log_scales"][:-1]),
        ("sh", np.zeros((101, 5, 3))),
        ("rotations", np.full((101, 4), np.nan)),
    ):
        with pytest.raises(ModelError, match=name):
            Gaussians.of_arrays({**arrays, name: bad})
    with pytest.raises(ModelError, match="opacity_logits"):
        Gaussians.of_arrays({name: value for name, value in arrays.items() if name != "opacity_logits"})
    with pytest.raises(SettingsError):
        View(0, 10, 1.0, 1.0, 0.0, 0.0)
    with pytest.raises(SettingsError):
        gradients(render(good, view_of()), np.zeros((3, 3, 3)))
    with pytest.raises(SettingsError):
        render(good, view_of(), threads=0)
