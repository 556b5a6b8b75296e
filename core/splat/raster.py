# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw Gaussians on the CPU, and bring gradients back from the picture to them; without torch.

    rendered = render(gaussians, view, background)
    slopes = gradients(rendered, d_image, d_alpha)

Results do not depend on the number of threads. What is drawn: EWA splats (`project_kernels`) from front to
back (`raster_kernels`): a splat is cut where its opacity is under 1/255 and holds at most 0.99; a pixel takes
no more once less than 1e-4 of the light comes through.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import SettingsError
from .gaussians import Activated, Gaussians
from .raster_result import ActivatedGradients, Context, GaussianGradients, Rendered
from .threads import in_pieces, thread_count
from .view import View

Array = np.ndarray

__all__ = ["ActivatedGradients", "Context", "GaussianGradients", "Rendered", "gradients", "render"]

TILE = 16
"""px: side of the squares a picture is drawn in."""
BLOCK = 16
"""Gaussians are projected so many at a time: the kernels' `WIDTH`."""
MAX_PAIRS = 1 << 26
"""Of a Gaussian and a tile that it reaches: 3 GB with their gradients."""


def render(
    gaussians: Gaussians | Activated,
    view: View,
    background: Any = (0.0, 0.0, 0.0),
    *,
    compensated: bool = False,
    threads: int | None = None,
) -> Rendered:
    """Draw Gaussians over a background colour.

    `compensated` takes opacity away from Gaussians smaller than a pixel, as much as the blur of a pixel
    spreads them (Mip-Splatting, Yu et al. 2024), so that they do not grow fat from afar. `threads`: all
    processors if None; the picture is the same.
    """
    from .raster_kernels import blend
    from .tile_kernels import deal, depth_order

    back = np.ascontiguousarray(background, np.float32)
    if back.shape != (3,):
        raise SettingsError("The background of the Gaussians must be one colour of three numbers.")
    threads = thread_count(threads)
    camera, size = _camera(view), (view.width, view.height)
    records, boxes = _projected(gaussians, camera, size, compensated, threads)
    tiles_x, tiles_y = -(-view.width // TILE), -(-view.height // TILE)
    padded = len(boxes) // 4
    order = depth_order(records, boxes, padded)
    starts, members, slots, offsets = deal(order, boxes, padded, tiles_x, tiles_x * tiles_y, MAX_PAIRS)
    if not len(offsets):
        raise SettingsError(
            f"The {len(gaussians)} Gaussians cover the picture too many times over to be drawn.",
            "Most of them are far too large: check the units, or draw a smaller picture.",
        )
    pixels = view.width * view.height
    image, alpha, depth = (np.empty(count, np.float32) for count in (3 * pixels, pixels, pixels))
    ends = np.empty(tiles_x * tiles_y, np.int32)

    def piece(first: int, last: int) -> None:
        blend(first, last, tiles_x, size, starts, members, records, back, image, alpha, depth, ends)

    in_pieces(piece, len(ends), 1, threads)
    plane = (view.height, view.width)
    context = Context(
        gaussians, camera, size, compensated, threads, records, offsets, starts, ends, members, slots
    )
    return Rendered(image.reshape(*plane, 3), alpha.reshape(plane), depth.reshape(plane), context)


def gradients(rendered: Rendered, d_image: Array, d_alpha: Array | None = None) -> Any:
    """Gradients of a loss by what was drawn, from those by the picture (H, W, 3) and its alpha (H, W).

    -> `GaussianGradients` of `Gaussians`, `ActivatedGradients` of `Activated`. The cuts (1/255, 1e-4, the
    depths' order) are held where they are; a Gaussian's opacity that is held at 0.99 has no slope.
    """
    from .raster_kernels import blend_back, gathered

    made, plane = rendered.context, rendered.alpha.shape
    if np.shape(d_image) != (*plane, 3) or (d_alpha is not None and np.shape(d_alpha) != plane):
        raise SettingsError(f"The gradients of a picture of {plane[1]} x {plane[0]} px have another size.")
    g_image = np.ascontiguousarray(d_image, np.float32).reshape(-1)
    g_alpha = np.zeros(plane, np.float32) if d_alpha is None else np.ascontiguousarray(d_alpha, np.float32)
    image, alpha, g_alpha = rendered.image.reshape(-1), rendered.alpha.reshape(-1), g_alpha.reshape(-1)
    moments = np.empty(9 * len(made.slots), np.float32)
    tiles_x = -(-made.size[0] // TILE)

    def piece(first: int, last: int) -> None:
        blend_back(
            first, last, tiles_x, made.size, made.starts, made.ends, made.members, made.slots, made.records,
            image, alpha, g_image, g_alpha, moments,
        )  # fmt: skip

    in_pieces(piece, len(made.ends), 1, made.threads)
    padded = len(made.offsets) - 1
    sums = np.empty(9 * padded, np.float32)
    in_pieces(
        lambda first, last: gathered(moments, made.offsets, sums, first, last), padded, BLOCK, made.threads
    )
    return _unprojected(made, sums)


def _camera(view: View) -> Array:
    """The view as the kernels read it. The slope of a projection is held 15 % outside the picture."""
    x, y = view.width / view.fx, view.height / view.fy
    limits = [
        -view.cx / view.fx - 0.15 * x,
        (view.width - view.cx) / view.fx + 0.15 * x,
        -view.cy / view.fy - 0.15 * y,
        (view.height - view.cy) / view.fy + 0.15 * y,
    ]
    pose = [*view.T_view_world[:3, :3].ravel(), *view.T_view_world[:3, 3]]
    lens = [view.fx, view.fy, view.cx, view.cy, view.near]
    return np.array([*pose, *lens, *limits, *view.centre], np.float32)


def _inputs(gaussians: Gaussians | Activated) -> tuple[list[Array], bool]:
    """The five arrays, and whether they are stored or activated."""
    g = gaussians
    if isinstance(g, Gaussians):
        return [g.means, g.log_scales, g.rotations, g.opacity_logits, g.sh], True
    return [g.means, g.scales, g.rotations, g.opacities, g.colours], False


def _blocks(gaussians: Gaussians | Activated) -> list[tuple[list[Array], int, int]]:
    """Flat arrays whose length is a multiple of BLOCK, with the Gaussian they begin at and their number.

    Of arrays that do not divide by it only the last rows are copied.
    """
    arrays, _ = _inputs(gaussians)
    count, whole = len(gaussians), len(gaussians) // BLOCK * BLOCK
    blocks = [([array[:whole].reshape(-1) for array in arrays], 0, whole)] if whole else []
    if count > whole:
        tails = [np.zeros((BLOCK, *array.shape[1:]), np.float32) for array in arrays]
        for tail, array in zip(tails, arrays, strict=True):
            tail[: count - whole] = array[whole:]
        tails[0][count - whole :] = np.nan  # nowhere: not seen
        blocks.append(([tail.reshape(-1) for tail in tails], whole, BLOCK))
    return blocks


def _projected(
    gaussians: Gaussians | Activated, camera: Array, size: tuple[int, int], compensated: bool, threads: int
) -> tuple[Array, Array]:
    """Records (m, 16) and boxes (m, 4) of tiles, flat, m a multiple of BLOCK."""
    from .project_kernels import project

    padded = -(-len(gaussians) // BLOCK) * BLOCK
    records, boxes = np.empty(16 * padded, np.float32), np.empty(4 * padded, np.int32)
    stored = isinstance(gaussians, Gaussians)
    for arrays, begin, count in _blocks(gaussians):
        into = records[16 * begin :], boxes[4 * begin :]

        def piece(first: int, last: int, arrays: Any = arrays, into: Any = into) -> None:
            means, scales, rotations, opacities, coefficients = arrays
            project(
                means, scales, rotations, opacities, coefficients, gaussians.degree, stored, compensated,
                camera, size, first, last, into[0], into[1],
            )  # fmt: skip

        in_pieces(piece, count, BLOCK, threads)
    return records, boxes


def _unprojected(made: Context, sums: Array) -> GaussianGradients | ActivatedGradients:
    """From the gradients in the picture to those of the Gaussians."""
    from .project_back_kernels import back

    gaussians = made.gaussians
    inputs, stored = _inputs(gaussians)
    count, padded = len(gaussians), len(sums) // 9
    shapes = [*(array.shape[1:] for array in inputs), (2,)]
    found = [np.empty((padded, *shape), np.float32) for shape in shapes]
    for arrays, begin, rows in _blocks(gaussians):
        records = made.records[16 * begin :], sums[9 * begin :]
        into = [array[begin:].reshape(-1) for array in found]

        def piece(
            first: int, last: int, arrays: Any = arrays, records: Any = records, into: Any = into
        ) -> None:
            means, scales, rotations, opacities, coefficients = arrays
            back(
                means, scales, rotations, opacities, coefficients, gaussians.degree, stored, made.compensated,
                made.camera, first, last, records[0], records[1],
                into[0], into[1], into[2], into[3], into[4], into[5],
            )  # fmt: skip

        in_pieces(piece, rows, BLOCK, made.threads)
    kind = GaussianGradients if stored else ActivatedGradients
    return kind(*(array[:count] for array in found))
