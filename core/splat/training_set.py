# SPDX-License-Identifier: GPL-3.0-or-later
"""What Gaussians are trained on: pictures of one performance, cut to the head, with mattes and cameras."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..avatar import Avatar
from ..camera import VIEW_TO_OPENCV
from ..capture import Capture
from ..capture.reference_folder import reference_folder
from ..errors import SettingsError, SplatError
from ..performance import Performance
from ..progress import Progress, silent, subrange
from ..texture.footage import footage_pictures
from ..texture.posed import PosedHead
from ..texturing import check_same_footage, footage_of, solved_in_footage
from ..track.confidence import sharpness_of
from ..track.pictures import read_photo
from .head_region import SEEN_SIDE, Box, HeadRegion
from .matte import Segmenter, Square, laid_back, ramp, refined
from .surface import HeadSurface
from .view import View

Array = np.ndarray
Matter = Callable[[int, Array, Box, Square], Array]
"""(sample, picture (H, W, 3), crop, square at the head) to (h, w) float32: how surely a person is there."""

MOST = 512
LIMIT = 1000
"""Samples of a longer take are spread evenly."""
FEWEST, FEWEST_PHOTOS = 8, 3
LEAST_CONFIDENCE = 0.05
LEAST_INSIDE = 0.8
"""Share of the head that must be in the picture."""
BLURRED = 0.35
"""Of the usual sharpness of the samples around."""
_AROUND = 15
LEAST_PERSON = 0.3
"""Share of the head's own pixels where a matte must find a person."""
RADIUS = 0.03
"""Of the guided filter's window, in the height of the head."""
MATTES = ("auto", "given", "segmented")
SAY = "python -m core splat train NAME.avatar --capture CAPTURE"


@dataclass(frozen=True, eq=False)
class Shot:
    """One picture of the head. World of its view: the head frame of its sample."""

    sample: int
    image: Array
    """(h, w, 3) uint8 sRGB."""
    matte8: Array
    """(h, w) uint8: 255 where head, hair and neck are."""
    weight8: Array
    """(h, w) uint8: 255 where the picture counts, 0 on the torso."""
    corner: tuple[int, int]
    """px: where its upper left is in the picture that was used."""
    view: View
    weights: Array
    """(52,) float32 in the order of `ARKIT_NAMES`."""
    gaze: Array
    """(2, 2) float64 rad: [left, right] x [yaw, pitch]."""
    held: bool = False
    """Kept from training."""
    vertices: Array | None = None
    """(n, 3) float32 metres: the surface in the head frame, where no performance poses it."""

    @property
    def matte(self) -> Array:
        """(h, w) float32 0..1."""
        return self.matte8.astype(np.float32) * np.float32(1 / 255)

    @property
    def weight(self) -> Array:
        """(h, w) float32 0..1."""
        return self.weight8.astype(np.float32) * np.float32(1 / 255)


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Shots of one person, in the order of their samples."""

    shots: tuple[Shot, ...]
    performance: str = ""
    ordered: bool = True
    """Whether the samples follow each other in time; else they are photos."""
    surface: HeadSurface | None = None
    """What `Shot.vertices` are of, where they are."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many samples were not usable, by reason."""
    mattes: str = "segmented"
    """Whether mattes were "given" or "segmented"."""

    @property
    def train(self) -> tuple[Shot, ...]:
        """The shots to train on."""
        return tuple(shot for shot in self.shots if not shot.held)

    @property
    def held(self) -> tuple[Shot, ...]:
        """The shots to test on."""
        return tuple(shot for shot in self.shots if shot.held)


def training_set(
    avatar: Avatar,
    performance: str = "",
    capture: Path | None = None,
    most: int = MOST,
    every: int = 1,
    mattes: str = "auto",
    *,
    limit: int = LIMIT,
    folders: Sequence[Path] = (),
    models: Sequence[Path] = (),
    progress: Progress = silent,
) -> TrainingSet:
    """The pictures that a performance of an avatar was tracked in, by default its first with a camera.

    capture: where the footage lies now, if it was moved; other footage is refused. most: px, longest side of
    the whole picture. every: only each so many-th usable sample is to train on, the others are `held`.
    mattes: one of `MATTES`. limit: samples at most. folders, models: where head models and segmentation are.

    AvatarError or CaptureError where there is no footage, SplatError for too little that is usable or where
    no matte is possible, SettingsError for a wrong setting.
    """
    if mattes not in MATTES:
        raise SettingsError(f"There are no mattes {mattes!r}.", f"Choose one of {', '.join(MATTES)}.")
    if every < 1 or most < 64 or limit < 1:
        raise SettingsError("Of the footage nothing would be left.", "Use every 1 or more and 64 px or more.")
    name = performance or solved_in_footage(avatar)
    take = avatar.load_performance(name)
    head = PosedHead.of_avatar(avatar, take, folders)
    footage = footage_of(avatar, capture, SAY)
    if capture is not None:
        check_same_footage(avatar, name, footage, subrange(progress, 0.0, 0.3))
        progress = subrange(progress, 0.3, 1.0)
    given = _given(footage, take) if mattes != "segmented" else None
    if mattes == "given" and given is None:
        raise SplatError(f"{footage.name} has no mattes.", "Put them into bg/cam0, or have them segmented.")
    made = _Maker(head, footage, most, limit, progress)
    if given is not None:
        return made.made(given, name, every, "given")
    with Segmenter(models) as segmenter:
        return made.made(_segmented(segmenter), name, every, "segmented")


class _Maker:
    """Cuts a head out of its footage, one picture at a time."""

    def __init__(self, head: PosedHead, footage: Capture, most: int, limit: int, progress: Progress) -> None:
        self.head, self.footage, self.most, self.progress = head, footage, most, progress
        self.region = HeadRegion(head.atlas, head.rows, head.rest.vertices[head.rows])
        self.left_out: dict[str, int] = {}
        trusted = head.performance.confidence >= LEAST_CONFIDENCE
        self._count("lost by the tracker", int(np.sum(~trusted)))
        known = np.flatnonzero(trusted)
        chosen = np.unique(np.linspace(0, len(known) - 1, min(limit, len(known))).round().astype(int))
        self.samples = known[chosen] if len(known) else known
        self.gaze = head.performance.gaze_or_from_weights()

    def made(self, matter: Matter, name: str, every: int, kind: str) -> TrainingSet:
        """The whole set; SplatError for too little."""
        shots, sharpness = [], []
        for shot, sharp in self._shots(matter):
            shots.append(shot)
            sharpness.append(sharp)
        ordered = self.head.performance.rate > 2  # photos have a number, not a time
        if ordered:
            blurred = _blurred(np.array(sharpness))
            self._count("blurred", int(blurred.sum()))
            shots = [shot for shot, bad in zip(shots, blurred, strict=True) if not bad]
        self._refuse(len(shots), FEWEST if ordered else FEWEST_PHOTOS)
        shots = [replace(shot, held=number % every != 0) for number, shot in enumerate(shots)]
        return TrainingSet(tuple(shots), name, ordered, None, self.left_out, kind)

    def _shots(self, matter: Matter) -> Iterator[tuple[Shot, float]]:
        total = max(1, len(self.samples))
        pictures = footage_pictures(self.footage, self.head.performance, self.samples, self.most)
        seen = 0
        for sample, picture, scale in pictures:
            seen += 1
            self.progress(seen / total, "footage", f"Cutting out the head, picture {seen} of {total}")
            found = self._shot(sample, picture, scale, matter)
            if isinstance(found, str):
                self._count(found, 1)
            else:
                yield found
        self._count("not in the footage", len(self.samples) - seen)

    def _shot(self, sample: int, picture: Array, scale: float, matter: Matter) -> tuple[Shot, float] | str:
        """The shot of one picture and how sharp the face is, or why there is none."""
        head, size = self.head, (picture.shape[0], picture.shape[1])
        camera = head.camera
        row = camera.row(sample)
        points = head.vertices(sample)[head.rows].astype(np.float64)
        px, depth = camera.project(points, sample) / scale, -points[:, 2]
        if depth.min() <= 0.05 or self.region.inside(px, size) < LEAST_INSIDE:
            return "cut off by the border"
        box = self.region.box(px, size)
        low, high = self.region.outline(px)
        side = SEEN_SIDE * float(high[1] - low[1])
        middle = 0.5 * (low + high)
        square = Square(float(middle[0]) - 0.5 * side, float(middle[1]) - 0.5 * side, side)
        focal = float(camera.focal[row]) / scale
        rotation, translation = head.rotation(sample), head.translation(sample)
        up = rotation[:2, 1] * [1, -1]
        up = up / max(float(np.linalg.norm(up)), 1e-6)
        region = self.region.draw(px, depth, box, up, focal / -translation[2])
        image = np.ascontiguousarray(box.of(picture))
        person = matter(sample, picture, box, square)
        own = region.trusted > 0.5
        if not own.any() or person[own].mean() < LEAST_PERSON:
            return "no person found"
        matte, weight = composed(person, region.keep, region.trusted)
        to_camera = np.eye(4)
        to_camera[:3, :3] = VIEW_TO_OPENCV @ rotation
        to_camera[:3, 3] = VIEW_TO_OPENCV @ translation
        cx, cy = camera.centre[row] / scale
        view = View(box.width, box.height, focal, focal, cx - box.x, cy - box.y, to_camera)
        weights = np.array(head.performance.weights[sample], np.float32)
        shot = Shot(
            sample, image, _eight(matte), _eight(weight), (box.x, box.y), view, weights, self.gaze[sample]
        )
        return shot, sharpness_of(picture, np.concatenate([low, high]))

    def _count(self, reason: str, times: int) -> None:
        if times:
            self.left_out[reason] = self.left_out.get(reason, 0) + times

    def _refuse(self, usable: int, fewest: int) -> None:
        if usable >= fewest:
            return
        why = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items())
        raise SplatError(
            f"Only {usable} pictures of {self.footage.name} can be used, {fewest} are needed"
            + (f" ({why})." if why else "."),
            "Film a longer take: the whole head in the picture, in even light, moved slowly.",
        )


def composed(person: Array, keep: Array, trusted: Array) -> tuple[Array, Array]:
    """Matte and weight (h, w): of the person, what is to be kept, what is surely head.

    Where the matte fades out down the neck the weight is 0 already, so nobody learns the fade. Nothing but
    background counts below the neck: nothing may grow there.
    """
    import cv2

    sure = np.maximum(person, trusted)
    matte = sure * ramp(keep, 0.0, 0.5)
    around = cv2.dilate(sure, np.ones((5, 5), np.uint8))
    weight = np.maximum(ramp(keep, 0.5, 1.0), 1 - ramp(around, 0.02, 0.2))
    return matte, weight


def _segmented(segmenter: Segmenter) -> Matter:
    def person(_sample: int, picture: Array, box: Box, square: Square) -> Array:
        coarse = laid_back(segmenter.look(picture, square), square, (box.x, box.y), (box.height, box.width))
        radius = max(2, round(RADIUS * square.side / SEEN_SIDE))
        fine = refined(coarse, box.of(picture), radius)
        return np.clip((fine - 0.05) * np.float32(1 / 0.9), 0, 1)

    return person


def _given(footage: Capture, take: Performance) -> Matter | None:
    """The mattes that lie with the footage, by sample; None where there are none for all."""
    folder = reference_folder(footage)
    if folder is None or not folder.mattes:
        return None
    if footage.movie is not None:
        members = next(iter(folder.mattes.values()))
        by_sample = dict(enumerate(members)) if len(members) == take.frame_count else {}
    else:
        pairs = {
            picture.name: matte
            for camera, pictures in folder.images.items()
            for picture, matte in zip(pictures, folder.mattes.get(camera, ()), strict=False)
        }
        photos = [footage.photos[int(t)] for t in take.time if 0 <= int(t) < len(footage.photos)]
        by_sample = {n: pairs[photo.name] for n, photo in enumerate(photos) if photo.name in pairs}
    if len(by_sample) < take.frame_count:
        return None

    def person(sample: int, picture: Array, box: Box, _square: Square) -> Array:
        import cv2

        grey = read_photo(by_sample[sample])[0][..., 0]
        size = picture.shape[1], picture.shape[0]
        if grey.shape != size[::-1]:
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        return box.of(grey).astype(np.float32) * np.float32(1 / 255)

    return person


def _blurred(sharpness: Array) -> Array:
    """(T,) bool: much less sharp than the samples around."""
    usual = [np.median(sharpness[max(0, n - _AROUND) : n + _AROUND + 1]) for n in range(len(sharpness))]
    return sharpness < BLURRED * np.array(usual)


def _eight(values: Array) -> Array:
    return np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
