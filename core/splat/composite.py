# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a picture of Gaussians into a picture of a scene, by depth, pixel by pixel.

Colours are what a display shows (sRGB values 0..1): Gaussians hold the colours of footage, which are display
referred, and their opacities were fitted to blend in that space. A scene is therefore brought there first, by
its view transform, and the head looks as it was filmed, whatever transform the scene has.

Both pictures are antialiased, their depths are not: a scene has one surface in a pixel. Where that jumps, at
the edge of a hand before the face, the share of the pixel that the hand takes, and its colour, are told from
the pixels around.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import SettingsError

Array = np.ndarray

FAR = 1e10
"""metres: the depth of nothing, as renderers write it."""
SOFT = 0.004
"""metres of depth over which one surface takes over from another."""
TOUCHING = 0.002
"""metres: what is no nearer than this lies under the Gaussians. They are on the skin, and where the double's
own skin goes on under them it must not show."""
JUMP = 0.02
"""Surfaces that differ by more than this share of their distance are not one surface."""
_OPAQUE = 0.999
_CONTRAST = 0.01
"""Squared difference of two colours that a mixture of them is told by."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture with depth."""

    rgba: Array
    """(H, W, 4) float32 display values 0..1, alpha straight."""
    depth: Array
    """(H, W) float32 metres along the camera's axis; FAR or 0 where nothing is."""

    def __post_init__(self) -> None:
        rgba, depth = (np.ascontiguousarray(a, np.float32) for a in (self.rgba, self.depth))
        if rgba.ndim != 3 or rgba.shape[2] != 4 or depth.shape != rgba.shape[:2]:
            raise SettingsError(
                f"A picture of {rgba.shape} with a depth of {depth.shape} cannot be composited.",
                "Both must be of one size, the picture with alpha.",
            )
        known = np.isfinite(depth) & (depth > 0)
        object.__setattr__(self, "rgba", rgba)
        object.__setattr__(self, "depth", np.where(known, depth, np.float32(FAR)))


def over(front: Array, back: Array) -> Array:
    """Premultiplied colours (..., 4) laid over others."""
    return front + back * (1.0 - front[..., 3:])


def composite(scene: Picture, splats: Picture, soft: float = SOFT, blur: int = 1) -> Picture:
    """Gaussians in a scene; only pixels that they reach are touched.

    `blur`: px to each side that the scene's edges are wide: 1 as antialiased, more where they are out of
    focus or move. The depth is that of what covers at least half of a pixel, so that another head can follow.
    """
    if scene.depth.shape != splats.depth.shape:
        raise SettingsError(
            f"The Gaussians are drawn in {_size(splats)}, the scene in {_size(scene)}.",
            "Render that frame again.",
        )
    rgba, depth = scene.rgba.copy(), scene.depth.copy()
    box = _box(splats.rgba[..., 3] > 0)
    if box is not None:
        # A margin lets the pixels around a border say the same as in the whole picture.
        part = _grown(box, _margin(blur))
        cut = [Picture(p.rgba[part], p.depth[part]) for p in (scene, splats)]
        mixed, near = _mixed(cut[0], cut[1], soft, blur)
        reached = cut[1].rgba[..., 3] > 0
        rgba[part][reached], depth[part][reached] = mixed[reached], near[reached]
    return Picture(rgba, depth)


def _mixed(scene: Picture, splats: Picture, soft: float, blur: int) -> tuple[Array, Array]:
    """Colours and depth of every pixel."""
    before, edge = _in_front(scene, splats, soft, blur)
    share, occluder = before, scene.rgba.copy()
    for _ in range(blur - 1):
        edge = _most(edge)
    box = _box(edge)
    if box is not None:
        part = _grown(box, 2 * blur + 2)
        share[part], occluder[part] = _at_edges(scene.rgba[part], before[part], edge[part], blur)
    share = share[..., None]
    drawn, behind = premultiplied(splats.rgba), premultiplied(scene.rgba)
    mixed = share * over(premultiplied(occluder), drawn) + (1.0 - share) * over(drawn, behind)
    covers = (splats.rgba[..., 3] >= 0.5) & (share[..., 0] < 0.5)
    return straight(mixed), np.where(covers, splats.depth, scene.depth)


def _in_front(scene: Picture, splats: Picture, soft: float, blur: int) -> tuple[Array, Array]:
    """(H, W) how far the scene is before the Gaussians, 0 to 1, and bool: where its depth jumps from before
    them to behind.
    """
    low, high = _least(scene.depth), _most(scene.depth)
    # Beside the Gaussians the depth of the nearest goes on, as far as one pixel tells about another.
    reached = splats.rgba[..., 3] > 0
    depth = np.where(reached, splats.depth, np.float32(FAR))
    for _ in range(_margin(blur)):
        depth = np.where(reached, depth, _least(depth))
    before = (depth - scene.depth - np.float32(TOUCHING)) / max(soft, 1e-9)
    before = np.clip(before, 0.0, 1.0).astype(np.float32)
    return before, (high - low > JUMP * low) & (_most(before) > 0.0) & (_least(before) < 1.0)


def _at_edges(rgba: Array, before: Array, edge: Array, blur: int) -> tuple[Array, Array]:
    """(H, W) share of the scene that is before the Gaussians, and the scene (H, W, 4) with the colour that
    this share has by itself, where the depth jumps.

    There a pixel is a mixture of what is in front and what is behind, whose colours the pixels around have:
    how much of each is in it tells the share. Where the two look alike it is told from the depths around.
    Over nothing the scene's own alpha is that share already: there all of it is before.
    """
    solid = rgba[..., 3] >= _OPAQUE
    front, by_front = _spread(rgba, (before >= 1.0) & ~edge & solid, blur)
    back, by_back = _spread(rgba, (before <= 0.0) & ~edge & solid, blur)
    known = edge & solid & by_front
    clean = rgba.copy()
    clean[known, :3] = front[known]
    across = front - back
    contrast = np.sum(across**2, axis=2)
    told = np.sum((rgba[..., :3] - back) * across, axis=2) / np.maximum(contrast, 1e-6)
    trust = np.clip(contrast / _CONTRAST, 0.0, 1.0) * (known & by_back)
    share = trust * np.clip(told, 0.0, 1.0) + (1.0 - trust) * _blurred(before)
    lone = _least(rgba[..., 3]) < _OPAQUE
    share = np.where(lone, _most(before), share)
    return np.where(edge, share, before).astype(np.float32), clean


def _spread(rgba: Array, pure: Array, blur: int) -> tuple[Array, Array]:
    """(H, W, 3) the mean colour of the `pure` pixels within 2 `blur` + 1, and bool: where there are any."""
    weight = pure[..., None].astype(np.float32)
    found = np.concatenate([rgba[..., :3] * weight, weight], axis=2)
    for _ in range(2 * blur + 1):
        found = _blurred(found)
    there = found[..., 3] > 1e-5
    return found[..., :3] / np.maximum(found[..., 3:], 1e-5), there


def premultiplied(rgba: Array) -> Array:
    """Straight colours (..., 4) times their alpha."""
    return np.concatenate([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], axis=-1)


def straight(rgba: Array) -> Array:
    """The inverse; black where nothing is."""
    alpha = rgba[..., 3:]
    colour = np.where(alpha > 1e-6, rgba[..., :3] / np.maximum(alpha, 1e-6), 0.0)
    return np.concatenate([colour, alpha], axis=-1).astype(np.float32)


def to_bytes(rgba: Array, dither: float = 0.0) -> Array:
    """(H, W, C) uint8 of values 0..1. `dither`: noise of so many steps, the same in every frame, against
    bands in soft gradients.
    """
    values = 255.0 * np.clip(rgba, 0.0, 1.0)
    if dither > 0.0:
        noise = np.random.default_rng(0).random((*rgba.shape[:2], 1), np.float32) - np.float32(0.5)
        values[..., :3] += min(dither, 1.0) * noise
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _box(mask: Array) -> tuple[slice, slice] | None:
    """Rows and columns that hold every True pixel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _margin(blur: int) -> int:
    """How many px there are from a pixel to the farthest that has a say in it."""
    return 3 * blur + 3


def _grown(box: tuple[slice, slice], margin: int) -> tuple[slice, slice]:
    """The box with so many pixels around it."""
    rows, columns = (slice(max(0, s.start - margin), s.stop + margin) for s in box)
    return rows, columns


def _around(values: Array) -> list[list[Array]]:
    """The picture moved by -1, 0 and 1 in y and in x, the border repeated."""
    height, width = values.shape[:2]
    pad = np.pad(values, [(1, 1), (1, 1), *[(0, 0)] * (values.ndim - 2)], mode="edge")
    return [[pad[y : y + height, x : x + width] for x in range(3)] for y in range(3)]


def _least(values: Array) -> Array:
    """The least of 3 x 3 pixels."""
    return np.minimum.reduce([np.minimum.reduce(row) for row in _around(values)])


def _most(values: Array) -> Array:
    """The most of 3 x 3 pixels."""
    return np.maximum.reduce([np.maximum.reduce(row) for row in _around(values)])


def _blurred(values: Array) -> Array:
    """The binomial mean of 3 x 3 pixels."""
    rows = [0.25 * left + 0.5 * middle + 0.25 * right for left, middle, right in _around(values)]
    return (0.25 * rows[0] + 0.5 * rows[1] + 0.25 * rows[2]).astype(np.float32)


def _size(picture: Picture) -> str:
    return f"{picture.depth.shape[1]} x {picture.depth.shape[0]} px"
