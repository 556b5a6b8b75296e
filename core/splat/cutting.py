# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads cut out of the pictures they were tracked in, one picture at a time and a few in work."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from ..camera import VIEW_TO_OPENCV
from ..capture import Capture, Member
from ..progress import Progress
from ..texture.footage import footage_pictures
from ..texture.ordered import in_order
from ..texture.posed import PosedHead
from ..track.confidence import sharpness_of
from .given_mattes import GivenMattes, person_of
from .head_region import SEEN_SIDE, Box, HeadRegion, Rise
from .matte import Segmenter, Square, laid_back, refined, steadied
from .view import View

Array = np.ndarray

LEAST_INSIDE = 0.8
"""Share of the head that must be in the picture."""
LEAST_PERSON = 0.5
"""How surely, of 0..1, a person must be where the head is."""
RADIUS = 0.03
"""Of the guided filter's window, in the height of the head."""
STEADY = 2
"""Samples apart up to which masks steady each other."""
_NEAREST = 0.05
"""Metres from the camera's plane: a head that reaches nearer is no head."""
_THREADS = 4


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture of a head that is to be cut out."""

    sample: int
    picture: Array
    """(H, W, 3) uint8."""
    px: Array
    """(n, 2) px of the picture: the rows of the head."""
    depth: Array
    """(n,) metres."""
    up: Array
    """(2,) unit: the head's up in the picture, y down."""
    focal: Array
    """(2,) px of the picture, across and down."""
    centre: Array
    """(2,) px."""
    to_camera: Array
    """(4, 4) head frame to OpenCV's camera."""
    box: Box
    square: Square
    mask: Array | None = None
    """(256, 256) float32: the person in the square, where it was segmented."""

    @property
    def per_metre(self) -> float:
        """Pixels per metre at the head's depth."""
        return float(self.focal.mean() / self.to_camera[2, 3])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self.picture.shape[0], self.picture.shape[1]

    @property
    def view(self) -> View:
        """Of the crop, for the head frame."""
        box, (x, y), (fx, fy) = self.box, self.centre, self.focal
        pinhole = (float(fx), float(fy), float(x) - box.x, float(y) - box.y)
        return View(box.width, box.height, *pinhole, self.to_camera)


@dataclass(frozen=True, eq=False)
class Cut:
    """A head cut out of its picture."""

    sample: int
    image: Array
    """(h, w, 3) uint8."""
    person: Array
    """(h, w) uint8: 255 where a person is, or the head must be."""
    keep: Array
    """(h, w) uint8: 255 on the head and beside it, 0 below the neck."""
    rise: Rise
    box: Box
    view: View
    sharpness: float


class HeadCutter:
    """One head in one take."""

    def __init__(self, head: PosedHead, footage: Capture, most: int) -> None:
        """`most`: px, longest side of the pictures."""
        self.head, self.footage, self.most = head, footage, most
        self.region = HeadRegion(head.atlas, head.rows, head.rest.vertices[head.rows])
        self.left_out: dict[str, int] = {}

    def cuts(
        self, samples: Array, mattes: GivenMattes | Segmenter, ordered: bool, progress: Progress
    ) -> Iterator[Cut]:
        """Those of the samples that are usable; why others are not is counted in `left_out`."""
        seen = self._seen(samples, progress)
        given = mattes.members if isinstance(mattes, GivenMattes) else {}
        if isinstance(mattes, Segmenter):
            seen = segmented(seen, mattes)
            seen = _steadied(seen) if ordered else seen
        for cut in cut_all(seen, self.region, given):
            if cut is None:
                self.count("no person found")
            else:
                yield cut

    def count(self, reason: str, times: int = 1) -> None:
        """Note samples that cannot be used."""
        if times:
            self.left_out[reason] = self.left_out.get(reason, 0) + times

    def _seen(self, samples: Array, progress: Progress) -> Iterator[Seen]:
        total, done = len(samples), 0
        for sample, picture, scale in footage_pictures(
            self.footage, self.head.performance, samples, self.most
        ):
            done += 1
            progress(done / total, "footage", f"Cutting out the head, picture {done} of {total}")
            seen = self._placed(sample, picture, scale)
            if seen is None:
                self.count("cut off by the border")
            else:
                yield seen
        self.count("not in the footage", total - done)

    def _placed(self, sample: int, picture: Array, scale: float) -> Seen | None:
        head, camera = self.head, self.head.camera
        points = head.vertices(sample)[head.rows].astype(np.float64)
        px, depth = camera.project(points, sample) / scale, -points[:, 2]
        to_camera = np.eye(4)
        to_camera[:3, :3] = VIEW_TO_OPENCV @ head.rotation(sample)
        to_camera[:3, 3] = VIEW_TO_OPENCV @ head.translation(sample)
        row = camera.row(sample)
        focal, centre = np.repeat(camera.focal[row], 2) / scale, camera.centre[row] / scale
        return placed(self.region, sample, picture, px, depth, focal, centre, to_camera)


def placed(
    region: HeadRegion,
    sample: int,
    picture: Array,
    px: Array,
    depth: Array,
    focal: Array,
    centre: Array,
    to_camera: Array,
) -> Seen | None:
    """What is to be cut out of a picture, fields as in `Seen`; None where the head is not in it."""
    size = picture.shape[0], picture.shape[1]
    if depth.min() <= _NEAREST or region.inside(px, size) < LEAST_INSIDE:
        return None
    up = to_camera[:2, 1] / max(float(np.linalg.norm(to_camera[:2, 1])), 1e-6)
    box, square = region.box(px, size), region.square(px, size)
    return Seen(sample, picture, px, depth, up, focal, centre, to_camera, box, square)


def cut_all(
    pictures: Iterable[Seen], region: HeadRegion, given: Mapping[int, Member]
) -> Iterator[Cut | None]:
    """As `cut_out` of each, in their order, in a few threads."""
    workers = min(_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        yield from in_order(
            pool, lambda seen: cut_out(seen, region, given.get(seen.sample)), pictures, workers
        )


def cut_out(seen: Seen, region: HeadRegion, given: Member | None) -> Cut | None:
    """The head of one picture by its matte, else by its mask; None where nobody is found in it."""
    box = seen.box
    image = np.ascontiguousarray(box.of(seen.picture))
    if given is not None:
        person = person_of(given, seen.size, box)
    else:
        person = drawn_out(seen, image)
    drawn = region.draw(seen.px, seen.depth, box, seen.up, seen.per_metre)
    own = drawn.trusted > 0.5
    if not own.any() or person[own].mean() < LEAST_PERSON:
        return None
    sharpness = sharpness_of(seen.picture, np.concatenate(region.outline(seen.px)))
    person = np.maximum(person, drawn.trusted)
    return Cut(seen.sample, image, eight(person), eight(drawn.keep), drawn.rise, box, seen.view, sharpness)


def drawn_out(seen: Seen, image: Array) -> Array:
    """(h, w) float32: the person in the crop (h, w, 3), the mask drawn to its edges."""
    box, square = seen.box, seen.square
    assert seen.mask is not None
    coarse = laid_back(seen.mask, square, (box.x, box.y), (box.height, box.width))
    return refined(coarse, image, max(2, round(RADIUS * square.side / SEEN_SIDE)))


def eight(values: Array) -> Array:
    """0..1 as uint8."""
    return (255 * np.clip(values, 0, 1) + 0.5).astype(np.uint8)


def segmented(pictures: Iterable[Seen], segmenter: Segmenter) -> Iterator[Seen]:
    """With their masks."""
    for seen in pictures:
        yield _with_mask(seen, segmenter.look(seen.picture, seen.square))


def _steadied(pictures: Iterable[Seen]) -> Iterator[Seen]:
    """Every mask the median of it and those before and after, which are at the head's place too."""
    kept: list[Seen] = []
    for seen in pictures:
        kept.append(seen)
        if len(kept) == 1:
            continue
        if len(kept) == 2:
            yield kept[0]
            continue
        yield _median(*kept)
        kept.pop(0)
    yield from kept[-1:]


def _median(before: Seen, seen: Seen, after: Seen) -> Seen:
    near = seen.sample - before.sample <= STEADY and after.sample - seen.sample <= STEADY
    if not near or before.mask is None or seen.mask is None or after.mask is None:
        return seen
    return _with_mask(seen, steadied(before.mask, seen.mask, after.mask))


def _with_mask(seen: Seen, mask: Array) -> Seen:
    return replace(seen, mask=mask)
