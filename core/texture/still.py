# SPDX-License-Identifier: GPL-3.0-or-later
"""The still: one complete albedo of head, eyes, teeth and mouth out of the best frames of the footage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..capture import Capture
from ..errors import CaptureError
from ..head import HeadModel
from ..head.atlas import EYE_LEFT, EYE_RIGHT, MOUTH, NONE, SKIN, TEETH, HeadAtlas
from ..progress import Progress, silent, subrange
from ..track.source import Source
from . import tone
from .choose import Choice
from .colour import to_srgb
from .eye_chart import alike_eyes, eye_picture
from .fill import grained, with_gutters
from .layers import DENSEST, Layer, chosen_pictures, enlarged, lay_out, texel_density
from .lighting import Lighting
from .mouth_charts import FLESH, FLESH_SHADE, TEETH_SHADE, light_behind_lips, mouth_picture
from .mouth_charts import TEETH as WHITE_TEETH
from .portrait_layers import SHARPER, Portraits
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
    portraits: Portraits | None = None,
    progress: Progress = silent,
) -> Still:
    """The still of a person from the footage that the head's performance was solved in.

    size: side in px, from 256 on; 0 is `SIZE`. melanin: 0..1 as measured, which fixes the level. portraits:
    photos beside a movie, which lead where they are sharper. Needs av, cv2 and scipy. CaptureError where none
    of the footage can be read.
    """
    size = size or SIZE
    photos = len(head.camera.focal) > 1 or not Source.of(capture).ordered
    choice, pictures = chosen_pictures(head, capture, photos)
    order = _order(choice, pictures, capture.name)
    _check_shape(head, order[0], pictures[order[0]], capture.name)
    density = texel_density(head, atlas, order[0], pictures[order[0]], 1024)
    sharper = portraits is not None and portraits.density > SHARPER * density
    finest = portraits.density if portraits is not None and sharper else density
    unprojector = Unprojector(head.model, atlas, working_size(finest, size))
    layers = lay_out(head, unprojector, pictures, order, subrange(progress, 0.3, 0.7))
    lighting, gain = take_out_light(head, atlas, layers, photos)
    if portraits is not None and sharper:
        leading = portraits.layers(atlas, unprojector, layers, first=head.count)
        layers = [*leading, *layers]
        choice = replace(choice, main=(*(layer.index for layer in leading), *choice.main))
    making = _judged(head.model, atlas, layers, choice, melanin)
    root, seen = _assembled(making)
    progress(0.95, "texture", "Finishing the texture")
    figures = {"frames": len(order), "size": size, "detail": making.size, "density": finest}
    figures["photos"] = len(layers) - len(order)
    figures["seen"] = float(seen[making.chart == SKIN].mean())
    return Still(
        *_finished(making, root, seen, size),
        lighting,
        gain / making.scale,
        tuple(order),
        {name: float(value) for name, value in figures.items()},
        making.tones.skin**2 * making.scale,
    )


def _order(choice: Choice, pictures: Mapping[int, Array], name: str) -> list[int]:
    """The chosen samples that have a picture, the leading one first. CaptureError where there is none."""
    main = [i for i in choice.main if i in pictures]
    if not main:
        raise CaptureError(
            f"No picture of {name} shows the face of the performance.", "Track the footage again."
        )
    return [*main, *(i for i in choice.all if i in pictures and i not in main)]


def _check_shape(head: PosedHead, index: int, picture: Array, name: str) -> None:
    """CaptureError for other footage than the performance was solved in, as far as its proportions tell."""
    width, height = head.camera.size[head.camera.row(index)]
    if abs(picture.shape[1] * height / (picture.shape[0] * width) - 1.0) > 0.02:
        raise CaptureError(
            f"{name} is {picture.shape[1]} x {picture.shape[0]} px; the performance was solved in footage of "
            f"{width} x {height} px.",
            "Choose that footage, or import this one.",
        )


def _judged(
    model: HeadModel, atlas: HeadAtlas, layers: Sequence[Layer], choice: Choice, melanin: float | None
) -> Making:
    """What the layers are worth, and the person's tones."""
    places = places_of(model, atlas)
    hair = judge(layers, places).hair
    tones = Tones(blended_tone(layers, choice, places), hair)
    scale = tone.level_for(tones.skin, melanin)
    light = {
        chart: light_behind_lips(model, shade)
        for chart, shade in ((TEETH, TEETH_SHADE), (MOUTH, FLESH_SHADE))
    }
    return Making(atlas, layers, choice, places, tones, scale, layers[0].rgb.shape[0], light)


def _finished(making: Making, root: Array, seen: Array, size: int) -> tuple[Array, Array]:
    """Albedo and coverage at the size that was asked for, with gutters and grain."""
    import cv2

    table, work = TexelTable.of(making.atlas, making.size), making.size
    albedo = to_srgb(with_gutters(root * root * making.scale, table.inside))
    coverage = np.rint(255 * np.clip(seen, 0, 1)).astype(np.uint8)
    skin = making.chart == SKIN
    plain = enlarged(making.places.plain, work, (slice(0, work), slice(0, work))) > 0.5
    strength = tone.grain_strength(root, plain & skin & (seen > 0.95)) * min(1.0, size / SIZE)
    invented = (table.sample(making.atlas.blend[:, None])[..., 0] * skin * (1 - seen)).astype(np.float32)
    if work != size:
        albedo = cv2.resize(albedo, (size, size), interpolation=cv2.INTER_CUBIC)
        coverage = cv2.resize(coverage, (size, size), interpolation=cv2.INTER_LINEAR)
        invented = cv2.resize(invented, (size, size), interpolation=cv2.INTER_LINEAR)
    return grained(albedo, invented, strength), coverage


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
    root = np.tile(making.tones.skin, (making.size, making.size, 1))
    seen = np.zeros((making.size, making.size), np.float32)
    root[making.box], seen[making.box] = skin_picture(making)
    table = TexelTable.of(making.atlas, making.size)
    own = {chart: making.chart == chart for chart in (EYE_LEFT, EYE_RIGHT, TEETH, MOUTH)}
    boxes = {chart: box_of(inside, 1) for chart, inside in own.items() if inside.any()}
    eyes = [chart for chart in (EYE_LEFT, EYE_RIGHT) if chart in boxes]
    pictures = [eye_picture(making.layers, boxes[eye], own[eye][boxes[eye]], making.scale) for eye in eyes]
    found = dict(zip(eyes, alike_eyes(pictures), strict=True))
    for chart, plain in ((TEETH, WHITE_TEETH), (MOUTH, FLESH)):
        if chart in boxes:
            box = boxes[chart]
            light = table.sample(making.mouth_light[chart][:, None])[box][..., 0] * own[chart][box]
            found[chart] = mouth_picture(making.layers, box, plain, light, making.scale)
    for chart, (picture, known) in found.items():
        box = boxes[chart]
        _put(root[box], seen[box], own[chart][box], picture, known)
    return root, seen * (making.chart != NONE)


def _put(root: Array, seen: Array, inside: Array, picture: Array, known: Array) -> None:
    root[inside] = picture[inside]
    seen[inside] = known[inside]
