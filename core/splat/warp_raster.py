# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw Gaussians with NVIDIA's warp, and bring gradients back: the way to CUDA that needs no compiler.

warp (Apache-2.0) carries NVRTC, so its kernels are compiled by the wheel itself, for a graphics processor
where there is one, else for its own CPU device, where a launch runs thread after thread on one core. The
tests hold the CPU device equal to `raster` and compile the same source for CUDA; no CUDA device has run it
yet.

The pictures are those of `raster.render`. Gradients on CUDA are summed by atomics, so their last bits differ
from run to run; everything else is deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ..errors import SettingsError
from .gaussians import Activated, Gaussians
from .raster import MAX_PAIRS, TILE, _camera, _inputs
from .raster_result import ActivatedGradients, Context, GaussianGradients, Rendered
from .view import View

Array = np.ndarray

THREADS = 64
"""Of a tile, and of a block: for another size of block warp compiles a module again."""


@dataclass(frozen=True, eq=False)
class WarpContext:
    """How a picture was made; arrays that are not numpy's stand on the device."""

    gaussians: Gaussians | Activated
    size: tuple[int, int]
    compensated: bool
    device: str
    lens: Any
    inputs: list[Any]
    records: Any
    counts: Array
    """(n,) tiles that each Gaussian reaches."""
    starts: Any
    ends: Any
    members: Any
    image: Any
    alpha: Any

    @property
    def visible(self) -> Array:
        """(n,) bool: which Gaussians reach a pixel of the picture."""
        return self.counts > 0

    @property
    def half_sizes(self) -> Array:
        """(n, 2) float32 px: half the width and height of what is drawn of each; 0 where nothing is."""
        sizes = self.records.numpy().reshape(-1, 12)[:, 10:12]
        return np.where(self.visible[:, None], sizes, np.float32(0.0))


def devices() -> list[str]:
    """The names of warp's devices, such as cpu and cuda:0; none without warp."""
    try:
        return [str(device) for device in _warp().get_devices()]
    except ImportError:
        return []


def render(
    gaussians: Gaussians | Activated,
    view: View,
    background: Any = (0.0, 0.0, 0.0),
    *,
    compensated: bool = False,
    device: str = "cuda:0",
) -> Rendered:
    """As `raster.render`, on a device of warp; the context of the result is a `WarpContext`."""
    from . import warp_blend_kernels as blending
    from . import warp_project_kernels as projecting

    back = np.asarray(background, np.float32)
    if back.shape != (3,):
        raise SettingsError("The background of the Gaussians must be one colour of three numbers.")
    wp, count = _warp(), len(gaussians)
    lens, inputs = _lens(view), _uploaded(gaussians, device)
    tiles = lens.tiles_x * -(-view.height // TILE)
    pixels = view.width * view.height
    with wp.ScopedDevice(device):
        records, boxes = wp.empty(3 * count, dtype=wp.vec4), wp.empty(count, dtype=wp.vec4i)
        counts, sums = wp.empty(count, dtype=wp.int64), wp.empty(count, dtype=wp.int64)
        flags = _flags(gaussians, compensated)
        wp.launch(projecting.project, count, inputs=[lens, *inputs, *flags, records, boxes, counts])
        wp.utils.array_scan(counts, sums, inclusive=True)
        starts, ends = wp.zeros(tiles, dtype=wp.int32), wp.zeros(tiles, dtype=wp.int32)
        pairs = int(sums[count - 1 :].numpy()[0]) if count else 0
        if pairs > MAX_PAIRS:
            raise SettingsError(
                f"The {count} Gaussians cover the picture too many times over to be drawn.",
                "Most of them are far too large: check the units, or draw a smaller picture.",
            )
        members = wp.empty(2 * max(pairs, 1), dtype=wp.int32)
        if pairs:
            keys = wp.empty(2 * pairs, dtype=wp.int64)
            dealt = [boxes, sums, records, lens.tiles_x, keys, members]
            wp.launch(blending.deal, count, inputs=dealt, block_dim=THREADS)
            wp.utils.radix_sort_pairs(keys, members, pairs, 0, 32 + tiles.bit_length())
            wp.launch(blending.bound, pairs, inputs=[keys, pairs, starts, ends], block_dim=THREADS)
        image = wp.empty(pixels, dtype=wp.vec3)
        alpha, depth = wp.empty(pixels, dtype=wp.float32), wp.empty(pixels, dtype=wp.float32)
        ordered = [lens, wp.vec3(*back.tolist()), starts, ends, members, records, image, alpha, depth]
        wp.launch(blending.blend, THREADS * tiles, inputs=ordered, block_dim=THREADS)
    plane = (view.height, view.width)
    context = WarpContext(
        gaussians, (view.width, view.height), compensated, device, lens, inputs, records, counts.numpy(),
        starts, ends, members, image, alpha,
    )  # fmt: skip
    drawn = (array.numpy() for array in (image, alpha, depth))
    shapes = (*plane, 3), plane, plane
    made = [array.reshape(shape) for array, shape in zip(drawn, shapes, strict=True)]
    return Rendered(made[0], made[1], made[2], cast(Context, context))


def gradients(rendered: Rendered, d_image: Array, d_alpha: Array | None = None) -> Any:
    """As `raster.gradients`, of what `render` drew."""
    from . import warp_blend_kernels as blending
    from . import warp_project_kernels as projecting

    made, plane = cast(Any, rendered.context), rendered.alpha.shape
    if np.shape(d_image) != (*plane, 3) or (d_alpha is not None and np.shape(d_alpha) != plane):
        raise SettingsError(f"The gradients of a picture of {plane[1]} x {plane[0]} px have another size.")
    wp, count = _warp(), len(made.gaussians)
    g_alpha = np.zeros(plane) if d_alpha is None else d_alpha
    with wp.ScopedDevice(made.device):
        slopes = [
            wp.array(np.ascontiguousarray(d_image, np.float32).reshape(-1, 3), dtype=wp.vec3),
            wp.array(np.ascontiguousarray(g_alpha, np.float32).reshape(-1), dtype=wp.float32),
        ]
        sums = wp.zeros(9 * count, dtype=wp.float32)
        drawn = [made.starts, made.ends, made.members, made.records, made.image, made.alpha]
        arrays = [made.lens, *drawn, *slopes, sums]
        wp.launch(blending.blend_back, THREADS * len(made.starts), inputs=arrays, block_dim=THREADS)
        found = [wp.zeros_like(array) for array in made.inputs] + [wp.zeros(count, dtype=wp.vec2)]
        flags = _flags(made.gaussians, made.compensated)
        arrays = [made.lens, *made.inputs, *flags, made.records, sums, *found]
        wp.launch(projecting.project_back, count, inputs=arrays)
    own, stored = _inputs(made.gaussians)
    shapes = [*(array.shape for array in own), (count, 2)]
    kind = GaussianGradients if stored else ActivatedGradients
    return kind(*(array.numpy().reshape(shape) for array, shape in zip(found, shapes, strict=True)))


def _warp() -> Any:
    """The library, which writes what it found to stdout when it starts unless it is told not to."""
    import warp

    warp.config.log_level = max(warp.config.log_level, warp.LOG_ERROR)
    warp.init()
    return warp


def _flags(gaussians: Gaussians | Activated, compensated: bool) -> tuple[int, int, int]:
    """Degree, whether the arrays are stored or activated, whether small Gaussians lose opacity."""
    return gaussians.degree, int(isinstance(gaussians, Gaussians)), int(compensated)


def _lens(view: View) -> Any:
    """The view as the kernels read it."""
    from .warp_project_kernels import Lens

    wp, camera, lens = _warp(), _camera(view).tolist(), Lens()
    lens.turn, lens.shift, lens.eye = wp.mat33(*camera[:9]), wp.vec3(*camera[9:12]), wp.vec3(*camera[21:])
    lens.fx, lens.fy, lens.cx, lens.cy, lens.near = camera[12:17]
    lens.left, lens.right, lens.top, lens.bottom = camera[17:21]
    lens.width, lens.height, lens.tiles_x = view.width, view.height, -(-view.width // TILE)
    return lens


def _uploaded(gaussians: Gaussians | Activated, device: str) -> list[Any]:
    """The five arrays on the device."""
    wp = _warp()
    kinds = (wp.vec3, wp.vec3, wp.vec4, wp.float32, wp.vec3)
    arrays = _inputs(gaussians)[0]
    arrays[4] = arrays[4].reshape(-1, 3)
    return [wp.array(array, dtype=kind, device=device) for array, kind in zip(arrays, kinds, strict=True)]
