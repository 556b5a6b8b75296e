# SPDX-License-Identifier: GPL-3.0-or-later
"""Bound Gaussians, the surface they ride on, and their file: round trip, and files nobody should trust."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.arkit import ARKIT_NAMES
from core.avatar import Avatar
from core.errors import LikenessError, ModelError, SplatError
from core.head import load_model
from core.head.atlas import load_atlas
from core.splat.bound import LOG_SCALE, MEAN, OPACITY, ROTATION, ExpressionBasis
from core.splat.splat_avatar import SplatAvatar
from core.splat.surface import HeadSurface
from tests.core.splat_bound_samples import avatar_of, surface_of

Array = np.ndarray
REFINED = {"turns": np.arange(6.0).reshape(2, 3), "samples": np.array([-1, 7, 2**40])}
STORED = ("binding", "means", "log_scales", "rotations", "opacity_logits", "sh", "offsets")


def test_the_surface_of_a_head_is_its_atlas() -> None:
    model = load_model("anny")
    atlas, rest = load_atlas(model), model.rest(model.identity_coefficients({}))
    surface = HeadSurface.of(model, atlas, rest)
    assert np.array_equal(surface.rows[surface.triangles], atlas.triangles)
    assert np.array_equal(surface.rest, rest.vertices[surface.rows])
    assert np.all(np.diff(surface.rows) > 0)
    with pytest.raises(ModelError, match="rows"):
        HeadSurface.of(model, atlas, rest.vertices[1:])


def test_a_surface_must_hold_together() -> None:
    surface = surface_of()
    for broken in (
        {"triangles": surface.triangles + 1},
        {"rows": surface.rows[::-1]},
        {"chart": surface.chart[1:]},
        {"chart": surface.chart + 9},
        {"rest": surface.rest * np.nan},
        {"rest": surface.rest[1:]},
    ):
        with pytest.raises(ModelError, match="damaged"):
            replace(surface, **broken)


def test_latent_stays_within_what_was_seen() -> None:
    basis = avatar_of(latents=4).gaussians.basis
    weights = np.random.default_rng(0).uniform(0, 1, (50, len(ARKIT_NAMES)))
    latent = basis.latent(weights)
    free = (weights - basis.mean) @ basis.directions.T
    np.testing.assert_allclose(latent, np.clip(free, basis.low, basis.high), atol=1e-5)
    assert np.all((latent >= basis.low) & (latent <= basis.high)) and np.any(latent != free)
    np.testing.assert_allclose(basis.latent(weights[3]), latent[3], atol=1e-5)
    np.testing.assert_array_equal(basis.latent(basis.mean), np.zeros(4, np.float32))
    assert ExpressionBasis.none().latent(weights).shape == (50, 0)
    with pytest.raises(SplatError, match="52 weights"):
        basis.latent(weights[:, 1:])


def test_local_values_ride_on_the_latent() -> None:
    g = avatar_of().gaussians
    latent = np.array([0.5, 0.0, -2.0], np.float32)
    local = g.local(latent)
    added = (latent[None, :, None] * g.offsets).sum(axis=1)
    np.testing.assert_allclose(local[:, MEAN], g.means + added[:, MEAN], atol=1e-5)
    np.testing.assert_allclose(local[:, LOG_SCALE], g.log_scales + added[:, LOG_SCALE], atol=1e-5)
    np.testing.assert_allclose(local[:, ROTATION], g.rotations + added[:, ROTATION], atol=1e-5)
    np.testing.assert_allclose(local[:, OPACITY], g.opacity_logits + added[:, OPACITY], atol=1e-5)


def test_taking_some_keeps_them_sorted() -> None:
    g = avatar_of().gaussians
    twice = np.r_[40, 3, np.arange(len(g))]
    taken = g.taken(twice)
    assert np.all(np.diff(taken.binding) >= 0)
    order = np.argsort(g.binding[twice], kind="stable")
    for name in STORED:
        np.testing.assert_array_equal(getattr(taken, name), getattr(g, name)[twice][order])
    mask = g.opacity_logits > 0
    np.testing.assert_array_equal(g.taken(mask).means, g.means[mask])


def test_trained_arrays_are_not_copied() -> None:
    g = avatar_of().gaussians
    assert replace(g).offsets is g.offsets and replace(g).means is g.means


@pytest.mark.parametrize("name", STORED)
def test_arrays_must_fit_each_other(name: str) -> None:
    g = avatar_of().gaussians
    with pytest.raises(SplatError):
        replace(g, **{name: getattr(g, name)[1:]})
    broken = getattr(g, name).astype(np.float64)[::-1].copy()
    if name != "binding":
        broken.flat[3] = np.inf
    with pytest.raises(SplatError):
        replace(g, **{name: broken})


@pytest.mark.parametrize(("degree", "latents"), [(0, 0), (1, 3), (3, 2)])
def test_a_file_gives_back_what_was_kept(tmp_path: Path, degree: int, latents: int) -> None:
    avatar = replace(avatar_of(67, degree, latents), refined=REFINED)
    avatar.save(tmp_path / "splats.npz")
    found = SplatAvatar.load(tmp_path / "splats.npz")
    for name in ("model", "model_sha256", "avatar_id", "name", "report"):
        assert getattr(found, name) == getattr(avatar, name)
    for name in ("rows", "triangles", "chart", "rest"):
        np.testing.assert_array_equal(getattr(found.surface, name), getattr(avatar.surface, name))
    for name in ("mean", "directions", "low", "high"):
        np.testing.assert_array_equal(
            getattr(found.gaussians.basis, name), getattr(avatar.gaussians.basis, name)
        )
    for name in STORED:
        tolerance = 6e-4 if name in ("sh", "offsets") else 0.0
        wanted = getattr(avatar.gaussians, name)
        np.testing.assert_allclose(getattr(found.gaussians, name), wanted, rtol=tolerance, atol=1e-6)
    assert found.refined is not None and found.refined.keys() == REFINED.keys()
    assert all(np.array_equal(found.refined[name], REFINED[name]) for name in REFINED)
    found.save(tmp_path / "again.npz")
    again = SplatAvatar.load(tmp_path / "again.npz")
    assert all(np.array_equal(getattr(again.gaussians, n), getattr(found.gaussians, n)) for n in STORED)


def test_numbers_too_large_for_half_are_kept_whole(tmp_path: Path) -> None:
    avatar = avatar_of()
    avatar.gaussians.offsets[0, 0, 0] = 1e6
    avatar.save(tmp_path / "splats.npz")
    assert SplatAvatar.load(tmp_path / "splats.npz").gaussians.offsets[0, 0, 0] == 1e6


def test_an_avatar_knows_where_its_gaussians_are(tmp_path: Path) -> None:
    avatar = Avatar.create(tmp_path / "a.avatar")
    avatar_of().save(avatar.splats_path)
    assert (tmp_path / "a.avatar" / "splats.npz").is_file()
    Avatar.load(avatar.folder)


def changed(**values: Any) -> Callable[[dict], None]:
    """A change of arrays; of the header where the name begins with `header_`."""

    def change(arrays: dict) -> None:
        for name, value in values.items():
            if name.startswith("header_"):
                header = json.loads(str(arrays["header"])) | {name.removeprefix("header_"): value}
                arrays["header"] = np.array(json.dumps(header))
            elif value is None:
                del arrays[name]
            else:
                arrays[name] = value(arrays[name])

    return change


DAMAGE = {
    "no header": changed(header=None),
    "header of another kind": changed(header=lambda a: np.arange(3)),
    "header that is not JSON": changed(header=lambda a: np.array("{")),
    "header that is nested": changed(header=lambda a: np.array("[" * 100_000)),
    "header that is a list": changed(header=lambda a: np.array("[]")),
    "another kind of file": changed(header_kind="atlas"),
    "a newer file": changed(header_schema=99),
    "a schema that is text": changed(header_schema="1"),
    "a name that is none": changed(header_name=3),
    "a report that is text": changed(header_report="good"),
    "means missing": changed(means=None),
    "basis missing": changed(**{"basis.low": None}),
    "rows missing": changed(**{"surface.rows": None}),
    "means of text": changed(means=lambda a: a.astype(str)),
    "binding of fractions": changed(binding=lambda a: a.astype(float)),
    "binding backwards": changed(binding=lambda a: a[::-1]),
    "binding below zero": changed(binding=lambda a: a - 1000),
    "binding beyond the surface": changed(binding=lambda a: a + 1000),
    "binding that wraps": changed(binding=lambda a: a.astype(np.int64) + 2**32),
    "binding of two axes": changed(binding=lambda a: a[None]),
    "means too few": changed(means=lambda a: a[1:]),
    "means infinite": changed(means=lambda a: a * np.inf),
    "means too large": changed(means=lambda a: a.astype(float) * 1e200),
    "harmonics of a degree that is none": changed(sh=lambda a: a[:, :3]),
    "no offsets": changed(offsets=lambda a: a[:0]),
    "offsets for more latents": changed(offsets=lambda a: np.repeat(a, 2, axis=1)),
    "limits crossed": changed(**{"basis.low": lambda a: a + 9}),
    "too many latents": changed(**{"basis.directions": lambda a: np.zeros((99, 52))}),
    "triangles outside": changed(**{"surface.triangles": lambda a: a + 1}),
    "rows not sorted": changed(**{"surface.rows": lambda a: a[::-1]}),
    "rest of one number": changed(**{"surface.rest": lambda a: a[0, 0]}),
    "charts below zero": changed(**{"surface.chart": lambda a: a.astype(np.int64) - 3}),
    "refined of text": changed(**{"refined.x": lambda a: np.array("x")}),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "splats.npz"
    replace(avatar_of(), refined={"x": np.zeros(2)}).save(path)
    with np.load(path) as file:
        arrays = dict(file)
    DAMAGE[kind](arrays)
    np.savez(path, **arrays)
    with pytest.raises(SplatError) as caught:
        SplatAvatar.load(path)
    assert "splats.npz" in caught.value.message and caught.value.message.count(". ") == 0


def test_a_cut_or_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "splats.npz"
    avatar_of().save(path)
    whole = path.read_bytes()
    for data in (whole[: len(whole) // 2], b"", b"ply\n", whole[:2000] + bytes(64) + whole[2064:]):
        path.write_bytes(data)
        with pytest.raises(SplatError, match=r"splats\.npz"):
            SplatAvatar.load(path)
    with pytest.raises(SplatError, match="missing"):
        SplatAvatar.load(tmp_path / "none.npz")


def test_no_pickle_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "splats.npz"
    np.savez(path, header=np.array([object()], dtype=object))
    with pytest.raises(SplatError):
        SplatAvatar.load(path)


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "splats.npz"
    avatar_of().save(path)
    before = path.read_bytes()
    with pytest.raises(SplatError, match="cannot be saved"):
        replace(avatar_of(), report={"psnr": float("nan")}).save(path)
    with pytest.raises(SplatError, match="cannot be saved"):
        replace(avatar_of(), refined={"x": np.array(["a"])}).save(path)
    with pytest.raises(SplatError, match="cannot be written"):
        avatar_of().save(tmp_path / "nowhere" / "splats.npz")
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_gaussians_of_another_head_are_refused() -> None:
    model = load_model("anny")
    atlas, rest = load_atlas(model), model.rest(model.identity_coefficients({}))
    surface = HeadSurface.of(model, atlas, rest)
    none = avatar_of(latents=0).gaussians.taken(np.zeros(0, int))
    own = SplatAvatar(surface, none, model.name, model.sha256)
    own.require_model(model)
    replace(own, model_sha256="another, of the same triangles").require_model(model)
    with pytest.raises(SplatError, match="another version"):
        replace(own, model_sha256="another", surface=surface_of()).require_model(model)
    with pytest.raises(SplatError, match="not for 'anny'"):
        replace(own, model="flame").require_model(model)
    with pytest.raises(LikenessError, match="triangle"):
        replace(avatar_of(), surface=replace(surface_of(), triangles=np.zeros((1, 3)), chart=np.ones(1)))
