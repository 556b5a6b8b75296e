# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture made into a double whose texture knows only some of its pictures: the others test it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np

from core.capture import Capture, open_capture
from core.fit.likeness import Likeness, fit_likeness
from core.head import HeadModel, load_model
from core.texture.face_track import make_face_track
from core.texture.lighting import Lighting
from core.texture.posed import PosedHead
from core.texture.predicted import PredictedTexture
from core.texture.still import Still, make_still
from core.track import Track, track_capture
from core.track.lens import focal_px
from tests.bench.truth import CAPTURE

Array = np.ndarray

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
MODELS = SHARED / "models"
CAPTURES = {
    "expressions": SHARED / "data" / "videos" / "expressions.mp4",
    "talking": SHARED / "data" / "videos" / "talking.mp4",
    "person_a": SHARED / "data" / "photos" / "person_a" / "images" / "cam0",
    "sample": CAPTURE,
}


@dataclass(frozen=True)
class Subject:
    """One capture, fitted with all of its pictures and textured with some of them."""

    name: str
    capture: Capture
    head: PosedHead
    """In every sample."""
    kept: Array
    """(n,) rising: the samples whose pictures the texture may use."""
    taught: PosedHead
    """In these."""
    still: Still
    movie: Path | None
    """The face track of `taught`, None for photos."""
    scalp: Array | None
    """(S, S, 4) uint8: alpha is where the still stays on top of the track."""
    predicted: PredictedTexture | None
    figures: dict[str, float]
    """What still and track said of themselves."""

    @property
    def photos(self) -> bool:
        """Whether its pictures were taken one by one, each in its own light."""
        return self.movie is None

    def is_held(self, index: int) -> bool:
        """Whether the texture never saw this sample's picture."""
        return index not in self.kept

    def around(self, index: int) -> tuple[int, int]:
        """Places in `kept` of the sample, or of the two around it."""
        after = min(int(np.searchsorted(self.kept, index)), len(self.kept) - 1)
        return (after, after) if self.kept[after] <= index else (max(after - 1, 0), after)

    def gain(self, index: int) -> Array:
        """(3,) of the still's own samples; between two of them their mean."""
        return np.mean([self.still.gain[place] for place in self.around(index)], axis=0)

    def lighting(self, index: int) -> Lighting:
        """The take's light; of a photo that the texture saw, its own."""
        lights = self.still.lighting
        return lights[0] if len(lights) == 1 else lights[self.around(index)[0]]

    def track_pictures(self) -> Iterator[Array]:
        """(S, S, 3) uint8 for samples 0, 1, 2 ...: of the movie, and between two of its pictures their
        mean, as a sample that was not seen is filled in. The still lies on top where the scalp says so.
        """
        assert self.movie is not None
        before = None
        for picture in movie_pictures(self.movie):
            picture = self._under_scalp(picture)
            if before is not None:
                yield ((before.astype(np.uint16) + picture + 1) // 2).astype(np.uint8)
            yield picture
            before = picture
        if before is not None:
            yield before

    def _under_scalp(self, picture: Array) -> Array:
        if self.scalp is None:
            return picture
        top, alpha = fitted_scalp(self.scalp, picture.shape[0])
        return np.rint(picture + (top - picture) * alpha).astype(np.uint8)

    def predicted_picture(self, index: int) -> Array:
        """(s, s, 3) uint8 for a sample's weights, head and gaze, which the regression never saw together
        with a picture where the sample is held out.
        """
        assert self.predicted is not None
        take, one = self.head.performance, slice(index, index + 1)
        turn = None if take.head_rotation is None else take.head_rotation[one]
        gaze = None if take.gaze is None else take.gaze[one]
        return self.predicted.picture(self.predicted.coefficients(take.weights[one], turn, gaze)[0])


def fitted_scalp(scalp: Array, size: int) -> tuple[Array, Array]:
    """The colour (size, size, 3) and alpha (size, size, 1) float32 of a scalp (S, S, 4)."""
    small = cv2.resize(scalp, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    return small[..., :3], small[..., 3:] / 255.0


def movie_pictures(path: Path) -> Iterator[Array]:
    """(S, S, 3) uint8 of each picture of a movie."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def available(name: str) -> bool:
    """Whether the footage is here; that of ../shared need not be."""
    return CAPTURES[name].exists()


@lru_cache(maxsize=1)
def fitted(name: str) -> tuple[Capture, Track, Likeness, HeadModel]:
    """A capture tracked and fitted with all its pictures, by the best detector at hand."""
    capture, model = open_capture(CAPTURES[name]), load_model("anny")
    track = track_capture(capture, models=[MODELS] if MODELS.is_dir() else [])
    focal = None if track.ordered else focal_px(capture.photos)
    return capture, track, fit_likeness(track, model, focal=focal), model


def subjects(name: str, folder: Path) -> Iterator[Subject]:
    """A movie, textured with every second picture; or photos: with all of them, and then once for each with
    all the others.
    """
    capture, track, likeness, model = fitted(name)
    count = likeness.performance.frame_count
    if track.ordered:
        yield _subject(name, capture, likeness, model, np.arange(0, count, 2), folder / f"{name}_face.mp4")
        return
    for left_out in ([], *range(count)):
        yield _subject(name, capture, likeness, model, np.delete(np.arange(count), left_out), None)


def _subject(
    name: str, capture: Capture, likeness: Likeness, model: HeadModel, kept: Array, movie: Path | None
) -> Subject:
    """Texture with the pictures of the samples `kept`."""
    rest, take = likeness.person.rest, likeness.performance
    head, taught = PosedHead(model, rest, take), PosedHead(model, rest, take.resampled(take.time[kept]))
    still = make_still(taught, capture, taught.atlas, melanin=likeness.appearance.get("melanin"))
    figures = {f"still_{key}": value for key, value in still.figures.items()}
    scalp, predicted = None, None
    if movie is not None:
        made = make_face_track(taught, capture, taught.atlas, still, movie)
        scalp, predicted = made.scalp, made.predicted
        figures |= {f"track_{key}": value for key, value in made.figures.items()}
    return Subject(name, capture, head, kept, taught, still, movie, scalp, predicted, figures)
