# SPDX-License-Identifier: GPL-3.0-or-later
"""A person from a track: identity from its keyframes, then the surface detail that the basis cannot say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import CaptureError
from ..head import HeadModel, Rest
from ..head.embedding import LandmarkEmbedding
from ..track import Track
from .face_mesh import MeshFit
from .frame import Expected, FrameSolver
from .identity import IdentityFit, Picture, fit_identity
from .keyframes import choose_keyframes
from .priors import expression_prior
from .projection import Lens
from .refine import landmark_detail, surface_detail
from .scores import expectations
from .slices import FACE, FaceRows, IdentityRows

Array = np.ndarray

KEYFRAMES = 24
STEADY = 0.7
"""Share of an embedding's scatter that is left after the surface was refined: the rest was steady."""


@dataclass(frozen=True)
class FittedPerson:
    """Who the track shows."""

    model: HeadModel
    embedding: LandmarkEmbedding
    values: dict[str, float]
    """Named identity parameters."""
    coefficients: Array
    """(K,) float32."""
    detail: Array
    """(B, 3) float32 metres over the source rows."""
    rest: Rest
    lens: tuple[Lens, ...]
    """One for a video, one per frame for photos."""
    identity: IdentityFit
    keyframes: Array
    """(n,) frames of the track that were used."""
    offsets: Array
    """(468, 3) metres: where the detector puts this person's landmarks, off their places on the surface; 0
    where the surface itself was moved there.
    """

    def solver(self) -> FrameSolver:
        """The per-frame solver of this person."""
        face = FaceRows.seen(self.model, self.rest, self.embedding)
        face = replace(face, points=face.points + self.offsets)
        return FrameSolver.of(face, STEADY * face.scatter[:FACE])

    def with_detail(self, detail: Array) -> FittedPerson:
        """The same person with another surface."""
        rest = self.model.rest(self.coefficients, detail=detail)
        fields = {**self.__dict__, "detail": detail, "rest": rest}
        return FittedPerson(**fields)


def fit_person(
    track: Track,
    model: HeadModel,
    embedding: LandmarkEmbedding,
    *,
    focal: float | None = None,
    known: Mapping[str, float] | None = None,
    scan: MeshFit | None = None,
) -> FittedPerson:
    """Identity, lens and surface of the person in `track`. CaptureError when it has no tracked frame.

    focal: px of the shown picture, where the camera is known. known: identity parameters that somebody told.
    scan: the person by a face mesh; then the footage gives the lens, and leaves the measured surface alone.
    """
    rows = IdentityRows.of(model, embedding)
    default = model.rest(model.identity_coefficients(dict(known or {})))
    face = FaceRows.of(model, default, embedding)
    if scan is not None:
        measured = embedding.points(model.rest(scan.coefficients, detail=scan.detail).vertices)[:FACE]
        rows = replace(rows, template=rows.template + measured - rows.points(scan.values))
    pictures, cameras, chosen = keyframes(track, expectations(track, expression_prior(face.names)))
    told = known if scan is None else scan.values
    fit = fit_identity(rows, face, pictures, cameras=cameras, focal=focal, known=told)
    values = fit.values if scan is None else scan.values
    coefficients = model.identity_coefficients(values)
    rest = model.rest(coefficients, detail=None if scan is None else scan.detail)
    solver = FrameSolver.of(FaceRows.of(model, rest, embedding))
    seen = np.stack([picture.landmarks for picture in pictures])
    moved, information = landmark_detail(solver, seen, fit.lenses, fit.states)
    if scan is None:
        detail = surface_detail(model, rest, solver.face.points, moved, information)
    else:
        detail = scan.detail
    person = FittedPerson(
        model,
        embedding,
        dict(values),
        coefficients,
        detail,
        rest,
        fit.lenses[:1] if track.ordered else fit.lenses,
        fit,
        chosen,
        np.zeros((FACE, 3)) if scan is None else moved,
    )
    return person.with_detail(detail)


def keyframes(track: Track, expected: Sequence[Expected]) -> tuple[list[Picture], list[int], Array]:
    """What an identity is fitted to: pictures, the camera of each (0, 1, ...), and (n,) their frames.

    expected: (T) what is known of each frame's weights. CaptureError for a track without a face.
    """
    tracked = np.flatnonzero(track.tracked)
    if not len(tracked):
        raise CaptureError(f"No face was found in {track.name}.", "Choose footage that shows a face.")
    landmarks = track.landmarks[tracked, :FACE, :2].astype(np.float64)
    chosen = (
        choose_keyframes(landmarks, track.confidence[tracked], KEYFRAMES)
        if track.ordered
        else np.arange(len(tracked))
    )
    frames = tracked[chosen]
    pictures = [
        Picture(landmarks[i], _size(track, int(frame)), expected[frame])
        for i, frame in zip(chosen, frames, strict=True)
    ]
    # Photos of one size were most likely taken with one camera.
    sizes = [picture.size for picture in pictures]
    return pictures, [sorted(set(sizes)).index(size) for size in sizes], frames


def _size(track: Track, frame: int) -> tuple[int, int]:
    width, height = track.size[frame]
    return int(width), int(height)
