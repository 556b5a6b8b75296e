# SPDX-License-Identifier: GPL-3.0-or-later
"""What Gaussians are trained on: pictures of one performance, cut to the head, with mattes and cameras."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..avatar import Avatar
from ..errors import SettingsError, SplatError
from ..progress import Progress, silent, subrange
from ..texture.posed import PosedHead
from ..texturing import check_same_footage, footage_of, solved_in_footage
from .clothes import Clothes
from .cutting import Cut, HeadCutter, eight
from .given_mattes import GivenMattes
from .matte import Segmenter, ramp
from .surface import HeadSurface
from .view import View

Array = np.ndarray

MOST = 512
LIMIT = 600
"""Samples of a longer take are spread evenly: 0.8 GB of pictures of 512 x 512 px."""
FEWEST, FEWEST_PHOTOS = 8, 3
LEAST_CONFIDENCE = 0.05
BLURRED = 0.35
"""Of the usual sharpness of the samples around."""
MATTES = ("auto", "given", "segmented")
_AROUND = 15
_LOOKED_AT = 16
"""Pictures that tell the colours of clothes."""
_SAY = "python -m core splat train NAME.avatar --capture CAPTURE"


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
    refuse_settings(mattes, most, every, limit)
    name = performance or solved_in_footage(avatar)
    take = avatar.load_performance(name)
    head = PosedHead.of_avatar(avatar, take, folders)
    footage = footage_of(avatar, capture, _SAY)
    if capture is not None:
        check_same_footage(avatar, name, footage, subrange(progress, 0.0, 0.3))
        progress = subrange(progress, 0.3, 1.0)
    given = GivenMattes.of(footage, take) if mattes != "segmented" else None
    if mattes == "given" and given is None:
        raise SplatError(f"{footage.name} has no mattes.", "Put them into bg/cam0, or have them segmented.")
    ordered = take.rate > 2  # photos have a number, not a time
    cutter = HeadCutter(head, footage, most)
    tracked = np.flatnonzero(take.confidence >= LEAST_CONFIDENCE)
    cutter.count("lost by the tracker", take.frame_count - len(tracked))
    with contextlib.ExitStack() as stack:
        source = given if given is not None else stack.enter_context(Segmenter(models))
        cuts = list(cutter.cuts(spread(tracked, limit), source, ordered, progress))
    if ordered:
        cuts = sharp(cuts, cutter)
    refuse_few(len(cuts), FEWEST if ordered else FEWEST_PHOTOS, footage.name, cutter.left_out)
    gaze = take.gaze_or_from_weights()
    shots = [
        Shot(
            cut.sample,
            cut.image,
            *layers,
            (cut.box.x, cut.box.y),
            cut.view,
            np.array(take.weights[cut.sample], np.float32),
            gaze[cut.sample],
            number % every != 0,
        )
        for number, (cut, layers) in enumerate(zip(cuts, composed(cuts), strict=True))
    ]
    kind = "given" if given is not None else "segmented"
    return TrainingSet(tuple(shots), name, ordered, None, cutter.left_out, kind)


def refuse_settings(mattes: str, most: int, every: int, limit: int) -> None:
    """SettingsError for what cannot be."""
    if mattes not in MATTES:
        raise SettingsError(f"There are no mattes {mattes!r}.", f"Choose one of {', '.join(MATTES)}.")
    if every < 1 or most < 64 or limit < 1:
        raise SettingsError(
            "Of the footage nothing would be left to train on.",
            "Use each sample or fewer, and 64 px or more.",
        )


def refuse_few(usable: int, fewest: int, name: str, left_out: Mapping[str, int]) -> None:
    """SplatError for too few usable pictures."""
    if usable >= fewest:
        return
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
    why = f" ({reasons})" if reasons else ""
    raise SplatError(
        f"Only {usable} pictures of {name} can be used and {fewest} are needed{why}.",
        "Use a longer take: the whole head in the picture, in even light, moved slowly.",
    )


def composed(cuts: Sequence[Cut]) -> list[tuple[Array, Array]]:
    """Matte and weight, (h, w) uint8, of each of a take's cuts.

    Where the matte fades out down the neck the weight is 0 already, so nobody learns the fade. Of what is
    below, only background counts: nothing may grow there.
    """
    some = cuts[:: max(1, len(cuts) // _LOOKED_AT)]
    clothes = Clothes.of(some)
    return [_layers(cut, clothes) for cut in cuts]


def _layers(cut: Cut, clothes: Clothes) -> tuple[Array, Array]:
    import cv2

    keep = cut.keep.astype(np.float32) * np.float32(1 / 255)
    cloth = clothes.cover(cut)
    if cloth is not None:
        keep *= 1 - cloth
    matte = eight(ramp(keep, 0.0, 0.5) * (cut.person * np.float32(1 / 255)))
    around = cv2.dilate(cut.person, np.ones((5, 5), np.uint8))
    empty = np.clip((50 - around.astype(np.float32)) * np.float32(1 / 45), 0, 1)
    return matte, eight(np.maximum(ramp(keep, 0.5, 1.0), empty))


def spread(samples: Array, limit: int) -> Array:
    """At most `limit` of them, spread evenly."""
    if len(samples) <= limit:
        return samples
    return samples[np.linspace(0, len(samples) - 1, limit).round().astype(int)]


def sharp(cuts: Sequence[Cut], cutter: HeadCutter) -> list[Cut]:
    """Without those that are much less sharp than the samples around."""
    values = np.array([cut.sharpness for cut in cuts])
    usual = [np.median(values[max(0, n - _AROUND) : n + _AROUND + 1]) for n in range(len(values))]
    kept = [cut for cut, value, around in zip(cuts, values, usual, strict=True) if value >= BLURRED * around]
    cutter.count("blurred", len(cuts) - len(kept))
    return kept
