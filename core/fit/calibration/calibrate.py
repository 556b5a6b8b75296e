# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds where a tracker's landmarks lie on a head model, by letting it look at pictures of the model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ...arkit import ARKIT_NAMES
from ...errors import ModelError
from ...head.embedding import LandmarkEmbedding, topology_key
from ...head.model import HeadModel
from ...progress import Progress, silent, subrange
from ...track.detector import Detector
from ..slices import FaceRows
from .align import aligned
from .embed import Places, first_guess, place_landmarks, trusted
from .light import light_reaching
from .observe import Observations, observe
from .paint import Paint, bare_paint
from .regions import LIPS_OUTER, regions
from .response import SITTINGS, gains, response, sittings
from .surface import HeadSurface, head_surface
from .views import scenes

Array = np.ndarray

PICTURES = 240
"""Enough that halves of them agree within about 0.3 mm."""
SHARE_FOUND = 0.6
"""Share of the pictures in which a face must be found."""
FAR, NEAR = 0.012, 0.006
"""Metres around a guess in which the best place is looked for, before and after it is known roughly."""


@dataclass(frozen=True)
class Calibration:
    """An embedding and how well it holds on pictures that it was not made from."""

    embedding: LandmarkEmbedding
    error_of_face: float
    """Mean distance between landmark and detection, as a share of the face (root of its box's area)."""
    detectors_apart: float
    """Mean distance between two detectors, as a share of the face; 0 for one."""
    pictures: int
    followed: dict[str, float] = field(default_factory=dict)
    """How far detectors follow each ARKit expression, 1 for all the way; empty where it was not measured."""

    def table(self) -> list[tuple[str, int, float, float]]:
        """Part of the face, number of landmarks, median and largest scatter in metres."""
        scatter = self.embedding.scatter
        return [
            (name, len(rows), float(np.median(scatter[rows])), float(scatter[rows].max()))
            for name, rows in regions().items()
        ]


@contextlib.contextmanager
def open_detectors(models: Sequence[Path] = ()) -> Iterator[list[Detector]]:
    """Every detector that tracking may use: the wheel's own model, and the bundle where it is found."""
    from ...track.bundle import BundleDetector, find_bundle
    from ...track.wheel import WheelDetector

    bundle = find_bundle(models)
    with contextlib.ExitStack() as stack:
        detectors: list[Detector] = [WheelDetector(video=False, faces=2)]
        stack.callback(detectors[0].close)
        if bundle is not None:
            detectors.append(BundleDetector(bundle, video=False, faces=2))
            stack.callback(detectors[1].close)
        yield detectors


def calibrate(
    model: HeadModel,
    progress: Progress = silent,
    *,
    pictures: int = PICTURES,
    models: Sequence[Path] = (),
    seed: int = 0,
) -> Calibration:
    """Show a model to the detectors and find its landmarks; about a third of a second for each picture.

    A quarter as many pictures go before, from which the lips are found that are then painted, and a quarter
    follow for the error; a model with ARKit's expressions is also shown in sittings of mixtures of them (see
    `response`). `models`: folders with a landmark bundle. ModelError when no face is recognised.
    """
    rest = model.rest(model.identity_coefficients())
    surface = head_surface(model, rest)
    paint = bare_paint(rest, surface, light_reaching(_lit_poses(model), surface))
    few = max(12, pictures // 4)
    with open_detectors(models) as detectors:
        names = tuple(detector.name for detector in detectors)

        def look(paint: Paint, count: int, seed: int, start: float, end: float) -> Observations:
            part = subrange(progress, start, end)
            return observe(model, surface, paint, scenes(model, count, seed), detectors, part)

        first = look(paint, few, seed + 1, 0.0, 0.1)
        _require_faces(model, first)
        places = _places(first, surface, rest.vertices)
        border = places.points(paint.chart)[list(LIPS_OUTER), :2]
        paint = replace(paint, lips=border)
        main = look(paint, pictures, seed, 0.1, 0.55)
        places = _places(main, surface, rest.vertices)
        fresh = look(paint, few, seed + 2, 0.55, 0.65)
        embedding = LandmarkEmbedding(
            places.rows,
            places.weights,
            scatter(main, places),
            model.sha256,
            topology_key(model),
            names,
        )
        face, followed = FaceRows.of(model, rest, embedding), {}
        if face.names == ARKIT_NAMES:
            acted = sittings(model, seed + 3, max(3, SITTINGS * pictures // PICTURES))
            mixed = observe(model, surface, paint, acted, detectors, subrange(progress, 0.65, 1.0))
            embedding = replace(embedding, response=response(acted, mixed, places, face.expression))
            followed = gains(np.asarray(embedding.response, np.float64), face.expression)
    return Calibration(
        embedding, error_of_face(fresh, places), detectors_apart(fresh, places), pictures, followed
    )


def _lit_poses(model: HeadModel) -> list[Array]:
    """The default person with open and with closed eyes, (V, 3) metres."""
    rest = model.rest(model.identity_coefficients())
    shut = np.zeros(len(model.expression_names), np.float32)
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        if name in model.expression_index:
            shut[model.expression_index[name]] = 1.0
    return [rest.vertices, model.expressed(rest, shut)]


def _require_faces(model: HeadModel, seen: Observations) -> None:
    share = float(seen.found.mean())
    if share < SHARE_FOUND:
        raise ModelError(
            f"A face was recognised in {share:.0%} of the pictures of the head model {model.name!r}.",
            "Calibration needs a model that looks like a person from the front.",
        )


def _places(seen: Observations, surface: HeadSurface, rest: Array) -> Places:
    """Guess, then place and align in turn."""
    places = place_landmarks(seen, surface, rest, first_guess(seen, surface, rest), seen.landmarks, FAR)
    for _ in range(2):
        corrected = aligned(seen.landmarks, places.points(seen.pixels), keep_mean=True)
        places = place_landmarks(seen, surface, rest, places.points(rest), corrected, NEAR)
    return places


def scatter(seen: Observations, places: Places) -> Array:
    """(478,) metres: rms distance to what was seen, each picture's common motion taken off, over pictures in
    which the place faces the camera and an iris is free.
    """
    predicted = places.points(seen.pixels)
    off = aligned(seen.landmarks, predicted, keep_mean=False) - predicted[:, None]
    square = np.nan_to_num((off**2).sum(axis=3) / seen.scale[:, None, None] ** 2)
    weight = np.stack([trusted(seen, i, rows) for i, rows in enumerate(places.rows)], axis=2)
    return np.sqrt((weight * square).sum(axis=(0, 1)) / np.maximum(weight.sum(axis=(0, 1)), 1e-9))


def error_of_face(seen: Observations, places: Places) -> float:
    """Mean distance between landmarks and detections, as a share of the face; nothing taken off."""
    predicted = places.points(seen.pixels)
    off = np.linalg.norm(seen.landmarks - predicted[:, None], axis=3)
    return float(np.nanmean(off / _face(predicted)[:, None, None]))


def detectors_apart(seen: Observations, places: Places) -> float:
    """Mean distance between the first two detectors, as a share of the face; 0 where there is one."""
    count = seen.landmarks.shape[1] // 2
    if count < 2:
        return 0.0
    off = np.linalg.norm(seen.landmarks[:, 0] - seen.landmarks[:, 1], axis=2)
    return float(np.nanmean(off / _face(places.points(seen.pixels))[:, None]))


def _face(landmarks_px: Array) -> Array:
    """(R,) px: root of the area of the box around landmarks ((R, 478, 2))."""
    return np.sqrt(np.ptp(landmarks_px, axis=1).prod(axis=1))
