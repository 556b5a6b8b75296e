# SPDX-License-Identifier: GPL-3.0-or-later
"""Posing of bound Gaussians: values and gradients against the float64 twin, threads, flat triangles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core import rotation
from core.errors import SplatError
from core.splat.files.triangles import frames_of
from core.splat.harmonics import harmonics
from core.splat.playback import frames, place, turns
from core.splat.posing import Posed, PoseGradients, Poser, pose, pose_back
from core.splat.raster_result import ActivatedGradients
from core.splat.splat_avatar import SplatAvatar
from tests.core.splat_bound_samples import EYE, avatar_of, posed_vertices

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

from tests.core import splat_pose_twin as twin  # noqa: E402
from tests.core.splat_twin import rotation_matrices  # noqa: E402

Array = np.ndarray
FIELDS = ("means", "log_scales", "rotations", "opacity_logits", "sh", "offsets")
CASES = [(67, 0, 3), (67, 1, 3), (40, 2, 0), (67, 3, 2), (5, 1, 3), (2500, 1, 8)]


def latent_of(avatar: SplatAvatar) -> Array:
    """Some latent; the second number is 0."""
    latent = np.linspace(0.9, -0.6, len(avatar.gaussians.basis)).astype(np.float32)
    latent[1:2] = 0.0
    return latent


def of_case(count: int, degree: int, latents: int) -> tuple[SplatAvatar, Array, Array]:
    avatar = avatar_of(count, degree, latents)
    return avatar, posed_vertices(avatar.surface), latent_of(avatar)


def twin_of(avatar: SplatAvatar, vertices: Array, latent: Array) -> tuple[dict, dict]:
    """The twin's inputs, with gradients, and results."""

    def wide(array: Array) -> torch.Tensor:
        return torch.tensor(np.asarray(array, np.float64), requires_grad=True)

    g, surface = avatar.gaussians, avatar.surface
    inputs = {name: wide(getattr(g, name)) for name in FIELDS}
    inputs |= {"latent": wide(latent), "vertices": wide(vertices)}
    binding, triangles = (torch.tensor(a.astype(np.int64)) for a in (g.binding, surface.triangles))
    rest, eye = (torch.tensor(np.asarray(a, np.float64)) for a in (surface.rest, EYE))
    return inputs, twin.pose(inputs, binding, rest, triangles, eye)


def slopes_for(posed: Posed, seed: int = 3) -> ActivatedGradients:
    """Some gradients; those of a rotation are at right angles to it, as the rasteriser's are."""
    rng = np.random.default_rng(seed)
    drawn = posed.activated
    names = ("means", "scales", "rotations", "opacities", "colours")
    made = {name: rng.normal(size=getattr(drawn, name).shape).astype(np.float32) for name in names}
    q = drawn.rotations
    made["rotations"] -= (made["rotations"] * q).sum(1, keepdims=True) * q
    return ActivatedGradients(**made, screen=np.zeros((len(drawn), 2), np.float32))


def loss_of(found: dict, posed: Posed, slopes: ActivatedGradients) -> torch.Tensor:
    """A loss whose gradients by what is drawn are the slopes, where the twin agrees with what was posed."""

    def wide(array: Array) -> torch.Tensor:
        return torch.tensor(np.asarray(array, np.float64))

    names = ("means", "scales", "opacities", "colours")
    total = sum((found[name] * wide(getattr(slopes, name))).sum() for name in names)
    # A rotation's slope is a torque, and <torque x M, M'> / 2 of a matrix M' has it as its slope at M' = M.
    q = wide(posed.activated.rotations)
    torque = torch.einsum("nk,nik->ni", wide(slopes.rotations), half_turns(q))
    across = torch.linalg.cross(torque[:, :, None].expand(-1, 3, 3), rotation_matrices(q), dim=1)
    return total + 0.5 * (across * found["turns"]).sum()


def half_turns(q: torch.Tensor) -> torch.Tensor:
    """(n, 3, 4): change of a quaternion per radian of a turn about x, y, z put before it."""
    w, x, y, z = q.unbind(1)
    rows = [[-x, w, -z, y], [-y, z, w, -x], [-z, -y, x, w]]
    return 0.5 * torch.stack([torch.stack(row, 1) for row in rows], 1)


def near(found: Array, wanted: Array, tolerance: float) -> None:
    """Within a tolerance, relative to the largest."""
    assert np.abs(found - wanted).max(initial=0.0) <= tolerance * np.abs(wanted).max(initial=0.0) + 1e-12


@pytest.mark.parametrize(("count", "degree", "latents"), CASES)
def test_values_are_those_of_the_twin(count: int, degree: int, latents: int) -> None:
    avatar, vertices, latent = of_case(count, degree, latents)
    drawn = pose(avatar.gaussians, avatar.surface, vertices, latent, EYE).activated
    _, wanted = twin_of(avatar, vertices, latent)
    wanted = {name: value.detach().numpy() for name, value in wanted.items()}
    for name in ("means", "scales", "opacities", "colours"):
        near(getattr(drawn, name), wanted[name], 1e-5)
    np.testing.assert_allclose(np.linalg.norm(drawn.rotations, axis=1), 1.0, atol=1e-5)
    found = rotation_matrices(torch.tensor(drawn.rotations.astype(np.float64))).numpy()
    near(found, wanted["turns"], 1e-5)


@pytest.mark.parametrize(("count", "degree", "latents"), CASES)
def test_every_gradient_is_that_of_the_twin(count: int, degree: int, latents: int) -> None:
    avatar, vertices, latent = of_case(count, degree, latents)
    posed = pose(avatar.gaussians, avatar.surface, vertices, latent, EYE)
    slopes = slopes_for(posed)
    found = pose_back(posed, slopes)
    inputs, drawn = twin_of(avatar, vertices, latent)
    loss_of(drawn, posed, slopes).backward()
    for name in (*FIELDS, "latent", "vertices"):
        wanted = inputs[name].grad.numpy()
        assert getattr(found, name).shape == wanted.shape
        near(getattr(found, name), wanted, 1e-4)


def test_plain_playback_is_the_same() -> None:
    avatar, vertices, latent = of_case(67, 3, 3)
    fast = pose(avatar.gaussians, avatar.surface, vertices, latent, EYE).activated
    plain = place(avatar, vertices, latent, EYE)
    for name in ("means", "scales", "rotations", "opacities", "colours"):
        near(getattr(plain, name), getattr(fast, name), 1e-5)


def results(made: PoseGradients) -> list[Array | None]:
    return [getattr(made, name) for name in (*FIELDS, "local", "latent", "vertices")]


def test_threads_change_no_bit() -> None:
    avatar, vertices, latent = of_case(9001, 1, 3)
    poser = Poser(avatar.surface)
    first = None
    for threads in (1, 2, 3):
        posed = poser.pose(avatar.gaussians, vertices, latent, EYE, threads=threads)
        made = [*vars(posed.activated).values(), *results(pose_back(posed, slopes_for(posed)))]
        first = first or made
        assert all(np.array_equal(a, b) for a, b in zip(first, made, strict=True))


def test_what_is_not_asked_for_is_left_out() -> None:
    avatar, vertices, latent = of_case(67, 1, 3)
    posed = pose(avatar.gaussians, avatar.surface, vertices, latent, EYE)
    found = pose_back(posed, slopes_for(posed), latent=False, vertices=False)
    assert found.latent is None and found.vertices is None


def flattened(vertices: Array, triangles: Array, line: bool = True) -> Array:
    """One triangle a point, one with two corners in one, one a line but for rounding."""
    bad = vertices.copy()
    bad[triangles[0]] = bad[triangles[0][0]]
    bad[triangles[20][1]] = bad[triangles[20][0]]
    if line:
        a, b, c = triangles[41]
        bad[c] = bad[a] + 0.5 * (bad[b] - bad[a])
    return bad


def test_flat_triangles_make_nothing_infinite() -> None:
    avatar, vertices, latent = of_case(300, 1, 3)
    bad = flattened(vertices, avatar.surface.triangles)
    posed = pose(avatar.gaussians, avatar.surface, bad, latent, EYE)
    found = pose_back(posed, slopes_for(posed))
    assert all(np.isfinite(array).all() for array in vars(posed.activated).values())
    assert all(array is not None and np.isfinite(array).all() for array in results(found))
    plain = place(avatar, bad, latent, EYE)
    for name in ("means", "scales", "rotations", "colours"):
        near(getattr(plain, name), getattr(posed.activated, name), 1e-5)


def test_frames_are_those_of_the_files() -> None:
    avatar = avatar_of()
    bad = flattened(posed_vertices(avatar.surface), avatar.surface.triangles, line=False)
    found, wanted = frames(bad, avatar.surface.triangles), frames_of(bad, avatar.surface.triangles)
    for name in ("axes", "scales", "middles"):
        near(getattr(found, name), getattr(wanted, name), 1e-5)
    near(rotation.to_matrix(turns(found.axes)), wanted.axes, 1e-5)


def test_at_rest_and_without_latent_the_colours_are_those_stored() -> None:
    """The turn back is none: spherical harmonics mean what they mean in a static file."""
    avatar, _, latent = of_case(67, 3, 3)
    drawn = place(avatar, avatar.surface.rest, 0 * latent, EYE)
    towards = drawn.means - EYE
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    wanted = 0.5 + np.einsum("nk,nkc->nc", harmonics(towards, 3), avatar.gaussians.sh)
    near(drawn.colours, np.maximum(wanted, 0.0), 1e-5)


def test_a_turned_head_looks_the_same_from_a_turned_camera() -> None:
    avatar, vertices, latent = of_case(67, 3, 3)
    turn = rotation.to_matrix(rotation.from_rotation_vector(np.array([0.3, -1.1, 0.4]))).astype(np.float32)
    plain = pose(avatar.gaussians, avatar.surface, vertices, latent, EYE).activated
    turned = pose(avatar.gaussians, avatar.surface, vertices @ turn.T, latent, turn @ EYE).activated
    near(turned.means, plain.means @ turn.T, 1e-5)
    near(turned.colours, plain.colours, 1e-5)


def test_none_at_all_is_nothing() -> None:
    avatar = avatar_of()
    none = avatar.gaussians.taken(np.zeros(0, int))
    posed = pose(none, avatar.surface, avatar.surface.rest, np.zeros(3), EYE)
    assert len(posed.activated) == 0
    pulled = pose_back(posed, slopes_for(posed)).vertices
    assert pulled is not None and not pulled.any()


def test_arrays_of_another_head_are_refused() -> None:
    avatar, vertices, latent = of_case(67, 1, 3)
    poser = Poser(avatar.surface)
    with pytest.raises(SplatError, match="vertices"):
        poser.pose(avatar.gaussians, vertices[1:], latent, EYE)
    with pytest.raises(SplatError, match="latents"):
        poser.pose(avatar.gaussians, vertices, latent[1:], EYE)
    far = replace(avatar.gaussians, binding=avatar.gaussians.binding + 50)
    with pytest.raises(SplatError, match="triangle"):
        poser.pose(far, vertices, latent, EYE)
