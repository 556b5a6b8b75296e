# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian heads in the formats of others, read by readers that know nothing of ours."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flame_like import flame_like

from core import rotation
from core.avatar import Avatar
from core.errors import LikenessError, SettingsError, SplatError
from core.splat import export
from core.splat.acting import Acting
from core.splat.export_animated import animated, loss
from core.splat.files.exchange import read_splats
from core.splat.files.gaussian_avatars import read_gaussian_avatar
from core.splat.files.triangles import frames_of
from core.splat.harmonics import harmonics
from core.splat.mesh_motion import mesh_motion
from core.splat.own_triangles import corners
from core.splat.playback import place
from core.splat.world import world_gaussians
from tests.core.splat_players import patch_player, take

pytest.importorskip("numba")

Array = np.ndarray
KINDS = {"float": "<f4", "uint": "<u4", "uchar": "u1", "ushort": "<u2"}
FLIP = np.array([1.0, -1.0, -1.0])
"""Between OpenCV's axes and those of the head."""


class Viewer:
    """Reads an animated PLY as CAP4D's viewer does, from the page of the format alone, in the file's axes."""

    def __init__(self, path: Path) -> None:
        head, _, body = path.read_bytes().partition(b"end_header\n")
        lines = head.decode().splitlines()
        assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
        self.order, at = [], 0
        self.tables: dict[str, Array] = {}
        layout: list[tuple[str, int, list[tuple[str, str]]]] = []
        for word in (line.split() for line in lines[2:]):
            if word[0] == "element":
                layout.append((word[1], int(word[2]), []))
            else:
                layout[-1][2].append((word[2], KINDS[word[1]]))
        for name, count, columns in layout:
            kind = np.dtype(columns)
            self.tables[name] = np.frombuffer(body, kind, count, at)
            self.order.append(name)
            at += count * kind.itemsize
        assert at == len(body)

    def xyz(self, name: str) -> Array:
        table = self.tables[name]
        return np.stack([table[axis].astype(np.float64) for axis in "xyz"], axis=-1)

    def vertices(self, frame: int) -> Array:
        low, high = (self.xyz(f"meta_delta_{end}_{frame:05d}") for end in ("min", "max"))
        values = self.xyz(f"delta_vertex_{frame:05d}")
        kind = self.tables[f"delta_vertex_{frame:05d}"].dtype["x"]
        steps = {"u1": 255.0, "u2": 65535.0, "f4": 1.0}[kind.str[1:]]
        return self.xyz("base_vertex") + low + values / steps * (high - low)

    def means(self, frame: int) -> tuple[Array, Array, Array]:
        """Means, scales and opacities in the head's axes."""
        faces = np.stack([self.tables["faces"][f"index_{k}"] for k in range(3)], axis=-1)
        table = self.tables["vertex"]
        v0, v1, v2 = (self.vertices(frame)[faces[table["binding"].astype(int), k]] for k in range(3))
        a0 = (v1 - v0) / np.linalg.norm(v1 - v0, axis=1, keepdims=True)
        a1 = np.cross(a0, v2 - v0)
        a1 /= np.linalg.norm(a1, axis=1, keepdims=True)
        a2 = -np.cross(a1, a0) / np.linalg.norm(np.cross(a1, a0), axis=1, keepdims=True)
        scale = 0.5 * (np.linalg.norm(v1 - v0, axis=1) + np.abs(np.sum(a2 * (v2 - v0), axis=1)))
        local = self.xyz("vertex") * scale[:, None]
        means = a0 * local[:, :1] + a1 * local[:, 1:2] + a2 * local[:, 2:] + (v0 + v1 + v2) / 3
        sizes = np.exp(np.stack([table[f"scale_{k}"] for k in range(3)], -1).astype(float)) * scale[:, None]
        return means * FLIP, sizes, 1 / (1 + np.exp(-table["opacity"].astype(np.float64)))


@pytest.mark.parametrize(("form", "near"), [("float", 1e-5), ("uint16", 1e-4), ("uint8", 5e-3)])
def test_a_reader_of_its_own_finds_every_gaussian_where_it_was_posed(tmp_path, form, near):
    player, acting = patch_player(latents=0), Acting.of(take("own", 5))
    made = export.export_animated(player, acting, tmp_path / "a.ply", form)
    viewer = Viewer(tmp_path / "a.ply")
    assert viewer.order[:3] == ["faces", "base_vertex", "vertex"]
    assert made.value["frames"] == 5
    assert len(viewer.order) == 3 + 3 * 5
    for frame in range(5):
        posed = player.posed(acting.weights[frame], acting.gaze[frame], np.zeros(3))
        means, scales, opacities = viewer.means(frame)
        assert np.abs(means - posed.means).max() < near
        np.testing.assert_allclose(scales, posed.scales, rtol=40 * near)
        np.testing.assert_allclose(opacities, posed.opacities, atol=1e-6)


def test_gaussians_on_triangles_of_their_own_go_where_the_expression_takes_them(tmp_path):
    player, acting = patch_player(latents=3), Acting.of(take("own", 5))
    export.export_animated(player, acting, tmp_path / "a.ply", "uint16", own=1.0)
    viewer = Viewer(tmp_path / "a.ply")
    for frame in range(5):
        posed = player.posed(acting.weights[frame], acting.gaze[frame], np.zeros(3))
        means, scales, _ = viewer.means(frame)
        assert np.abs(means - posed.means).max() < 1e-4
        np.testing.assert_allclose(scales.prod(axis=1), posed.scales.prod(axis=1), rtol=0.05)


def test_the_frame_of_an_own_triangle_is_the_gaussians():
    posed = patch_player().posed(np.full(52, 0.3), np.zeros((2, 2)), np.zeros(3))
    alone = corners(posed).reshape(-1, 3)
    frames = frames_of(alone, np.arange(len(alone)).reshape(-1, 3))
    np.testing.assert_allclose(frames.axes, rotation.to_matrix(posed.rotations), atol=1e-5)
    np.testing.assert_allclose(frames.middles, posed.means, atol=1e-7)
    np.testing.assert_allclose(frames.scales**3, 27 * posed.scales.prod(axis=1), rtol=1e-4)


def test_the_mesh_takes_what_neighbours_share():
    player = patch_player(400, latents=1)
    splats = player.splats
    frames = splats.surface.rest_frames
    there = np.array([0.003, -0.002, 0.004])  # metres, the same for all
    offsets = np.zeros_like(splats.gaussians.offsets)
    local = np.einsum("fij,i->fj", frames.axes, there) / frames.scales[:, None]
    offsets[:, 0, :3] = local[splats.gaussians.binding]
    together = replace(splats, gaussians=replace(splats.gaussians, offsets=offsets))
    motion, wrong = mesh_motion(together, splats.surface.rest, np.zeros(1))
    carried = np.unique(splats.surface.triangles[splats.gaussians.binding])
    np.testing.assert_allclose(motion[0, carried], np.tile(there, (len(carried), 1)), atol=2e-5)
    assert wrong.max() < 1e-4
    assert mesh_motion(splats, splats.surface.rest, np.zeros(1))[1].max() > 100 * wrong.max()


def test_more_triangles_of_their_own_come_nearer(tmp_path):
    player, acting = patch_player(latents=3), Acting.of(take("own", 4))
    found = [loss(player, acting, animated(player, acting, own)).psnr for own in (0.0, 0.3, 1.0)]
    assert found == sorted(found)
    assert found[2] > found[0] + 3


def test_only_triangles_that_carry_gaussians_are_written():
    player, acting = patch_player(9), Acting.of(take("own", 3))
    splats = animated(player, acting)
    assert len(splats.faces) == len(np.unique(player.splats.gaussians.binding))
    assert len(splats.base) == len(np.unique(splats.faces))


def test_what_the_format_cannot_hold_is_measured_and_said(tmp_path):
    acting = Acting.of(take("own", 6))
    plain = export.export_animated(patch_player(degree=0, latents=0), acting, tmp_path / "a.ply", "float")
    lively = export.export_animated(patch_player(degree=0, latents=3), acting, tmp_path / "b.ply", "float")
    assert plain.value["psnr"] > 45
    assert lively.value["psnr"] < plain.value["psnr"] - 5
    assert lively.value["worst_psnr"] <= lively.value["psnr"]
    said = " ".join(lively.lines)
    assert f"{lively.value['psnr']:.1f} dB" in said
    assert "held at the take's mean" in said
    assert "held" not in " ".join(plain.lines)
    for quantise, own in (("uint8", 0.5), ("uint16", 1.5)):
        with pytest.raises(SettingsError):
            export.export_animated(patch_player(), acting, tmp_path / "c.ply", quantise, own)
    assert not (tmp_path / "c.ply").exists()


def test_the_mean_expression_is_the_best_still_one():
    player, acting = patch_player(degree=0), Acting.of(take("own", 6))
    mean = animated(player, acting)
    basis = player.splats.gaussians.basis
    first = replace(acting, weights=np.tile(acting.weights[:1], (6, 1)))
    other = replace(mean, local=animated(player, first).local)
    assert len(basis) > 0
    assert loss(player, acting, mean).psnr > loss(player, acting, other).psnr


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_plain_gaussians_look_as_the_avatar_from_everywhere(degree):
    player, acting = patch_player(60, degree), Acting.of(take("own", 2))
    weights, gaze = acting.weights[1], acting.gaze[1]
    vertices = player.vertices(weights, gaze)
    turn = rotation.to_matrix(rotation.from_rotation_vector(np.array([0.5, -1.1, 0.3])))
    vertices = (vertices @ turn.T + [0.1, 0.2, 0.3]).astype(np.float32)
    latent = player.splats.gaussians.basis.latent(weights)
    plain = world_gaussians(player.splats, vertices, latent)
    drawn = plain.activated()
    for eye in np.array([[0.0, 0.0, 1.0], [0.7, -0.4, -0.6]]):
        posed = place(player.splats, vertices, latent, eye)
        towards = plain.means.astype(np.float64) - eye
        towards /= np.linalg.norm(towards, axis=1, keepdims=True)
        seen = np.maximum(0.5 + np.einsum("nk,nkc->nc", harmonics(towards, degree), plain.sh), 0)
        np.testing.assert_allclose(seen, posed.colours, atol=2e-4)
        np.testing.assert_allclose(drawn.means, posed.means, atol=1e-5)
        np.testing.assert_allclose(drawn.scales, posed.scales, rtol=1e-4)
        np.testing.assert_allclose(drawn.opacities, posed.opacities, atol=1e-5)
        aligned = np.abs(np.sum(rotation.normalized(drawn.rotations) * posed.rotations, axis=1))
        np.testing.assert_allclose(aligned, 1.0, atol=1e-5)


@pytest.mark.parametrize("name", ["still.ply", "still.spz", "still.glb"])
def test_one_moment_in_every_still_format(tmp_path, name):
    player, acting = patch_player(), Acting.of(take("own", 1))
    export.export_still(player, acting, tmp_path / name)
    expected = next(export.moments(player, acting))
    np.testing.assert_allclose(read_splats(tmp_path / name).means, expected.means, atol=2e-5)


def test_frames_as_a_folder_and_as_a_zip(tmp_path):
    player, acting = patch_player(), Acting.of(take("own", 3))
    assert export.export_frames(player, acting, tmp_path / "frames").value == {"frames": 3}
    export.export_frames(player, acting, tmp_path / "frames.zip")
    names = [f"frame_{n:05d}.ply" for n in range(3)]
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == names
    with zipfile.ZipFile(tmp_path / "frames.zip") as archive:
        assert archive.namelist() == names
        assert archive.read(names[2]) == (tmp_path / "frames" / names[2]).read_bytes()
    expected = list(export.moments(player, acting))[2]
    np.testing.assert_allclose(read_splats(tmp_path / "frames" / names[2]).means, expected.means, atol=1e-6)


@pytest.mark.parametrize("name", ["frames", "frames.zip", "a.ply"])
def test_what_is_stopped_leaves_nothing(tmp_path, name):
    player, acting = patch_player(), Acting.of(take("own", 3))

    def stop(fraction: float, _stage: str, _text: str) -> None:
        if fraction > 0.3:
            raise KeyboardInterrupt

    write: Any = export.export_animated if name == "a.ply" else export.export_frames
    further = {"quantise": "uint16"} if name == "a.ply" else {}
    with pytest.raises(KeyboardInterrupt):
        write(player, acting, tmp_path / name, progress=stop, **further)
    assert not list(tmp_path.iterdir())


def test_the_format_is_that_of_the_name():
    found = {name: export.format_of(Path(name), None) for name in ("a.ply", "a.spz", "a.glb", "a.zip", "a")}
    assert list(found.values()) == ["animated-ply", "spz", "glb", "ply-frames", "ply-frames"]
    assert export.format_of(Path("a.ply"), "ply") == "ply"
    for name, form in (("a.obj", None), ("a.ply", "spz"), ("a", "glb"), ("a.ply", "gaussian-avatars")):
        with pytest.raises(SettingsError):
            export.format_of(Path(name), form)


def test_nothing_of_the_users_is_written_over(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    for name, form in (
        ("folder", "ply-frames"),
        ("folder", "gaussian-avatars"),
        ("folder", "spz"),
        ("no/a.ply", "ply"),
    ):
        with pytest.raises(SettingsError):
            export.check_place(tmp_path / name, form)
    export.check_place(tmp_path / "new", "ply-frames")


def test_gaussian_avatars_is_for_flame_only(tmp_path, monkeypatch):
    player, avatar = patch_player(), Avatar(tmp_path / "x.avatar", "Anna")
    with pytest.raises(SplatError, match="FLAME's triangles; those of 'Anna' are on 'anny'") as caught:
        export.export_gaussian_avatars(player, avatar, None, tmp_path / "out")
    assert caught.value.hint
    model = flame_like()[0]
    monkeypatch.setattr(export, "load_model", lambda *_: model)
    surface = player.splats.surface
    numbers = np.random.default_rng(0).permutation(len(model.faces))[: len(surface)]
    rows, corners = np.unique(model.faces[numbers, :3], return_inverse=True)
    rest = np.zeros((len(rows), 3), np.float32)
    there = replace(surface, rows=rows, triangles=corners.reshape(-1, 3), rest=rest)
    player.splats = replace(player.splats, surface=there)
    made = export.export_gaussian_avatars(player, avatar, None, tmp_path / "out")
    assert made.value == {"take": False}
    back = read_gaussian_avatar(tmp_path / "out")
    np.testing.assert_array_equal(back.binding, numbers[player.splats.gaussians.binding])
    player.splats = replace(player.splats, surface=replace(there, triangles=there.triangles[:, [1, 2, 0]]))
    with pytest.raises(LikenessError, match="FLAME does not have"):
        export.export_gaussian_avatars(player, avatar, None, tmp_path / "other")
    assert not (tmp_path / "other").exists()
