# SPDX-License-Identifier: GPL-3.0-or-later
"""The face of a take as a movie in the atlas, one picture per sample, and what can be learnt from it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..capture import Capture
from ..errors import CaptureError
from ..head.atlas import MOUTH, NONE, SKIN, TEETH, HeadAtlas
from ..progress import Progress, silent
from .between_lips import BetweenLips
from .footage import MOST, footage_pictures
from .low_rank import LowRankCollector
from .movie_writer import MovieWriter, write_movie
from .ordered import in_order
from .posed import PosedHead
from .predict import learn
from .predicted import PredictedTexture
from .steady import bridged, faded, mean, reach_of, steady_times, windowed
from .texels import TexelTable
from .track_frame import FrameMaker, Layer
from .track_mask import TrackMask

if TYPE_CHECKING:
    from .still import Still

Array = np.ndarray

SIZES = 512, 1024
"""Sides of the movie in px."""
LARGE = 400.0
"""Height in px from which a face deserves the larger one."""
SCALP = 1024
"""Side of the scalp's picture in px, at most."""
FACE = 0.2
"""Metres from chin to hairline, about."""
LOW_RANK_SIZES = 256, 512
DETAILED = 220.0
"""Height in px from which a face deserves the larger one."""
FEWEST = 12
"""Pictures from which on something can be learnt."""


@dataclass
class FaceTrack:
    """What was made of a take besides the movie."""

    size: int
    """Side of the movie's pictures in px."""
    scalp: Array
    """(S, S, 4) uint8: the still, and how far it stays on top of the track."""
    predicted: PredictedTexture | None
    """None for takes too short to learn from."""
    figures: dict[str, float] = field(default_factory=dict)


def make_face_track(
    head: PosedHead,
    capture: Capture,
    atlas: HeadAtlas,
    still: Still,
    path: Path,
    size: int = 0,
    progress: Progress = silent,
    *,
    predict: bool = True,
) -> FaceTrack:
    """Write the movie of the face of `head.performance` to `path`.

    size: side of its pictures in px, 0 chooses by how large the face is. Samples that were not tracked or
    have no picture are bridged. CaptureError when the footage shows none of them.
    """
    began, used = time.perf_counter(), time.process_time()
    performance = head.performance
    size = size or chosen_size(head)
    maker = FrameMaker(head, atlas, still, size)
    work = _Work(maker, head, atlas, capture, progress)
    with _one_thread_each():
        work.run(Path(path))
    spent, wall = time.process_time() - used, time.perf_counter() - began
    figures = work.figures() | {"fps": performance.frame_count / wall}
    figures["cpu_ms"] = 1000.0 * spent / performance.frame_count
    predicted = work.predicted() if predict else None
    if predicted is not None:
        figures |= work.texture_figures(predicted)
    return FaceTrack(size, _scalp(head, atlas, still), predicted, figures)


def _scalp(head: PosedHead, atlas: HeadAtlas, still: Still) -> Array:
    """(S, S, 4) uint8: what stays on top of the movie is smooth, so S is at most `SCALP`."""
    import cv2

    side = min(SCALP, len(still.albedo))
    albedo = cv2.resize(still.albedo, (side, side), interpolation=cv2.INTER_AREA)
    return TrackMask.of(head.model, atlas, side).scalp(albedo)


def chosen_size(head: PosedHead) -> int:
    """One of `SIZES`, by the height of the face in the footage."""
    return SIZES[int(face_height(head) >= LARGE)]


def face_height(head: PosedHead) -> float:
    """Median height of the face in px of the pictures as they are looked at."""
    camera, samples = head.camera, np.linspace(0, head.count - 1, min(head.count, 50)).astype(int)
    depth = np.array([-head.translation(int(i))[2] for i in samples])
    rows = [camera.row(int(i)) for i in samples]
    scale = np.minimum(1.0, MOST / camera.size[rows].max(axis=1))
    return float(np.median(camera.focal[rows] * scale * FACE / np.maximum(depth, 1e-3)))


class _Work:
    """The way of the pictures: footage, atlas, still, movie; each stage in threads, in order."""

    def __init__(
        self, maker: FrameMaker, head: PosedHead, atlas: HeadAtlas, capture: Capture, progress: Progress
    ) -> None:
        self._maker, self._head, self._performance = maker, head, head.performance
        self._capture, self._progress = capture, progress
        self._seen = np.zeros(head.count, bool)
        self._density: list[float] = []
        self._small = min(maker.size, LOW_RANK_SIZES[int(face_height(head) >= DETAILED)])
        self._lips = BetweenLips.of(head, atlas, self._small)
        inner = None if self._lips is None else self._lips.texels
        ground = self._smaller(maker.albedo)
        self._collector = LowRankCollector(self._worth(atlas), head.count, ground, inner)

    def run(self, path: Path) -> None:
        """Write the movie."""
        times = steady_times(self._performance.time)
        workers = max(2, os.cpu_count() or 2)
        with contextlib.ExitStack() as stack:
            # Closed last: a thread may still write to it when the work is stopped.
            movie = stack.enter_context(write_movie(path, self._maker.size, times))
            pool = stack.enter_context(ThreadPoolExecutor(workers, "face track"))
            encoder = stack.enter_context(ThreadPoolExecutor(1, "encode"))
            pictures = bridged(self._laid_in(pool, workers), self._performance.time)
            self._write(movie, encoder, pictures)

    def _write(self, movie: MovieWriter, encoder: Executor, pictures: Iterator[tuple[int, Array]]) -> None:
        def encode(item: tuple[int, Array]) -> int:
            sample, picture = item
            movie.write(picture)
            seen = None if self._lips is None else self._lips.seen(sample)
            self._collector.add(sample, self._smaller(picture), seen)
            return sample

        total = self._performance.frame_count
        written = -1
        for written in in_order(encoder, encode, pictures, 3):
            self._progress((written + 1) / total, "face track", f"Face, picture {written + 1} of {total}")
        if written < 0:
            raise CaptureError(
                f"{self._capture.path.name} shows none of the pictures that {self._performance.name!r} "
                "was tracked in.",
                "Choose the footage that it was made from.",
            )

    def _laid_in(self, pool: Executor, workers: int) -> Iterator[tuple[int, Array]]:
        """(sample, picture) of the samples that the footage shows."""
        reach = reach_of(self._performance.time)
        layers = in_order(pool, self._layer, self._footage(), workers + 1)
        calm = faded(((layer, layer.coarse) for layer in layers), reach)
        steps = (
            (layer, weight, mean([other.colour for other, _weight in window]))
            for (layer, weight), window in windowed(calm, reach)
        )
        return in_order(pool, self._lay, steps, workers)

    def _footage(self) -> Iterator[tuple[int, Array]]:
        tracked = np.flatnonzero(self._performance.confidence > 0)
        for sample, picture, _scale in footage_pictures(self._capture, self._performance, tracked):
            self._seen[sample] = True
            yield sample, picture

    def _layer(self, item: tuple[int, Array]) -> Layer:
        layer = self._maker.layer(*item)
        self._density.append(layer.density)
        return layer

    def _lay(self, step: tuple[Layer, Array, Array]) -> tuple[int, Array]:
        layer, weight, colour = step
        return layer.sample, self._maker.laid_in(layer, weight, colour)

    def _worth(self, atlas: HeadAtlas) -> Array:
        """(s, s) bool: texels of the low-rank form that can move. The eyes stay as in the still: what a
        picture shows at their place may be a lid, which is right in that picture's pose only.
        """
        import cv2

        chart = TexelTable.of(atlas, self._small).chart
        live = TrackMask.of(self._head.model, atlas, self._small).live > 0.02
        own = np.isin(chart, (SKIN, TEETH, MOUTH))
        # What lies just beside a chart shows along its border.
        around = cv2.dilate(own.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        return live & (own | (around & (chart == NONE)))

    def _smaller(self, picture: Array) -> Array:
        import cv2

        if picture.shape[0] == self._small:
            return picture
        return cv2.resize(picture, (self._small, self._small), interpolation=cv2.INTER_AREA)

    def predicted(self) -> PredictedTexture | None:
        """What the take teaches, where it is long enough."""
        if np.count_nonzero(self._seen) < FEWEST:
            return None
        return learn(self._collector.solve(), self._performance, self._seen)

    def texture_figures(self, predicted: PredictedTexture) -> dict[str, float]:
        """How small and how true the low-rank form is, and how much of it is predicted."""
        texture = predicted.texture
        raw = len(texture.coefficients) * texture.mean.nbytes
        return {
            "low_rank_times_smaller": raw / texture.nbytes,
            "low_rank_db": self._collector.true_db(texture),
            "predicted_score": predicted.score,
        }

    def figures(self) -> dict[str, float]:
        """For the report."""
        total = self._performance.frame_count
        return {
            "size": float(self._maker.size),
            "pictures": float(total),
            "bridged": float(total - np.count_nonzero(self._seen)),
            "px_per_texel": float(np.median(self._density)) if self._density else 0.0,
        }


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let OpenCV work in the thread that calls it: there are threads enough."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
