# SPDX-License-Identifier: GPL-3.0-or-later
"""Training pictures out of CAP4D's folders.

Heads are posed by the user's own FLAME 2023 without a jaw, in CAP4D's form: what these files hold means
nothing to another model.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..arkit import ARKIT_NAMES
from ..camera import VIEW_TO_OPENCV
from ..capture import Member
from ..errors import SplatError
from ..fit.fit_npz import FlameFit
from ..fit.flame_exchange import gaze_of
from ..head import load_model, model_path
from ..head.atlas import load_atlas
from ..head.flame.compile import load_flame, origin_of
from ..head.flame.forward import FlameParameters, local_vertices, matrices
from ..head.flame.model import CAP4D, CAP4D_EXPRESSIONS, FlameRows
from ..head.library import compiled
from ..progress import Progress, silent
from ..track.pictures import read_photo
from .cap4d_folder import Source, sources_in
from .cutting import Cut, Seen, cut_all, placed, segmented
from .head_region import HeadRegion
from .matte import Segmenter
from .surface import HeadSurface
from .training_set import (
    FEWEST_PHOTOS,
    LIMIT,
    MOST,
    Shot,
    TrainingSet,
    composed,
    refuse_few,
    refuse_settings,
    spread,
)

Array = np.ndarray

_SAME_SHAPE = 1e-3
"""Of coefficients: a generated picture keeps those of its reference."""


def from_cap4d(
    folder: Path,
    flame: Path | str = "flame_2023_no_jaw",
    most: int = MOST,
    every: int = 1,
    mattes: str = "auto",
    *,
    limit: int = LIMIT,
    folders: Sequence[Path] = (),
    models: Sequence[Path] = (),
    scores: Callable[[Array, Array], Array] | None = None,
    progress: Progress = silent,
) -> TrainingSet:
    """The pictures of a reference folder, of CAP4D's `mmdm` folder, or of a folder that has both.

    flame: the user's FLAME 2023 without a jaw with CAP4D's blink shape beside it, by file or by name in
    `folders`. scores: gives weights (T, 52) for expressions (T, 65) and eye rotations (T, 3). The other
    arguments as `training_set`. Every shot has its own `vertices` of the set's `surface`; without `scores`
    its ARKit weights are not known and 0.

    ModelError without the model, CaptureError for damaged files, SplatError for too few pictures.
    """
    refuse_settings(mattes, most, every, limit)
    sources = spread(np.array(sources_in(Path(folder)), object), limit).tolist()
    refuse_few(len(sources), FEWEST_PHOTOS, Path(folder).name, {})
    if mattes == "segmented":
        sources = [replace(source, matte=None) for source in sources]
    given = {n: source.matte for n, source in enumerate(sources) if source.matte is not None}
    if mattes == "given" and len(given) < len(sources):
        raise SplatError(f"{Path(folder).name} has no mattes for all.", "Have them segmented.")
    _refuse_others(sources, Path(folder).name)
    head = _FlameInHeadFrame(flame, folders)
    surface = head.surface(sources[0].fit)
    region = HeadRegion(head.atlas, surface.rows, surface.rest)
    posed = [head.vertices(source)[surface.rows] for source in sources]
    left_out: dict[str, int] = {}

    def pictures() -> Iterator[Seen]:
        for number, (source, points) in enumerate(zip(sources, posed, strict=True)):
            progress(number / len(sources), "footage", f"Cutting out the head, picture {number + 1}")
            seen = _seen(number, source, points, region, head.origin(source.fit), most)
            if seen is None:
                left_out["cut off by the border"] = left_out.get("cut off by the border", 0) + 1
            else:
                yield seen

    with contextlib.ExitStack() as stack:
        seen = pictures()
        if len(given) < len(sources):
            segmenter = stack.enter_context(Segmenter(models))
            seen = (one for picture in seen for one in _masked(picture, segmenter, given))
        found = list(cut_all(seen, region, given))
    cuts = [cut for cut in found if cut is not None]
    if len(cuts) < len(found):
        left_out["no person found"] = len(found) - len(cuts)
    refuse_few(len(cuts), FEWEST_PHOTOS, Path(folder).name, left_out)
    shots = _shots(cuts, sources, posed, _weights(sources, scores), every)
    kind = "given" if len(given) == len(sources) else "segmented"
    return TrainingSet(shots, Path(folder).name, False, surface, left_out, kind)


class _FlameInHeadFrame:
    """The user's FLAME in CAP4D's form, in our head frame: between the ears."""

    def __init__(self, flame: Path | str, folders: Sequence[Path]) -> None:
        given = Path(flame)
        path = compiled(given) if given.exists() else model_path(str(flame), folders)
        self.model = load_model(path)
        self._flame = load_flame(path)
        self._rows: FlameRows = self._flame.cap4d
        self.atlas = load_atlas(self.model)

    def origin(self, fit: FlameFit) -> Array:
        """(3,) metres: the head frame's origin in FLAME's frame."""
        return origin_of(self._flame, np.zeros(0) if fit.shape is None else fit.shape)

    def vertices(self, source: Source) -> Array:
        """(5023, 3) float32 metres."""
        frame = source.fit.parameters.sliced(slice(source.frame, source.frame + 1))
        return (local_vertices(self._rows, frame)[0] - self.origin(source.fit)).astype(np.float32)

    def surface(self, fit: FlameFit) -> HeadSurface:
        """The person of a fit at rest."""
        still = FlameParameters.of(
            fit.variant, fit.parameters.shape, np.zeros((1, CAP4D_EXPRESSIONS)), mode=CAP4D
        )
        rest = (local_vertices(self._rows, still)[0] - self.origin(fit)).astype(np.float32)
        return HeadSurface.of(self.model, self.atlas, rest)


def _refuse_others(sources: Sequence[Source], name: str) -> None:
    """SplatError where the pictures are of several people, or of nobody in particular."""
    first = sources[0].fit.shape
    for source in sources:
        shape = source.fit.shape
        if first is None or shape is None or np.abs(shape - first).max() > _SAME_SHAPE:
            raise SplatError(
                f"The pictures of {name} are not of one person: {source.picture.name} has another shape.",
                "Choose the folder of one person.",
            )


def _seen(
    number: int, source: Source, points: Array, region: HeadRegion, origin: Array, most: int
) -> Seen | None:
    """The picture with its head in place; `points` (n, 3) in the head frame."""
    picture, _ = read_photo(source.picture, most)
    fit, camera = source.fit, source.camera
    height, width = fit.resolutions[camera]
    x0, y0, x1, y1 = source.box or (0, 0, int(width), int(height))
    zoom = np.array([picture.shape[1] / (x1 - x0), picture.shape[0] / (y1 - y0)])
    focal = np.array([fit.fx[camera], fit.fy[camera]]) * zoom
    centre = (np.array([fit.cx[camera], fit.cy[camera]]) - [x0, y0]) * zoom
    turn = matrices(fit.rot[source.frame])
    to_world, extr = VIEW_TO_OPENCV @ turn, fit.extr[camera]
    to_camera = np.eye(4)
    to_camera[:3, :3] = extr[:3, :3] @ to_world
    place = to_world @ origin + VIEW_TO_OPENCV @ fit.tra[source.frame]
    to_camera[:3, 3] = extr[:3, :3] @ place + extr[:3, 3]
    seen = points @ to_camera[:3, :3].T + to_camera[:3, 3]
    if seen[:, 2].min() <= 0:
        return None
    px = focal * seen[:, :2] / seen[:, 2:] + centre
    return placed(region, number, picture, px, seen[:, 2], focal, centre, to_camera)


def _masked(picture: Seen, segmenter: Segmenter, given: dict[int, Member]) -> Iterator[Seen]:
    """A picture with its mask, where it has no matte."""
    yield from (picture,) if picture.sample in given else segmented((picture,), segmenter)


def _weights(sources: Sequence[Source], scores: Callable[[Array, Array], Array] | None) -> Array:
    """(S, 52) float32."""
    if scores is None:
        return np.zeros((len(sources), len(ARKIT_NAMES)), np.float32)
    expression, eyes = (
        np.stack([getattr(source.fit, name)[source.frame] for source in sources])
        for name in ("expr", "eye_rot")
    )
    return scores(expression, eyes)


def _shots(
    cuts: Sequence[Cut], sources: Sequence[Source], posed: Sequence[Array], weights: Array, every: int
) -> tuple[Shot, ...]:
    shots = []
    for number, (cut, layers) in enumerate(zip(cuts, composed(cuts), strict=True)):
        source = sources[cut.sample]
        gaze = np.tile(gaze_of(source.fit.eye_rot[source.frame : source.frame + 1]), (2, 1))
        corner = (cut.box.x, cut.box.y)
        held = number % every != 0
        shots.append(
            Shot(
                cut.sample,
                cut.image,
                *layers,
                corner,
                cut.view,
                weights[cut.sample],
                gaze,
                held,
                posed[cut.sample],
            )
        )
    return tuple(shots)
