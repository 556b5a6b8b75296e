# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian heads as the graphics card gets them, and, where one can be reached, what it draws of them.

The picture is held against a plain numpy rasteriser, one Gaussian after the other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import bpy
import gpu
import numpy as np
import pytest
from scene_support import part

COUNT, LATENTS = 400, 3


def ball(rings: int = 8, around: int = 12, radius: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of a sphere without caps."""
    polar = np.linspace(0, np.pi, rings + 2)[1:-1]
    turn = np.linspace(0, 2 * np.pi, around, endpoint=False)
    a, b = np.meshgrid(polar, turn, indexing="ij")
    points = radius * np.stack([np.sin(a) * np.sin(b), np.cos(a), np.sin(a) * np.cos(b)], axis=-1)
    i, j = np.meshgrid(np.arange(rings - 1), np.arange(around), indexing="ij")
    p, q = i * around + j, i * around + (j + 1) % around
    triangles = np.concatenate([np.stack([p, p + around, q], -1), np.stack([q, p + around, q + around], -1)])
    return points.reshape(-1, 3).astype(np.float32), triangles.reshape(-1, 3).astype(np.int32)


@pytest.fixture(scope="module")
def avatar(extension: Any) -> Any:
    """A ball of Gaussians with everything that can change: latents, harmonics, needles."""
    points, triangles = ball()
    rng = np.random.default_rng(5)
    bound, basis = part("core.splat.bound"), part("core.splat.bound").ExpressionBasis
    chart = np.zeros(len(triangles), np.uint8)
    surface = part("core.splat.surface").HeadSurface(np.arange(len(points)), triangles, chart, points)
    ones = np.ones(LATENTS)
    gaussians = bound.BoundGaussians(
        np.sort(rng.integers(0, len(triangles), COUNT)),
        means=rng.normal(0, 0.3, (COUNT, 3)),
        log_scales=np.log(rng.uniform(0.02, 0.3, (COUNT, 3))),
        rotations=rng.normal(size=(COUNT, 4)),
        opacity_logits=rng.normal(1.0, 2.0, COUNT),
        sh=rng.normal(0, 0.4, (COUNT, 16, 3)),
        basis=basis(np.zeros(52), rng.normal(size=(LATENTS, 52)), -3 * ones, 3 * ones),
        offsets=rng.normal(0, 0.05, (COUNT, LATENTS, 14)),
    )
    return part("core.splat.splat_avatar").SplatAvatar(surface, gaussians, "anny")


@pytest.fixture(scope="module")
def pose(avatar: Any) -> tuple[np.ndarray, np.ndarray]:
    """A surface that was moved and turned, and a latent."""
    rng = np.random.default_rng(6)
    turn = part("core.rotation").to_matrix(np.array([0.8, 0.1, 0.5, -0.2]))
    points = (avatar.surface.rest * [1.0, 1.3, 0.9]) @ turn.T + [0.03, 1.6, -0.02]
    return points.astype(np.float32), rng.normal(0, 1, LATENTS).astype(np.float32)


def view_of(degrees: float = 20.0, distance: float = 0.6) -> Any:
    """A camera that looks at the ball from one side, off the middle of its picture."""
    a = np.radians(degrees)
    turn = np.diag([1.0, -1.0, -1.0]) @ [[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, [0.01, -0.02, distance] - turn @ [0.03, 1.6, -0.02]
    return part("core.splat.view").View(96, 80, 190.0, 200.0, 44.0, 43.0, matrix)


def test_tables_hold_everything_once(avatar: Any) -> None:
    pack = part("addon.scene.splat_pack")
    g, tables = avatar.gaussians, pack.tables_of(avatar.gaussians, avatar.surface.rest_frames.axes)

    def entries(table: np.ndarray, parts: int, count: int) -> np.ndarray:
        return table.reshape(parts, -1, 4)[:, :count]

    stored = entries(tables.stored, 3, COUNT)
    assert np.array_equal(stored[0, :, :3], g.means) and np.array_equal(stored[0, :, 3], g.binding)
    assert np.array_equal(stored[1, :, 3], g.opacity_logits) and np.array_equal(stored[2], g.rotations)
    moved = entries(tables.offsets, 4 * LATENTS, COUNT).reshape(LATENTS, 4, COUNT, 4)
    flat = np.concatenate([moved[:, 0, :, :3], moved[:, 1, :, :3], moved[:, 2], moved[:, 3, :, :3]], axis=2)
    offsets = g.offsets.transpose(1, 0, 2)
    assert np.array_equal(flat, np.delete(offsets, 10, axis=2))
    assert np.array_equal(moved[:, 0, :, 3], offsets[..., 10])
    lit = entries(tables.harmonics, 12, COUNT).transpose(1, 0, 2).reshape(COUNT, 48)
    assert np.array_equal(lit, g.sh.reshape(COUNT, 48))
    axes = entries(tables.rest, 3, len(avatar.surface))[..., :3].transpose(1, 2, 0)
    assert np.allclose(axes, avatar.surface.rest_frames.axes, atol=1e-6)


def test_tables_of_many_rows(avatar: Any) -> None:
    pack = part("addon.scene.splat_pack")
    parts = np.random.default_rng(0).random((2, 2500, 4)).astype(np.float32)
    table = pack.table(parts)
    assert table.shape == (2 * 3, pack.WIDTH, 4)
    assert np.array_equal(table[3 + 2499 // pack.WIDTH, 2499 % pack.WIDTH], parts[1, 2499])


def test_order_is_that_of_the_placed_gaussians(avatar: Any, pose: Any) -> None:
    """Far to near as the plain way has it, up to the 65,535th part of the whole depth."""
    lens, pack = part("addon.scene.splat_lens").Lens.of_view(view_of()), part("addon.scene.splat_pack")
    playback = part("core.splat.playback")
    affine = pack.affine_of(playback.frames(pose[0], avatar.surface.triangles))
    sorter = part("addon.scene.splat_sort").DepthOrder(avatar.gaussians)
    means = playback.place(avatar, *pose, view_of().centre).means
    depths = means @ view_of().T_view_world[2, :3] + view_of().T_view_world[2, 3]
    for latent in (pose[1], 0 * pose[1], pose[1]):  # it remembers the last
        order = sorter.order(affine, latent, lens.along)
    assert np.array_equal(np.sort(order), np.arange(COUNT))
    assert np.allclose(sorter.depths(affine, pose[1], lens.along), depths, atol=1e-5)
    assert np.all(np.diff(depths[order]) < 2 * np.ptp(depths) / 65535 + 1e-5)


def test_order_of_what_is_not_finite(extension: Any) -> None:
    order = part("addon.scene.splat_sort").sorted_far(np.array([1.0, np.nan, 3.0, 2.0, np.inf], np.float32))
    assert sorted(order.tolist()) == [0, 1, 2, 3, 4]
    assert [i for i in order if i in (0, 2, 3)] == [2, 3, 0]
    assert not len(part("addon.scene.splat_sort").sorted_far(np.zeros(0, np.float32)))


def test_lens_of_a_view(avatar: Any, pose: Any) -> None:
    """Pixels, depth and eye are the camera's; parallel rays have a direction for an eye."""
    Lens, view = part("addon.scene.splat_lens").Lens, view_of()
    lens = Lens.of_view(view)
    at = np.c_[pose[0], np.ones(len(pose[0]))] @ lens.clip.T
    seen = np.c_[pose[0], np.ones(len(pose[0]))] @ view.T_view_world.T
    x = (at[:, 0] / at[:, 3] + 1) * view.width / 2
    y = (1 - at[:, 1] / at[:, 3]) * view.height / 2
    assert np.allclose(x, view.fx * seen[:, 0] / seen[:, 2] + view.cx)
    assert np.allclose(y, view.fy * seen[:, 1] / seen[:, 2] + view.cy)
    assert np.allclose(np.c_[pose[0], np.ones(len(pose[0]))] @ lens.along, seen[:, 2])
    assert np.allclose(lens.eye, [*view.centre, 1.0])
    flat = np.diag([2.0, 2.0, -0.01, 1.0])  # looks along -Z of the view, as Blender's own
    parallel = Lens.of_matrices(flat, np.eye(4), 10, 10)
    world = (
        np.array([0.0, 0.0, -1.0]) @ part("core.head").TO_BLENDER
    )  # of Blender's world, in the head's axes
    assert np.allclose(-parallel.eye, [*world, 0.0]) and np.allclose(parallel.along[:3], world)


def plain_picture(avatar: Any, pose: Any, view: Any) -> np.ndarray:
    """(h, w, 4) with premultiplied alpha, one Gaussian after the other, near to far."""
    placed = part("core.splat.playback").place(avatar, *pose, view.centre)
    turn = part("core.rotation").to_matrix(placed.rotations)
    seen = placed.means @ view.T_view_world[:3, :3].T + view.T_view_world[:3, 3]
    y, x = np.mgrid[: view.height, : view.width] + 0.5
    light, picture = np.ones((view.height, view.width)), np.zeros((view.height, view.width, 4))
    for i in np.argsort(seen[:, 2]):
        px, py, pz = seen[i]
        slope = np.array([[view.fx / pz, 0, -view.fx * px / pz**2], [0, view.fy / pz, -view.fy * py / pz**2]])
        m = slope @ view.T_view_world[:3, :3] @ turn[i] * placed.scales[i]
        inverse = np.linalg.inv(m @ m.T + 0.3 * np.eye(2))
        dx, dy = x - (view.fx * px / pz + view.cx), y - (view.fy * py / pz + view.cy)
        power = inverse[0, 0] * dx * dx + 2 * inverse[0, 1] * dx * dy + inverse[1, 1] * dy * dy
        alpha = placed.opacities[i] * np.exp(-0.5 * power)
        alpha = np.where(alpha < 1 / 255, 0.0, np.minimum(alpha, 0.99)) * light
        picture += alpha[..., None] * [*placed.colours[i], 1.0]
        light = light - alpha
    return picture


@pytest.fixture(scope="module")
def card(extension: Any) -> None:
    """A context of the graphics card in the background: from 5.2 by asking, before as a render leaves it."""
    if not part("addon.scene.graphics").has_opengl():
        pytest.skip("no OpenGL on this machine")
    if hasattr(gpu, "init"):
        gpu.init()
        return
    scene = bpy.context.scene
    scene.render.engine, scene.render.resolution_x, scene.render.resolution_y = "BLENDER_WORKBENCH", 8, 8
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    bpy.ops.render.render()


def drawn(avatar: Any, pose: Any, lens: Any, background: Any = None) -> np.ndarray:
    state = part("addon.scene.splat_state").HeadState(avatar, pose[0], np.zeros(52, np.float32), pose[1])
    return part("addon.scene.splat_draw").draw_offscreen([state], lens, background)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((a - b) ** 2)))


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_picture_is_the_plain_one(avatar: Any, pose: Any, degree: int) -> None:
    """Within what half floats and equal depths cost; alpha too, and from behind."""
    sh = avatar.gaussians.sh[:, : (degree + 1) ** 2]
    person = replace(avatar, gaussians=replace(avatar.gaussians, sh=sh))
    for view in (view_of(), view_of(200.0, 0.35)):
        lens = part("addon.scene.splat_lens").Lens.of_view(view)
        found, wanted = drawn(person, pose, lens), plain_picture(person, pose, view)
        assert wanted[..., 3].max() > 0.95 and wanted[..., 3].min() < 0.5
        assert psnr(found, wanted) > 45.0


@pytest.mark.usefixtures("card")
def test_parallel_view_is_that_of_a_far_camera(avatar: Any, pose: Any) -> None:
    """An orthographic lens draws what a camera with a long lens draws from far away."""
    Lens, view = part("addon.scene.splat_lens").Lens, view_of()
    far = replace(view, fx=100 * view.fx, fy=100 * view.fy, T_view_world=_pushed(view.T_view_world, 59.4))
    lens = Lens.of_view(view)
    flat = lens.clip.copy()
    x = 2 * view.fx / view.width / 0.6, 2 * view.fy / view.height / 0.6
    to_view = view.T_view_world
    flat[0] = x[0] * to_view[0] + [0, 0, 0, 2 * view.cx / view.width - 1]
    flat[1] = -x[1] * to_view[1] + [0, 0, 0, 1 - 2 * view.cy / view.height]
    flat[2], flat[3] = 0.1 * to_view[2], [0, 0, 0, 1]
    found = drawn(avatar, pose, Lens(flat, view.width, view.height))
    assert psnr(found, drawn(avatar, pose, Lens.of_view(far))) > 33.0


def _pushed(matrix: np.ndarray, metres: float) -> np.ndarray:
    moved = matrix.copy()
    moved[2, 3] += metres
    return moved


@pytest.mark.usefixtures("card")
def test_background_and_two_heads(avatar: Any, pose: Any) -> None:
    """A background is seen through; a head before another hides it, in whichever order they come."""
    lens = part("addon.scene.splat_lens").Lens.of_view(view_of())
    alone, over = drawn(avatar, pose, lens), drawn(avatar, pose, lens, (1.0, 0.5, 0.0))
    wanted = alone[..., :3] + (1 - alone[..., 3:]) * [1.0, 0.5, 0.0]
    assert np.allclose(over[..., :3], wanted, atol=1e-6) and np.all(over[..., 3] == 1.0)
    State, draw = part("addon.scene.splat_state").HeadState, part("addon.scene.splat_draw").draw_offscreen
    towards = (0.25 * (view_of().centre - [0.03, 1.6, -0.02])).astype(np.float32)
    opaque = replace(avatar.gaussians, opacity_logits=avatar.gaussians.opacity_logits * 0 + 9)
    person = replace(avatar, gaussians=opaque)
    near = State(person, pose[0] + towards, np.zeros(52, np.float32), pose[1])
    far = State(person, pose[0] - towards, np.zeros(52, np.float32), pose[1])
    first, second = draw([near, far], lens), draw([far, near], lens)
    assert np.array_equal(first, second)
    front = draw([near], lens)
    solid = front[..., 3] > 0.995
    assert solid.sum() > 500 and np.abs(first - front)[solid].max() < 0.02


@pytest.mark.usefixtures("card")
def test_nothing_to_see(avatar: Any, pose: Any) -> None:
    """Behind the camera, or with no opacity, nothing is drawn."""
    lens = part("addon.scene.splat_lens").Lens.of_view(view_of())
    behind = (pose[0] + 4 * (view_of().centre - [0.03, 1.6, -0.02])).astype(np.float32)
    assert not drawn(avatar, (behind, pose[1]), lens).any()
    faint = replace(avatar.gaussians, opacity_logits=avatar.gaussians.opacity_logits * 0 - 9)
    faint = replace(faint, offsets=0 * faint.offsets)
    assert not drawn(replace(avatar, gaussians=faint), pose, lens).any()


def test_a_failure_is_one_sentence(extension: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler never raises: it stops, says why, and goes on after a new file."""
    draw = part("addon.scene.splat_draw")
    calls = []

    def broken(_context: object) -> None:
        calls.append(1)
        raise SystemError("no such texture\nmore")

    monkeypatch.setattr(draw, "_draw_view", broken)
    draw._on_draw()
    draw._on_draw()
    assert len(calls) == 1 and draw.STATUS.trouble.endswith("no such texture.")
    draw.forget()
    assert not draw.STATUS.trouble


@pytest.mark.usefixtures("card")
def test_viewport_picture(avatar: Any, pose: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The viewport's own picture with the head in it, behind what stands before it."""
    draw, playblast = part("addon.scene.splat_draw"), part("addon.scene.splat_playblast")
    state = part("addon.scene.splat_state").HeadState(avatar, pose[0], np.zeros(52, np.float32), pose[1])
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    scene, layer = bpy.context.scene, bpy.context.view_layer
    area = next(a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == "VIEW_3D")
    region = next(r for r in area.regions if r.type == "WINDOW")
    space: Any = area.spaces.active
    space.shading.type, space.overlay.show_overlays = "SOLID", False
    bar = bpy.data.objects["Cube"]  # stands before the right half of the head
    bar.location, bar.scale = (1.03, -0.4, 1.6), (1.0, 0.05, 1.0)
    scene.camera.location, scene.camera.rotation_euler = (0.03, -1.0, 1.6), (np.pi / 2, 0.0, 0.0)
    layer.update()
    without = playblast.viewport_picture(scene, layer, space, region, 120, 90)
    monkeypatch.setattr(draw, "heads", lambda _scene: [bar])
    monkeypatch.setattr(draw, "draws_in_viewport", lambda *_: True)
    monkeypatch.setattr(draw, "state_of", lambda *_: state)
    with_head = playblast.viewport_picture(scene, layer, space, region, 120, 90)
    changed = np.abs(with_head.astype(int) - without).max(axis=2) > 8
    assert changed[:, :58].sum() > 300 and not changed[:, 64:].any()
    assert not changed[:5].any() and not changed[-5:].any()
    scene.camera = None
    with pytest.raises(part("core.errors").SettingsError, match="no camera"):
        playblast.viewport_picture(scene, layer, space, region, 8, 8)
