# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians in a scene: what is in front covers, edges stay soft, alpha is kept, and depth is told apart."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from core.errors import SettingsError
from core.exr import read_planes
from core.splat.composite import FAR, TOUCHING, Picture, composite, straight, to_bytes

RED, BLUE, GREEN = ((1.0, 0.0, 0.0, 1.0), (0.0, 0.0, 1.0, 1.0), (0.0, 1.0, 0.0, 1.0))


def flat(colour, depth, size=(8, 8)):
    return Picture(np.tile(np.float32(colour), (*size, 1)), np.full(size, depth, np.float32))


def test_the_nearer_one_is_seen_and_its_depth_is_kept():
    for scene, expected, depth in ((1.0, RED, 1.0), (3.0, BLUE, 2.0), (FAR, BLUE, 2.0)):
        made = composite(flat(RED, scene), flat(BLUE, 2.0))
        assert np.allclose(made.rgba, expected) and np.all(made.depth == depth)


def test_a_plane_before_half_of_the_face_hides_that_half():
    scene = flat(GREEN, FAR)
    scene.rgba[:, :4], scene.depth[:, :4] = RED, 1.0
    made = composite(scene, flat(BLUE, 2.0)).rgba
    assert np.allclose(made[:, :3], RED) and np.allclose(made[:, 5:], BLUE)


def test_surfaces_that_meet_blend_over_the_soft_depth():
    depth = np.tile(np.linspace(1.99, 2.01, 64, dtype=np.float32), (4, 1))
    scene = Picture(np.tile(np.float32(RED), (4, 64, 1)), depth)
    blue = composite(scene, flat(BLUE, 2.0, (4, 64)), soft=0.008).rgba[..., 2]
    expected = 1.0 - np.clip((2.0 - depth - TOUCHING) / 0.008, 0.0, 1.0)
    assert np.abs(blue - expected).max() < 1e-3
    assert np.all(blue[depth > 1.998] == 1.0)  # skin under the splats does not show


def test_soft_splats_show_what_is_behind_them():
    made = composite(flat(RED, FAR), flat((0.0, 0.0, 1.0, 0.25), 2.0))
    assert np.allclose(made.rgba, (0.75, 0.0, 0.25, 1.0))
    assert np.all(made.depth == np.float32(FAR))


def test_a_transparent_film_keeps_alpha():
    clear = flat((0.0, 0.0, 0.0, 0.0), FAR)
    made = composite(clear, flat((0.2, 0.4, 0.6, 0.5), 2.0)).rgba
    assert np.allclose(made, (0.2, 0.4, 0.6, 0.5), atol=1e-6)
    untouched = composite(clear, flat((1.0, 1.0, 1.0, 0.0), 0.0))
    assert np.array_equal(untouched.rgba, clear.rgba)


def test_two_heads_are_told_apart_by_the_depth_that_comes_out():
    room = flat(RED, FAR)
    near, far = flat(BLUE, 1.0), flat(GREEN, 2.0)
    for first, second in ((near, far), (far, near)):
        assert np.allclose(composite(composite(room, first), second).rgba, BLUE)


def disc(fine: int, side: int, centre: float, radius: float) -> np.ndarray:
    """(side fine, side fine) bool."""
    at = (np.arange(side * fine) + 0.5) / fine - centre
    return at[:, None] ** 2 + at[None] ** 2 < radius**2


def mean(picture: np.ndarray, fine: int) -> np.ndarray:
    side = len(picture) // fine
    return picture.reshape(side, fine, side, fine, -1).mean(axis=(1, 3)).astype(np.float32)


@pytest.mark.parametrize("film", [1.0, 0.0])
def test_edges_of_what_is_before_a_face_are_as_if_they_were_drawn_with_it(film):
    """A red disc before a blue face before white: no white may shine between. Against 16 x 16 samples."""
    fine, side = 16, 40
    hand = disc(fine, side, 20.3, 11.2)
    scene = np.where(hand[..., None], np.float32(RED), np.float32((1.0, 1.0, 1.0, film)))
    scene[..., :3] *= scene[..., 3:]
    sampled = hand[fine // 2 :: fine, fine // 2 :: fine]  # depth has one sample a pixel
    picture = Picture(straight(mean(scene, fine)), np.where(sampled, 1.0, FAR))
    made = composite(picture, flat(BLUE, 2.0, (side, side))).rgba
    truth = mean(np.where(hand[..., None], np.float32(RED), np.float32(BLUE)), fine)
    hard = np.where(sampled[..., None], picture.rgba, np.float32(BLUE))
    rim = (truth[..., 0] > 0) & (truth[..., 0] < 1)
    error = np.abs(made - truth)[rim].mean()
    assert error < 0.35 * np.abs(hard - truth)[rim].mean()
    assert made[..., 1].max() < 0.13  # white
    assert np.allclose(made[~rim], truth[~rim], atol=0.2)


def test_edges_out_of_focus_do_not_tear(tmp_path):
    """The same, blurred over some pixels, its depth jittered as a lens does."""
    side, rng = 60, np.random.default_rng(0)
    at = np.arange(side) + 0.5 - 30.2
    inside = 17.0 - np.hypot(at[:, None], at[None])
    cover = np.clip(inside / 5.0 + 0.5, 0.0, 1.0)[..., None].astype(np.float32)
    sampled = rng.random((side, side)) < cover[..., 0]

    def mixture(back):
        return (cover * np.float32(RED) + (1 - cover) * np.float32(back)).astype(np.float32)

    picture = Picture(mixture((1.0, 1.0, 1.0, 1.0)), np.where(sampled, 1.0, FAR))
    blue = flat(BLUE, 2.0, (side, side))
    sharp, wide = (np.abs(composite(picture, blue, blur=b).rgba - mixture(BLUE)).mean() for b in (1, 3))
    assert wide < 0.35 * sharp


@pytest.mark.parametrize("blur", [1, 3])
def test_edges_behind_a_head_do_not_come_through_at_its_outline(blur):
    scene = flat(RED, FAR, (40, 40))
    scene.rgba[:, :21], scene.depth[:, :21] = GREEN, 5.0  # ends behind the head
    head = flat(BLUE, 2.0, (40, 40))
    head.rgba[~disc(1, 40, 20.3, 9.0), 3] = 0.0
    made = composite(scene, head, blur=blur).rgba
    assert np.array_equal(made[head.rgba[..., 3] > 0], head.rgba[head.rgba[..., 3] > 0])


def test_only_pixels_that_splats_reach_change():
    rng = np.random.default_rng(1)
    scene = Picture(rng.random((30, 40, 4)), rng.uniform(1, 3, (30, 40)))
    splats = Picture(rng.random((30, 40, 4)), np.full((30, 40), 2.0))
    splats.rgba[:, :25, 3] = 0
    splats.rgba[20:, :, 3] = 0
    made = composite(scene, splats)
    still = splats.rgba[..., 3] == 0
    assert np.array_equal(made.rgba[still], scene.rgba[still])
    assert not np.array_equal(made.rgba, scene.rgba)


def test_pictures_of_two_sizes_are_refused():
    with pytest.raises(SettingsError, match="8 x 8 px, the scene in 9 x 8 px"):
        composite(flat(RED, 1.0, (8, 9)), flat(BLUE, 1.0))
    with pytest.raises(SettingsError, match="cannot be composited"):
        Picture(np.zeros((4, 4, 3)), np.zeros((4, 4)))


def test_bytes_are_rounded_and_noise_stays_within_a_step():
    ramp = np.tile(np.linspace(0, 1, 256, dtype=np.float32)[None, :, None], (16, 1, 4))
    assert np.array_equal(to_bytes(ramp)[0, :, 0], np.arange(256))
    noisy = to_bytes(np.full((64, 64, 4), 100.25 / 255, np.float32), dither=1.0)
    assert set(np.unique(noisy[..., :3])) == {100, 101}
    assert abs(noisy[..., :3].mean() - 100.25) < 0.05
    assert np.all(noisy[..., 3] == 100)


def exr(planes: dict[str, np.ndarray], compression: int = 0, several: bool = False) -> bytes:
    """A picture as Blender writes it: one part, or one for each channel."""
    height, width = next(iter(planes.values())).shape

    def attribute(name: str, kind: str, value: bytes) -> bytes:
        return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value)) + value

    def header(names: list[str]) -> bytes:
        listed = b"".join(n.encode() + b"\0" + struct.pack("<4i", 2, 0, 1, 1) for n in names) + b"\0"
        box = struct.pack("<4i", 0, 0, width - 1, height - 1)
        return (
            attribute("channels", "chlist", listed)
            + attribute("compression", "compression", bytes([compression]))
            + attribute("dataWindow", "box2i", box)
            + attribute("displayWindow", "box2i", box)
            + b"\0"
        )

    groups = [[name] for name in sorted(planes)] if several else [sorted(planes)]
    data = b"\x76\x2f\x31\x01" + struct.pack("<i", 0x1002 if several else 2)
    data += b"".join(header(names) for names in groups) + (b"\0" if several else b"")
    at = len(data) + 8 * height * len(groups)
    table, body = b"", b""
    for number, names in enumerate(groups):
        for y in range(height):
            table += struct.pack("<Q", at + len(body))
            row = b"".join(planes[name][y].astype("<f4").tobytes() for name in names)
            body += (struct.pack("<i", number) if several else b"") + struct.pack("<2i", y, len(row)) + row
    return data + table + body


@pytest.mark.parametrize("several", [False, True])
def test_depth_is_read_out_of_a_multilayer_picture(tmp_path, several):
    rng = np.random.default_rng(0)
    planes = {f"Layer.{name}": rng.random((5, 7)).astype(np.float32) for name in ("Combined.R", "Depth.Z")}
    path = tmp_path / "a.exr"
    path.write_bytes(exr(planes, several=several))
    found = read_planes(path, ".Depth.Z")
    assert list(found) == ["Layer.Depth.Z"]
    assert np.array_equal(found["Layer.Depth.Z"], planes["Layer.Depth.Z"])
    assert set(read_planes(path, "")) == set(planes)


def test_damaged_pictures_are_refused_in_a_sentence(tmp_path):
    path, whole = tmp_path / "a.exr", exr({"Depth.Z": np.ones((5, 7), np.float32)})
    cut = [whole[:n] for n in range(0, len(whole), 7)]
    for data in [*cut, b"PNG", exr({"Depth.Z": np.ones((5, 7))}, compression=3)]:
        path.write_bytes(data)
        with pytest.raises(SettingsError, match=r"a\.exr is no uncompressed OpenEXR picture"):
            read_planes(path, ".Z")
    with pytest.raises(SettingsError, match="no uncompressed"):
        read_planes(tmp_path / "none.exr", ".Z")
