# SPDX-License-Identifier: GPL-3.0-or-later
"""The still: one complete albedo of head, eyes, teeth and mouth out of the best frames of the footage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..capture import Capture
from ..errors import CaptureError
from ..head.atlas import EYE_LEFT, EYE_RIGHT, MOUTH, SKIN, TEETH, HeadAtlas
from ..progress import Progress, silent, subrange
from . import small_charts, tone
from .blend import Bands, shares
from .choose import Choice
from .colour import to_srgb
from .fill import with_gutters
from .layers import COARSE, FULL_AT, Layer, chosen_pictures, enlarged, lay_out, texel_density
from .lighting import Lighting
from .posed import PosedHead
from .relight import take_out_light
from .texels import TexelTable
from .trust import Places, hair_colour, judge, masked_median, places_of, small
from .unproject import Unprojector

Array = np.ndarray

SIZE = 2048
Box = tuple[slice, slice]


@dataclass(frozen=True)
class Still:
    """What a person looks like, without light."""

    albedo: Array
    """(S, S, 3) uint8 sRGB, complete in all charts and around them."""
    coverage: Array
    """(S, S) uint8: 255 measured .. 0 invented."""
    lighting: list[Lighting]
    """One for a movie, one per sample for photos."""
    gain: Array
    """(T, 3) float32: linear footage is about gain * shade * linear albedo."""
    frames: tuple[int, ...]
    """Samples it is made of; the first leads."""
    figures: dict[str, float]
    """For the report."""


def make_still(
    head: PosedHead,
    capture: Capture,
    atlas: HeadAtlas,
    size: int = SIZE,
    *,
    melanin: float | None = None,
    progress: Progress = silent,
) -> Still:
    """The still of a person from the footage that the head's performance was solved in.

    size: side in px, a power of 2 from 256 on; 0 is `SIZE`. melanin: 0..1 as measured, which fixes the
    level. Needs av, cv2 and scipy. CaptureError where none of the footage can be read.
    """
    size = size or SIZE
    photos = len(head.camera.focal) > 1 or capture.movie is None
    choice, pictures = chosen_pictures(head, capture, photos)
    main = [i for i in choice.main if i in pictures]
    if not main:
        raise CaptureError(
            f"No picture of {capture.name} shows the face of the performance.", "Track the footage again."
        )
    density = texel_density(head, atlas, main[0], pictures[main[0]], 1024)
    work = size if density > FULL_AT else min(size, 1024)
    order = [*main, *(i for i in choice.all if i in pictures and i not in main)]
    unprojector = Unprojector(head.model, atlas, work)
    layers = lay_out(head, unprojector, pictures, order, subrange(progress, 0.3, 0.7))
    lighting, gain = take_out_light(head, atlas, layers, len(main), photos)
    places = places_of(head.model, atlas)
    skin = judge(layers, places)
    scale = tone.level_for(skin, melanin)
    root, seen = _assembled(head, atlas, layers, choice, places, skin, scale, work)
    progress(0.95, "texture", "Finishing the texture")
    albedo = to_srgb(with_gutters(root * root * np.float32(scale), TexelTable.of(atlas, work).inside))
    coverage = np.rint(255 * np.clip(seen, 0, 1)).astype(np.uint8)
    if work != size:
        albedo = cv2.resize(albedo, (size, size), interpolation=cv2.INTER_CUBIC)
        coverage = cv2.resize(coverage, (size, size), interpolation=cv2.INTER_LINEAR)
    share = float(seen[TexelTable.of(atlas, work).chart == SKIN].mean())
    figures = {"frames": float(len(order)), "size": float(size), "detail": float(work), "seen": share}
    return Still(albedo, coverage, lighting, gain / np.float32(scale), tuple(order), figures)


def _assembled(
    head: PosedHead,
    atlas: HeadAtlas,
    layers: Sequence[Layer],
    choice: Choice,
    places: Places,
    skin: Array,
    scale: float,
    size: int,
) -> tuple[Array, Array]:
    """(S, S, 3) float32 square root of albedo before `scale`, and (S, S) float32 what of it was seen."""
    table = TexelTable.of(atlas, size)
    root, seen = np.zeros((size, size, 3), np.float32), np.zeros((size, size), np.float32)
    root[:] = skin
    box = box_of(table.chart == SKIN, 2 ** levels_of(size))
    root[box], seen[box] = _skin(head, atlas, layers, choice, places, skin, box, size)
    for chart in (EYE_LEFT, EYE_RIGHT):
        part = box_of(table.chart == chart, 1)
        inside = table.chart[part] == chart
        picture, known = small_charts.eye_picture(layers, part, inside)
        _put(root, seen, part, inside, picture, known)
    for chart, plain in ((TEETH, small_charts.TEETH), (MOUTH, small_charts.FLESH)):
        part = box_of(table.chart == chart, 1)
        picture, known = small_charts.mouth_picture(layers, part, plain, scale)
        _put(root, seen, part, table.chart[part] == chart, picture, known)
    return root, seen * table.inside


def _put(root: Array, seen: Array, box: Box, inside: Array, picture: Array, known: Array) -> None:
    root[box][inside] = picture[inside]
    seen[box][inside] = known[inside]


def levels_of(size: int) -> int:
    """How many times a picture of the head is halved: down to some 32 texels."""
    return max(2, int(np.log2(size)) - 5)


def box_of(where: Array, step: int) -> Box:
    """The rows and columns around what is True, at multiples of `step`; for a step over 1 all columns."""
    rows = np.flatnonzero(where.any(axis=1))
    columns = np.flatnonzero(where.any(axis=0)) if step == 1 else np.array([0, where.shape[1] - 1])
    if not len(rows):
        return slice(0, step), slice(0, where.shape[1])
    low, high = rows[0] // step * step, -(-(rows[-1] + 1) // step) * step
    return slice(int(low), int(high)), slice(int(columns[0]), int(columns[-1]) + 1)


def _skin(
    head: PosedHead,
    atlas: HeadAtlas,
    layers: Sequence[Layer],
    choice: Choice,
    places: Places,
    skin: Array,
    box: Box,
    size: int,
) -> tuple[Array, Array]:
    """The skin chart, filled, and what of it was seen."""
    sharp, smooth = _worths(layers, choice, places)
    blend = Bands((box[0].stop - box[0].start, size), levels_of(size))
    best = np.zeros((box[0].stop - box[0].start, size), np.float32)
    chart = TexelTable.of(atlas, size).chart[box] == SKIN
    for layer, fine, coarse in zip(layers, sharp, smooth, strict=True):
        worth = layer.worth(box) * chart
        mask = np.minimum(worth * 5, 1)
        blend.add(layer.root(box), mask, enlarged(fine, size, box) * mask, enlarged(coarse, size, box) * mask)
        np.maximum(best, worth, out=best)
    seen = _soft(best, 0.03, 0.3)
    expected = tone.prior(places.scalp, places.skin, skin, _hair(layers, places, skin))
    expected, calm = (enlarged(part, size, box) for part in (expected, places.calm))
    root, _known = tone.made_whole(blend.result(), seen, expected, calm, levels_of(size))
    edge = TexelTable.of(atlas, size).sample(atlas.blend[:, None])[box][..., 0]
    return tone.with_plain_edge(root, edge, skin), seen * edge


def _hair(layers: Sequence[Layer], places: Places, skin: Array) -> Array:
    found = [small(layer) for layer in layers]
    roots = np.stack([root * layer.factor for (root, _), layer in zip(found, layers, strict=True)])
    weights = np.stack([weight * layer.trust for (_, weight), layer in zip(found, layers, strict=True)])
    return hair_colour(masked_median(roots, weights), weights.max(axis=0) * places.scalp, skin)


def _worths(layers: Sequence[Layer], choice: Choice, places: Places) -> tuple[Array, Array]:
    """Shares of the layers ((N, COARSE, COARSE)) in fine bands, where one takes nearly all and the leading
    one is preferred, and in coarse ones.
    """
    whole = (slice(0, COARSE), slice(0, COARSE))
    worth = []
    for layer in layers:
        weight = cv2.resize(layer.weight, (COARSE, COARSE), interpolation=cv2.INTER_AREA)
        value = weight.astype(np.float32) / 255 * layer.trust[whole]
        worth.append(value * (1.0 if layer.index in choice.main else 0.02))
    smooth = shares(np.stack(worth), 1.5)
    preferred = [cv2.GaussianBlur(value, (0, 0), 2.0) for value in worth]
    preferred[0] = preferred[0] * (1.6 + 3.0 * places.face)
    return shares(np.stack(preferred), 8.0), smooth


def _soft(value: Array, low: float, high: float) -> Array:
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
