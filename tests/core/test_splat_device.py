# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to CUDA, held equal to the CPU's: warp on its CPU device, gsplat with a stand-in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from core.errors import SettingsError
from core.splat import device, gsplat_raster, raster, warp_raster
from core.splat.gaussians import Gaussians

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

from tests.core import splat_twin  # noqa: E402
from tests.core.test_splat_raster import BACKGROUND, CASES, scene, view_of  # noqa: E402

needs_warp = pytest.mark.skipif(find_spec("warp") is None, reason="warp-lang is not installed")


@pytest.fixture(autouse=True)
def _looked_for_again() -> Iterator[None]:
    device._cuda.cache_clear()
    yield
    device._cuda.cache_clear()


def assert_same(one: Any, other: Any, most: float = 1e-4) -> None:
    """Gradients, to a part of the largest of each array."""
    assert type(one) is type(other)
    for name, expected in vars(one).items():
        got = getattr(other, name)
        assert got.shape == expected.shape
        assert got.dtype == np.float32
        assert np.abs(got - expected).max() <= most * np.abs(expected).max(), name


@needs_warp
@pytest.mark.parametrize(("kind", "degree", "compensated"), CASES)
def test_warp_draws_as_the_cpu_does(kind: str, degree: int, compensated: bool) -> None:
    for place in warp_raster.devices():  # CUDA too, where it is
        check_warp(scene(kind, degree), compensated, place)


def check_warp(gaussians: Gaussians, compensated: bool, place: str) -> None:
    """Picture and gradients against the CPU's."""
    view = view_of()
    expected = raster.render(gaussians, view, BACKGROUND, compensated=compensated, threads=1)
    drawn = warp_raster.render(gaussians, view, BACKGROUND, compensated=compensated, device=place)
    # A pixel on the edge of a cut may fall to either side.
    sure = np.abs(drawn.image - expected.image).max(2) < 1e-5
    assert sure.mean() > 0.999
    assert np.abs(drawn.alpha - expected.alpha)[sure].max() < 1e-5
    assert np.abs(drawn.depth - expected.depth)[sure].max() < 5e-5
    assert np.array_equal(drawn.context.visible, expected.context.visible)
    assert np.abs(drawn.context.half_sizes - expected.context.half_sizes).max() <= 1e-4 * max(
        1.0, expected.context.half_sizes.max()
    )
    rng = np.random.default_rng(1)
    d_image, d_alpha = rng.normal(size=(*sure.shape, 3)) * sure[..., None], rng.normal(size=sure.shape) * sure
    assert_same(raster.gradients(expected, d_image, d_alpha), warp_raster.gradients(drawn, d_image, d_alpha))


@needs_warp
@pytest.mark.parametrize("flat", [False, True])
def test_warp_draws_activated_gaussians(flat: bool) -> None:
    activated, view = scene("plain", 1).activated(), view_of(33, 50)
    if flat:
        colours = np.abs(activated.colours[:, 0])
        activated = replace(activated, colours=colours)
    expected = raster.render(activated, view, BACKGROUND)
    drawn = warp_raster.render(activated, view, BACKGROUND, device="cpu")
    assert np.abs(drawn.image - expected.image).max() < 1e-5
    d_image = np.random.default_rng(1).normal(size=drawn.image.shape)
    assert_same(raster.gradients(expected, d_image), warp_raster.gradients(drawn, d_image))


@needs_warp
def test_warp_draws_nothing_where_nothing_is() -> None:
    view, gaussians = view_of(), scene("plain", 0)
    away = replace(gaussians, means=gaussians.means - np.array([0, 0, 9], np.float32))
    for none in (Gaussians.empty(), away):
        drawn = warp_raster.render(none, view, BACKGROUND, device="cpu")
        assert (drawn.image == BACKGROUND).all()
        assert not drawn.alpha.any()
        assert not drawn.depth.any()
        slopes = warp_raster.gradients(drawn, np.ones_like(drawn.image))
        assert slopes.means.shape == (len(none), 3)
        assert not slopes.means.any()


@needs_warp
def test_warp_refuses_what_covers_the_picture_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warp_raster, "MAX_PAIRS", 50)
    with pytest.raises(SettingsError, match="too many times"):
        warp_raster.render(scene("plain", 0), view_of(), device="cpu")
    monkeypatch.undo()
    drawn = warp_raster.render(scene("plain", 0), view_of(), device="cpu")
    with pytest.raises(SettingsError, match="another size"):
        warp_raster.gradients(drawn, np.zeros((3, 3, 3)))
    with pytest.raises(SettingsError, match="one colour"):
        warp_raster.render(scene("plain", 0), view_of(), 1.0, device="cpu")


@needs_warp
@pytest.mark.skipif(sys.platform == "darwin", reason="warp has no CUDA on a Mac")
def test_warps_kernels_compile_for_cuda(tmp_path: Path) -> None:
    """By NVRTC, which needs no device; it does not say that they run."""
    warp = warp_raster._warp()
    from core.splat import warp_blend_kernels, warp_project_kernels

    for module in (warp_blend_kernels, warp_project_kernels):
        warp.compile_aot_module(module, arch=75, module_dir=tmp_path, use_ptx=True)
    assert len(list(tmp_path.rglob("*.ptx"))) == 2


@needs_warp
def test_cuda_through_warp_is_chosen_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_driver", lambda: True)
    monkeypatch.setattr(gsplat_raster, "usable", lambda: False)
    monkeypatch.setattr(warp_raster, "devices", lambda: ["cpu", "cuda:0"])
    assert device.chosen() == device.chosen("cuda") == ("warp", "cuda:0")
    assert device.chosen("cpu") == ("cpu", "cpu")
    monkeypatch.setattr(device, "_cuda", lambda: ("warp", "cpu"))
    gaussians, view = scene("plain", 1), view_of()
    drawn = device.render(gaussians, view, BACKGROUND)
    assert isinstance(drawn.context, warp_raster.WarpContext)
    expected = device.render(gaussians, view, BACKGROUND, device="cpu")
    assert isinstance(expected.context, raster.Context)
    assert np.abs(drawn.image - expected.image).max() < 1e-5
    d_image = np.ones_like(drawn.image)
    assert_same(device.gradients(expected, d_image), device.gradients(drawn, d_image))


@pytest.mark.parametrize("driver", [False, True])
def test_the_cpu_draws_where_there_is_no_cuda(monkeypatch: pytest.MonkeyPatch, driver: bool) -> None:
    monkeypatch.setattr(device, "_driver", lambda: driver)
    monkeypatch.setattr(gsplat_raster, "usable", lambda: False)
    monkeypatch.setitem(sys.modules, "warp", None)
    assert warp_raster.devices() == []
    assert device.chosen() == ("cpu", "cpu")
    gaussians, view = scene("plain", 1), view_of()
    drawn = device.render(gaussians, view, BACKGROUND)
    assert np.array_equal(drawn.image, raster.render(gaussians, view, BACKGROUND).image)
    with pytest.raises(SettingsError, match="no CUDA device"):
        device.render(gaussians, view, device="cuda")
    with pytest.raises(SettingsError, match="tpu is no device"):
        device.chosen("tpu")


def test_no_memory_on_the_device_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise RuntimeError(fail.__doc__)

    monkeypatch.setattr(device, "_cuda", lambda: ("warp", "cuda:0"))
    monkeypatch.setattr(warp_raster, "render", fail)
    fail.__doc__ = "Failed to allocate 123 bytes on device 'cuda:0'"
    with pytest.raises(SettingsError, match="not enough memory for 101 Gaussians at 52 x 39 px"):
        device.render(scene("plain", 0), view_of())
    fail.__doc__ = "an illegal memory access"
    with pytest.raises(RuntimeError, match="illegal"):
        device.render(scene("plain", 0), view_of())


def stand_in() -> ModuleType:
    """A module with gsplat's function: its arguments and results as documented, drawn by the plain twin."""

    def rasterization(
        means: Any, quats: Any, scales: Any, opacities: Any, colors: Any, viewmats: Any, Ks: Any,
        width: int, height: int, near_plane: float = 0.01, far_plane: float = 1e10, radius_clip: float = 0.0,
        eps2d: float = 0.3, sh_degree: int | None = None, packed: bool = True, tile_size: int = 16,
        backgrounds: Any = None, render_mode: str = "RGB", sparse_grad: bool = False, absgrad: bool = False,
        rasterize_mode: str = "classic",
    ) -> tuple[Any, Any, dict[str, Any]]:  # fmt: skip
        assert render_mode == "RGB+ED"
        assert not packed
        assert viewmats.shape == (1, 4, 4)
        assert backgrounds.shape == (1, 3)
        view, lens = view_of(width, height), Ks[0]
        assert np.allclose(viewmats[0], view.T_view_world)
        assert np.allclose(lens, [[view.fx, 0, view.cx], [0, view.fy, view.cy], [0, 0, 1]])
        assert near_plane == view.near
        shown = colors if sh_degree is None else splat_twin.colours_of(means, colors, view)
        centre, wider, factor, z = splat_twin.project(
            means, scales, quats, view, rasterize_mode == "antialiased"
        )
        means2d = centre[None]
        found = splat_twin.blend(means2d[0], wider, factor, z, opacities, shown, view, backgrounds[0])
        image = torch.cat([found["image"], found["depth"][..., None]], -1)[None]
        radii = torch.full((1, len(means), 2), 3, dtype=torch.int32)
        return image, found["alpha"][None, ..., None], {"means2d": means2d, "radii": radii}

    module: Any = ModuleType("gsplat")
    module.rasterization = rasterization
    return module


@pytest.mark.parametrize(("stored", "compensated"), [(True, False), (True, True), (False, False)])
def test_gsplat_is_asked_for_the_same_picture(
    monkeypatch: pytest.MonkeyPatch, stored: bool, compensated: bool
) -> None:
    monkeypatch.setitem(sys.modules, "gsplat", stand_in())
    monkeypatch.setattr(device, "_cuda", lambda: ("gsplat", "cpu"))
    gaussians, view = scene("small" if compensated else "plain", 1), view_of()
    drawable = gaussians if stored else gaussians.activated()
    drawn = device.render(drawable, view, BACKGROUND, compensated=compensated)
    assert isinstance(drawn.context, gsplat_raster.GsplatContext)
    expected = raster.render(drawable, view, BACKGROUND, compensated=compensated)
    sure = np.abs(drawn.image - expected.image).max(2) < 1e-5
    assert sure.mean() > 0.99
    assert drawn.image.shape == expected.image.shape
    assert np.abs(drawn.alpha - expected.alpha)[sure].max() < 1e-5
    assert drawn.context.half_sizes.shape == (len(gaussians), 2)
    assert drawn.context.visible.all()
    rng = np.random.default_rng(1)
    d_image, d_alpha = rng.normal(size=(*sure.shape, 3)) * sure[..., None], rng.normal(size=sure.shape) * sure
    for _ in range(2):
        found = device.gradients(drawn, d_image, d_alpha)
        assert_same(raster.gradients(expected, d_image, d_alpha), found, 2e-4)


def test_gsplat_without_its_compiled_part_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gsplat", stand_in())
    assert not gsplat_raster.usable()
