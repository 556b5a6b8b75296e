# SPDX-License-Identifier: GPL-3.0-or-later
"""The chosen frames laid out in the atlas, and how much each place of each is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..capture import Capture
from ..head.atlas import SKIN, HeadAtlas
from ..progress import Progress, silent
from .choose import MAIN, Choice, final_choice, sharpness, short_list
from .colour import to_linear
from .footage import footage_pictures
from .plain_skin import skin_regions
from .posed import PosedHead
from .unproject import Unprojector

Array = np.ndarray

COARSE = 256
"""Side of the small atlas in which light and trust are computed."""
DENSEST = 0.8
"""px per texel up to which an atlas holds all that is in a picture."""
_ROOT = np.sqrt(to_linear(np.arange(256, dtype=np.uint8))).astype(np.float32)


@dataclass
class Layer:
    """One frame in the atlas."""

    index: int
    rgb: Array
    """(S, S, 3) uint8 sRGB, as footage."""
    weight: Array
    """(S, S) uint8."""
    density: float
    """px of the picture per texel."""
    factor: Array
    """(COARSE, COARSE, 3) float32: what makes the square root of albedo out of that of footage."""
    trust: Array
    """(COARSE, COARSE) float32 0..1: how far other frames, and what is known of skin, agree."""
    broad: Array | None = None
    """(COARSE, COARSE, 3) float32 square root of albedo, once it was judged."""

    def root(self, box: tuple[slice, slice]) -> Array:
        """(h, w, 3) float32 square root of linear albedo in a box of the atlas."""
        return _ROOT[self.rgb[box]] * enlarged(self.factor, self.rgb.shape[0], box)

    def worth(self, box: tuple[slice, slice]) -> Array:
        """(h, w) float32 0..1."""
        return self.weight[box] * np.float32(1 / 255) * enlarged(self.trust, self.rgb.shape[0], box)


def enlarged(coarse: Array, size: int, box: tuple[slice, slice]) -> Array:
    """A box of a small atlas ((c, c) or (c, c, C)), as one of side `size` has it."""
    import cv2

    scale = size / coarse.shape[0]
    rows, columns = box
    # One more texel on each side, so that interpolation at the box's border is that of the whole.
    low = [max(int(part.start / scale) - 1, 0) for part in box]
    high = [min(int(np.ceil(part.stop / scale)) + 1, coarse.shape[0]) for part in box]
    part = coarse[low[0] : high[0], low[1] : high[1]]
    width, height = (round((high[k] - low[k]) * scale) for k in (1, 0))
    large = cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=cv2.INTER_LINEAR)
    y, x = rows.start - round(low[0] * scale), columns.start - round(low[1] * scale)
    return large[y : y + rows.stop - rows.start, x : x + columns.stop - columns.start]


def chosen_pictures(
    head: PosedHead, capture: Capture, photos: bool, count: int = MAIN
) -> tuple[Choice, dict[int, Array]]:
    """Which samples the still is made of, and their pictures."""
    listed = short_list(head, photos, count)
    pictures = {i: picture for i, picture, _ in footage_pictures(capture, head.performance, listed.all)}
    if photos:
        found = tuple(i for i in listed.main if i in pictures)
        return Choice(found), pictures
    rows = face_corner_rows(head)
    sharp = {
        i: sharpness(pictures[i], face_box(head, rows, i, pictures[i])) for i in listed.main if i in pictures
    }
    choice = final_choice(listed, head, sharp, count)
    return choice, {i: pictures[i] for i in choice.all if i in pictures}


def face_corner_rows(head: PosedHead) -> Array:
    """(n,) rows of the model that are bare skin of the face."""
    return np.flatnonzero(skin_regions(head.model).plain > 0.5)


def face_box(head: PosedHead, rows: Array, index: int, picture: Array) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in px of the picture, of the face at a sample."""
    camera = head.camera
    px = camera.project(head.vertices(index)[rows], index)
    px *= picture.shape[1] / float(camera.size[camera.row(index), 0])
    low, high = px.min(axis=0), px.max(axis=0)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def texel_density(head: PosedHead, atlas: HeadAtlas, index: int, picture: Array, size: int) -> float:
    """How many px of the picture a texel of an atlas of side `size` spans, in the median over the face."""
    plain = skin_regions(head.model).plain > 0.5
    own = plain[atlas.triangles].all(axis=1) & (atlas.triangle_chart == SKIN)
    camera = head.camera
    px = camera.project(head.vertices(index)[atlas.triangles[own]], index)
    px = px * (picture.shape[1] / float(camera.size[camera.row(index), 0]))
    seen, laid = (np.abs(_doubled(part)) for part in (px, atlas.uv[own].astype(np.float64) * size))
    return float(np.median(np.sqrt(seen / np.maximum(laid, 1e-9)))) if len(seen) else 0.0


def _doubled(corners: Array) -> Array:
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def lay_out(
    head: PosedHead,
    unprojector: Unprojector,
    pictures: dict[int, Array],
    order: Sequence[int],
    progress: Progress = silent,
) -> list[Layer]:
    """One layer per picture, in this order, not lit or judged yet."""
    layers = []
    for number, i in enumerate(order):
        found = unprojector.unproject(pictures[i], head.camera, head.camera.row(i), head.vertices(i))
        even, all_ = np.ones((COARSE, COARSE, 3), np.float32), np.ones((COARSE, COARSE), np.float32)
        layers.append(Layer(i, found.rgb, found.weight, found.density, even, all_))
        progress((number + 1) / len(order), "texture", f"Frame {number + 1} of {len(order)} on the head")
    return layers


def small(layer: Layer) -> tuple[Array, Array]:
    """(COARSE, COARSE, 3) float32 mean square root of linear footage of what is seen, and (COARSE, COARSE)
    float32 its weight.
    """
    import cv2

    size = (COARSE, COARSE)
    weight = cv2.resize(layer.weight, size, interpolation=cv2.INTER_AREA)
    seen = cv2.resize((layer.weight > 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    shown = np.where((layer.weight > 0)[..., None], layer.rgb, 0)
    rgb = cv2.resize(shown, size, interpolation=cv2.INTER_AREA) / np.maximum(seen, 1e-3)[..., None]
    root = _ROOT[np.clip(np.rint(rgb), 0, 255).astype(np.uint8)]
    return root, weight.astype(np.float32) / 255.0


def mean_of(layers: Sequence[Layer], box: tuple[slice, slice], erode: int = 0) -> tuple[Array, Array]:
    """(h, w, 3) float32 square root of footage over the frames, and (h, w) float32 0..1 how well seen."""
    import cv2

    total = np.zeros((box[0].stop - box[0].start, box[1].stop - box[1].start), np.float32)
    sums = np.zeros((*total.shape, 3), np.float32)
    for layer in layers:
        part = shown(layer.weight[box])
        if part is None:
            continue
        own = within(box, part)
        weight = layer.worth(own)
        if erode:
            weight = cv2.erode(weight, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * erode + 1,) * 2))
            weight = cv2.GaussianBlur(weight, (0, 0), erode / 2) * (weight > 0)
        weight = weight**2
        sums[part] += layer.root(own) * weight[..., None]
        total[part] += weight
    return sums / np.maximum(total, 1e-4)[..., None], np.minimum(total * 4, 1.0)


def shown(weight: Array, margin: int = 0, step: int = 1) -> tuple[slice, slice] | None:
    """The rows and columns where a weight (h, w) is not 0, with a margin, at multiples of `step`."""
    found = []
    for axis in (1, 0):
        places = np.flatnonzero(weight.any(axis=axis))
        if not len(places):
            return None
        low = max(int(places[0]) - margin, 0) // step * step
        high = -(-(int(places[-1]) + 1 + margin) // step) * step
        found.append(slice(low, min(high, weight.shape[1 - axis])))
    return found[0], found[1]


def within(box: tuple[slice, slice], part: tuple[slice, slice]) -> tuple[slice, slice]:
    """A part of a box, counted as the box is."""
    rows, columns = (
        slice(whole.start + own.start, whole.start + own.stop) for whole, own in zip(box, part, strict=True)
    )
    return rows, columns
