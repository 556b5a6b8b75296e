# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians of a head that moves, fast, and gradients back to them, to the latent and to the vertices.

    poser = Poser(surface)                                   # once for a surface
    posed = poser.pose(gaussians, vertices, latent, eye)
    rendered = render(posed.activated, view)
    slopes = pose_back(posed, gradients(rendered, d_image))

Everything is exact but for cuts held where they are: colours below 0 have no slope. Results do not depend on
the number of threads. `playback` is the same with numpy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..errors import SplatError
from .bound import LOCAL, BoundGaussians
from .gaussians import Activated
from .raster_result import ActivatedGradients
from .surface import HeadSurface
from .threads import in_pieces, thread_count

Array = np.ndarray

_WIDTH = 16
"""Gaussians and triangles that the kernels do at a time."""


@dataclass(frozen=True, eq=False)
class Posed:
    """Gaussians as they are drawn."""

    activated: Activated
    """n of them in the frame of the vertices, with colours (n, 3) seen from the eye."""
    context: PoseContext
    """What `pose_back` needs."""


@dataclass(frozen=True, eq=False)
class PoseContext:
    """How Gaussians were posed. Arrays are flat and may have rows beyond the n Gaussians."""

    poser: Poser
    gaussians: BoundGaussians
    arrays: dict[str, Any]
    """Of `gaussians`; not copied where there are enough of them."""
    vertices: Array
    latent: Array
    frames: Array
    """See `frame_kernels`."""
    kept: Array
    """See `posing_kernels`."""
    drawn: dict[str, Array]
    """The arrays of `activated`."""
    threads: int


@dataclass(frozen=True, eq=False)
class PoseGradients:
    """Gradients of a loss, float32, shaped like the fields of `BoundGaussians` they are named after.

    The gradient of `offsets` is an outer product of two small ones, offsets[:, r] = latent_used[r] * local:
    what takes a step with it saves much memory by using these. Latents that are 0 have none.
    """

    means: Array
    log_scales: Array
    rotations: Array
    opacity_logits: Array
    sh: Array
    local: Array
    """(n, 14) of the values used, in the order of `bound`."""
    latent_used: Array
    """(R,) the latent that the Gaussians were posed with."""
    latent: Array | None
    """(R,) of the latent; None where it was not asked for."""
    vertices: Array | None
    """(n, 3) per metre of the surface's vertices, through its frames; None where it was not asked for."""

    @cached_property
    def offsets(self) -> Array:
        """(n, R, 14), written out."""
        return self.latent_used[None, :, None] * self.local[:, None, :]


class Poser:
    """A surface made ready for posing: its triangles as the kernels read them, and their axes at rest."""

    def __init__(self, surface: HeadSurface) -> None:
        self.count = len(surface)
        """F, the number of triangles."""
        self.vertex_count = len(surface.rows)
        self.padded = -(-self.count // _WIDTH) * _WIDTH
        self.corners = np.zeros(3 * self.padded, np.int32)
        """(3, padded), flat: triangles too many are a point."""
        self.corners.reshape(3, -1)[:, : self.count] = surface.triangles.T
        self.rest = np.zeros(9 * self.padded, np.float32)
        self.rest[: 9 * self.count] = surface.rest_frames.axes.ravel()

    def pose(
        self,
        gaussians: BoundGaussians,
        vertices: Array,
        latent: Array,
        eye: Array,
        threads: int | None = None,
    ) -> Posed:
        """Gaussians on the surface's vertices (n, 3) metres, with a latent (R,), seen from the eye (3,).

        `threads`: all processors if None. SplatError for arrays of another head.
        """
        from .posing_kernels import pose as pose_kernel

        threads = thread_count(threads)
        latent = np.ascontiguousarray(latent, np.float32)
        points = self._checked(gaussians, vertices, latent)
        frames = self._frames(points, np.ascontiguousarray(eye, np.float32).reshape(3), threads)
        count, padded = len(gaussians), max(len(gaussians), _WIDTH)
        arrays = _flat(gaussians)
        drawn = {"means": 3, "scales": 3, "rotations": 4, "opacities": 1, "colours": 3}
        drawn = {name: np.empty(size * padded, np.float32) for name, size in drawn.items()}
        kept = np.empty(8 * padded, np.float32)
        active = np.flatnonzero(latent)

        def piece(first: int, last: int) -> None:
            pose_kernel(
                *arrays.values(), len(latent), active, latent, frames, self.rest, first, last,
                *drawn.values(), kept,
            )  # fmt: skip

        in_pieces(piece, padded if count else 0, _WIDTH, threads)
        shapes = {"means": 3, "scales": 3, "rotations": 4, "colours": 3}
        shaped = {name: drawn[name].reshape(-1, size)[:count] for name, size in shapes.items()}
        activated = Activated(opacities=drawn["opacities"][:count], **shaped)
        made = PoseContext(self, gaussians, arrays, points, latent, frames, kept, drawn, threads)
        return Posed(activated, made)

    def _checked(self, gaussians: BoundGaussians, vertices: Array, latent: Array) -> Array:
        """The vertices, flat."""
        points = np.ascontiguousarray(vertices, np.float32)
        if points.shape != (self.vertex_count, 3):
            raise SplatError(
                f"The surface of the Gaussians has {self.vertex_count} vertices; {points.shape} were given.",
                "They belong to another head.",
            )
        if latent.shape != (len(gaussians.basis),):
            raise SplatError(f"The Gaussians have {len(gaussians.basis)} latents, not {latent.shape}.")
        if len(gaussians) and gaussians.binding[-1] >= self.count:
            raise SplatError(
                f"The Gaussians ride on triangle {gaussians.binding[-1]}; the surface has {self.count}.",
                "They belong to another head.",
            )
        return points.reshape(-1)

    def _frames(self, points: Array, eye: Array, threads: int) -> Array:
        """See `frame_kernels`."""
        from .frame_kernels import FRAME, frames

        found = np.empty(FRAME * self.padded, np.float32)
        in_pieces(
            lambda first, last: frames(points, self.corners, self.padded, eye, first, last, found),
            self.padded,
            _WIDTH,
            threads,
        )
        return found


_posers: WeakKeyDictionary[HeadSurface, Poser] = WeakKeyDictionary()


def pose(
    gaussians: BoundGaussians,
    surface: HeadSurface,
    vertices: Array,
    latent: Array,
    eye: Array,
    threads: int | None = None,
) -> Posed:
    """`Poser.pose`; the poser of a surface is kept as long as the surface."""
    if surface not in _posers:
        _posers[surface] = Poser(surface)
    return _posers[surface].pose(gaussians, vertices, latent, eye, threads)


def pose_back(
    posed: Posed, slopes: ActivatedGradients, *, latent: bool = True, vertices: bool = True
) -> PoseGradients:
    """Gradients of what was posed, from those of what is drawn. What is not asked for costs nothing.

    The Gaussians must still be as they were posed.
    """
    from .posing_kernels import CHUNK
    from .posing_kernels import pose_back as back_kernel

    made = posed.context
    gaussians, latents = made.gaussians, len(made.latent)
    count, padded = len(gaussians), max(len(gaussians), _WIDTH)
    names = ("means", "scales", "rotations", "opacities", "colours")
    given = [_padded(np.ascontiguousarray(getattr(slopes, name), np.float32), padded) for name in names]
    terms = (gaussians.degree + 1) ** 2
    tails: list[tuple[int, ...]] = [(3,), (3,), (4,), (), (terms, 3)]
    found = [np.empty((padded, *tail), np.float32) for tail in tails]
    flat = [array.reshape(-1) for array in found]
    local, pulls = np.empty((padded, LOCAL), np.float32), np.empty(8 * padded, np.float32)
    parts = np.zeros((-(-padded // CHUNK), latents), np.float32)
    wants_latent = latent and latents > 0
    a, drawn = made.arrays, made.drawn

    def piece(first: int, last: int) -> None:
        back_kernel(
            a["binding"], a["sh"], gaussians.degree, a["offsets"], latents, made.frames, made.poser.rest,
            made.kept, drawn["scales"], drawn["opacities"], drawn["colours"], *given, wants_latent,
            first, last, *flat, local.reshape(-1), pulls, parts.reshape(-1),
        )  # fmt: skip

    in_pieces(piece, padded if count else 0, CHUNK, made.threads)
    return PoseGradients(
        *(array[:count] for array in found),
        local=local[:count],
        latent_used=made.latent,
        latent=parts.sum(axis=0, dtype=np.float64).astype(np.float32) if latent else None,
        vertices=_on_vertices(made, pulls) if vertices else None,
    )


def _on_vertices(made: PoseContext, pulls: Array) -> Array:
    """(n, 3) gradients of the vertices from those of the frames by Gaussian."""
    from .frame_kernels import PULL, frames_back, on_vertices, summed

    poser = made.poser
    sums = np.zeros(PULL * poser.padded, np.float32)
    summed(pulls, made.gaussians.binding, sums)
    corners = np.empty(9 * poser.padded, np.float32)
    in_pieces(
        lambda first, last: frames_back(
            made.vertices, poser.corners, poser.padded, first, last, sums, corners
        ),
        poser.padded,
        _WIDTH,
        made.threads,
    )
    found = np.zeros(3 * poser.vertex_count, np.float32)
    on_vertices(poser.corners, poser.padded, poser.count, corners, found)
    return found.reshape(-1, 3)


def _flat(gaussians: BoundGaussians) -> dict[str, Any]:
    """The arrays in the order of the kernel, flat; few Gaussians are filled up to sixteen."""
    g, padded = gaussians, max(len(gaussians), _WIDTH)
    return {
        "binding": _padded(g.binding, padded),
        "means": _padded(g.means, padded),
        "log_scales": _padded(g.log_scales, padded),
        "rotations": _padded(g.rotations, padded),
        "opacity_logits": _padded(g.opacity_logits, padded),
        "sh": _padded(g.sh, padded),
        "degree": g.degree,
        "offsets": _padded(g.offsets, padded),
    }


def _padded(array: Array, rows: int) -> Array:
    """Flat, with rows of zeros up to that many."""
    if len(array) == rows:
        return array.reshape(-1)
    filled = np.zeros((rows, *array.shape[1:]), array.dtype)
    filled[: len(array)] = array
    return filled.reshape(-1)
