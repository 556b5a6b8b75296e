# SPDX-License-Identifier: GPL-3.0-or-later
"""The still: one complete albedo of head, eyes, teeth and mouth out of the best frames of the footage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..capture import Capture
from ..errors import CaptureError
from ..head.atlas import EYE_LEFT, EYE_RIGHT, MOUTH, SKIN, TEETH, HeadAtlas
from ..progress import Progress, silent, subrange
from . import tone
from .colour import to_srgb
from .eye_chart import alike_eyes, eye_picture
from .fill import grained, with_gutters
from .layers import DENSEST, chosen_pictures, enlarged, lay_out, texel_density
from .lighting import Lighting
from .mouth_charts import FLESH, mouth_picture
from .mouth_charts import TEETH as WHITE_TEETH
from .posed import PosedHead
from .relight import take_out_light
from .skin_chart import Making, blended_tone, box_of, skin_picture
from .texels import TexelTable
from .trust import Tones, judge, places_of
from .unproject import Unprojector

Array = np.ndarray

SIZE = 2048


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
    skin: Array
    """(3,) float32 linear albedo of the plain skin that the lower edge ends in, for the body to meet."""


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

    size: side in px, from 256 on; 0 is `SIZE`. melanin: 0..1 as measured, which fixes the
    level. Needs av, cv2 and scipy. CaptureError where none of the footage can be read.
    """
    import cv2

    size = size or SIZE
    photos = len(head.camera.focal) > 1 or capture.movie is None
    choice, pictures = chosen_pictures(head, capture, photos)
    main = [i for i in choice.main if i in pictures]
    if not main:
        raise CaptureError(
            f"No picture of {capture.name} shows the face of the performance.", "Track the footage again."
        )
    density = texel_density(head, atlas, main[0], pictures[main[0]], 1024)
    work = working_size(density, size)
    order = [*main, *(i for i in choice.all if i in pictures and i not in main)]
    unprojector = Unprojector(head.model, atlas, work)
    layers = lay_out(head, unprojector, pictures, order, subrange(progress, 0.3, 0.7))
    lighting, gain = take_out_light(head, atlas, layers, len(main), photos)
    places = places_of(head.model, atlas)
    tones = judge(layers, places)
    tones = Tones(blended_tone(layers, choice, places), tones.hair)
    scale = tone.level_for(tones.skin, melanin)
    making = Making(atlas, layers, choice, places, tones, scale, work)
    root, seen = _assembled(making)
    progress(0.95, "texture", "Finishing the texture")
    albedo = to_srgb(with_gutters(root * root * scale, TexelTable.of(atlas, work).inside))
    coverage = np.rint(255 * np.clip(seen, 0, 1)).astype(np.uint8)
    skin = TexelTable.of(atlas, work).chart == SKIN
    whole = slice(0, work), slice(0, work)
    plain = (enlarged(places.plain, work, whole) > 0.5) & (seen > 0.95) & skin
    strength = tone.grain_strength(root, plain)
    own = TexelTable.of(atlas, work).sample(atlas.blend[:, None])[..., 0]
    invented = (own * skin * (1 - seen)).astype(np.float32)
    if work != size:
        albedo = cv2.resize(albedo, (size, size), interpolation=cv2.INTER_CUBIC)
        coverage = cv2.resize(coverage, (size, size), interpolation=cv2.INTER_LINEAR)
        invented = cv2.resize(invented, (size, size), interpolation=cv2.INTER_LINEAR)
    albedo = grained(albedo, invented, strength * min(1.0, size / SIZE))
    share = float(seen[skin].mean())
    figures = {"frames": float(len(order)), "size": float(size), "detail": float(work), "seen": share}
    figures["density"] = density
    return Still(albedo, coverage, lighting, gain / scale, tuple(order), figures, tones.skin**2 * scale)


def working_size(density: float, size: int) -> int:
    """Side of the atlas in which frames are blended: the smallest power of 2 that holds all that footage of
    `density` px per texel of 1024 shows, but no more than is asked for.
    """
    work = 512
    while work < SIZE and density * 1024 / work > DENSEST:
        work *= 2
    return min(work, 2 ** int(np.ceil(np.log2(size))))


def _assembled(making: Making) -> tuple[Array, Array]:
    """(S, S, 3) float32 square root of albedo before its level is set, and (S, S) float32 what was seen."""
    table = TexelTable.of(making.atlas, making.size)
    root = np.tile(making.tones.skin, (making.size, making.size, 1))
    seen = np.zeros((making.size, making.size), np.float32)
    box = making.box
    root[box], seen[box] = skin_picture(making)
    own = {chart: table.chart == chart for chart in (EYE_LEFT, EYE_RIGHT, TEETH, MOUTH)}
    boxes = {chart: box_of(inside, 1) for chart, inside in own.items() if inside.any()}
    eyes = [chart for chart in (EYE_LEFT, EYE_RIGHT) if chart in boxes]
    pictures = [eye_picture(making.layers, boxes[eye], own[eye][boxes[eye]], making.scale) for eye in eyes]
    found = dict(zip(eyes, alike_eyes(pictures), strict=True))
    for chart, plain in ((TEETH, WHITE_TEETH), (MOUTH, FLESH)):
        if chart in boxes:
            found[chart] = mouth_picture(making.layers, boxes[chart], plain, making.scale)
    for chart, (picture, known) in found.items():
        box = boxes[chart]
        _put(root[box], seen[box], own[chart][box], picture, known)
    return root, seen * table.inside


def _put(root: Array, seen: Array, inside: Array, picture: Array, known: Array) -> None:
    root[inside] = picture[inside]
    seen[inside] = known[inside]
