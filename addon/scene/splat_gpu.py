# SPDX-License-Identifier: GPL-3.0-or-later
"""`SplatPainter`: one Gaussian head on the graphics card, and pictures of it.

The Gaussians go there once; a pose costs a texture of triangle frames, a view one of the order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import gpu as _gpu
import numpy as np

from ...core.splat.playback import frames
from ...core.splat.splat_avatar import SplatAvatar
from . import splat_shader
from .splat_lens import Lens
from .splat_pack import WIDTH, affine_of, frames_table, order_table, rows_of, tables_of
from .splat_sort import DepthOrder

gpu: Any = _gpu  # the stubs do not know what its classes are made of

Array = np.ndarray

MOST_VIEWS = 8
"""Orders that are kept, one for each view that is drawn."""


def texture(array: Array, form: str = "RGBA32F") -> Any:
    """A texture of a (rows, columns[, 4]) float32 array; a picture's row 0 is its lowest."""
    array = np.ascontiguousarray(array, np.float32)
    data = gpu.types.Buffer("FLOAT", array.size, array.reshape(-1))
    return gpu.types.GPUTexture((array.shape[1], array.shape[0]), format=form, data=data)


class Canvas:
    """A picture of display values with premultiplied alpha that splats are blended in."""

    def __init__(self, width: int, height: int) -> None:
        self.size = width, height
        self.picture = gpu.types.GPUTexture((width, height), format="RGBA16F")
        self.framebuffer = gpu.types.GPUFrameBuffer(color_slots=[self.picture])

    def clear(self) -> None:
        """Make it empty."""
        with self.framebuffer.bind():
            self.framebuffer.clear(color=(0.0, 0.0, 0.0, 0.0))

    def pixels(self) -> Array:
        """(h, w, 4) float32, the first row at the top."""
        width, height = self.size
        # Flat: the strides of a buffer of several dimensions are wrong up to Blender 5.0.
        held = gpu.types.Buffer("FLOAT", 4 * width * height)
        with self.framebuffer.bind():
            self.framebuffer.read_color(0, 0, width, height, 4, 0, "FLOAT", data=held)
        return np.array(held, np.float32).reshape(height, width, 4)[::-1].copy()


class SplatPainter:
    """Draws one `SplatAvatar`. Needs a context of the graphics card in every call."""

    def __init__(self, avatar: SplatAvatar) -> None:
        gaussians = avatar.gaussians
        self.avatar, self.count = avatar, len(gaussians)
        tables = tables_of(gaussians, avatar.surface.rest_frames.axes)
        self._stored, self._rest = texture(tables.stored), texture(tables.rest)
        self._offsets = texture(tables.offsets, "RGBA16F")
        self._harmonics = texture(tables.harmonics)
        self._sorter = DepthOrder(gaussians)
        size = WIDTH, rows_of(self.count)
        self._records = [gpu.types.GPUTexture(size, format="RGBA32F") for _ in range(3)]
        self._project = gpu.types.GPUFrameBuffer(color_slots=self._records)
        self._affine, self._latent = np.zeros((3, 0, 4), np.float32), np.zeros(0, np.float32)
        self._frames: Any = None
        self._pose = 0
        self._orders: dict[Any, tuple[int, Array, Any]] = {}

    def pose(self, vertices: Array, latent: Array) -> None:
        """Place the surface: (n, 3) float32 vertices in the splats' space, (R,) numbers of the expression."""
        posed = frames(vertices, self.avatar.surface.triangles)
        self._affine, self._latent = affine_of(posed), np.asarray(latent, np.float32)
        self._frames = texture(frames_table(self._affine, self._latent))
        self._pose += 1

    @property
    def middle(self) -> Array:
        """(3,) of the posed surface."""
        return self._affine[:, :, 3].mean(axis=1)

    def draw(
        self, lens: Lens, canvas: Canvas, depth: Any = None, bias: float = 0.0, view: Any = None
    ) -> None:
        """Blend the posed splats into a canvas of the lens's size.

        depth: texture of the scene's window depth, of the canvas's size, which hides splats; `bias`: metres
        that they may be behind it all the same. `view`: what tells views of which orders are kept apart.
        """
        if self._frames is None or not self.count:
            return
        with _state():
            self._record(lens, bias)
            self._blend(canvas, depth, self._order(lens, view))

    def _record(self, lens: Lens, bias: float) -> None:
        shader = _project_shader(self.avatar.gaussians.degree)
        triangles = self._affine.shape[1]
        gpu.state.blend_set("NONE")
        with self._project.bind():
            shader.bind()
            shader.uniform_float("clip", _columns(lens.clip))
            shader.uniform_float("eye", lens.eye.tolist())
            shader.uniform_float("picture", (lens.width, lens.height, bias, 0.0))
            shader.uniform_int(
                "counts", (self.count, rows_of(self.count), len(self._latent), rows_of(triangles))
            )
            names = {"stored": self._stored, "frames": self._frames, "offsets": self._offsets}
            names |= {"harmonics": self._harmonics, "rest": self._rest}
            for name, held in names.items():
                shader.uniform_sampler(name, held)
            _strip().draw(shader)

    def _blend(self, canvas: Canvas, depth: Any, order: Any) -> None:
        shader = _quad_shader()
        gpu.state.blend_set("ALPHA_PREMULT")
        with canvas.framebuffer.bind():
            shader.bind()
            shader.uniform_float("pixel", (2.0 / canvas.size[0], 2.0 / canvas.size[1]))
            shader.uniform_int("tested", int(depth is not None))
            for name, held in zip(("place", "axes", "paint"), self._records, strict=True):
                shader.uniform_sampler(name, held)
            shader.uniform_sampler("order", order)
            shader.uniform_sampler("scene_depth", order if depth is None else depth)
            _strip().draw_instanced(shader, instance_start=0, instance_count=self.count)

    def _order(self, lens: Lens, view: Any) -> Any:
        """The texture of the order from far to near, sorted again when the pose or the direction changed."""
        along = lens.along
        known = self._orders.pop(view, None)
        if known is None or known[0] != self._pose or not np.allclose(known[1][:3], along[:3], 0, 1e-5):
            order = self._sorter.order(self._affine, self._latent, along)
            known = self._pose, along, texture(order_table(order), "R32F")
        self._orders[view] = known
        while len(self._orders) > MOST_VIEWS:
            del self._orders[next(iter(self._orders))]
        return known[2]


def lay_over(canvas: Canvas, backdrop: Sequence[float] | None = None) -> None:
    """Put a canvas over the framebuffer that is bound, of the same size.

    backdrop: where that is Blender's overlay, linear red, green, blue above 0 of what is mostly seen behind
    it; None for a framebuffer of display values.
    """
    with _state():
        shader = _over_shader()
        shader.bind()
        shader.uniform_sampler("source", canvas.picture)
        shader.uniform_float("backdrop", (*(backdrop or (1.0, 1.0, 1.0)), 1.0))
        shader.uniform_int("display", int(backdrop is None))
        gpu.state.blend_set("ALPHA_PREMULT")
        _strip().draw(shader)


def forget_shaders() -> None:
    """Free what all painters share."""
    for cached in (_project_shader, _quad_shader, _over_shader, _strip):
        cached.cache_clear()


@contextmanager
def _state() -> Iterator[None]:
    """No depth, no culling; afterwards as it was."""
    kept = gpu.state.blend_get(), gpu.state.depth_test_get(), gpu.state.depth_mask_get()
    gpu.state.depth_test_set("NONE")
    gpu.state.depth_mask_set(False)
    gpu.state.face_culling_set("NONE")
    try:
        yield
    finally:
        gpu.state.blend_set(kept[0])
        gpu.state.depth_test_set(kept[1])
        gpu.state.depth_mask_set(kept[2])


def _columns(matrix: Array) -> list[float]:
    return matrix.T.astype(np.float32).ravel().tolist()


@lru_cache(maxsize=4)
def _project_shader(degree: int) -> Any:
    return splat_shader.project_shader(degree)


@lru_cache(maxsize=1)
def _quad_shader() -> Any:
    return splat_shader.quad_shader()


@lru_cache(maxsize=1)
def _over_shader() -> Any:
    return splat_shader.over_shader()


@lru_cache(maxsize=1)
def _strip() -> Any:
    """Four corners that the shaders number themselves; some drivers draw nothing without an attribute."""
    form = gpu.types.GPUVertFormat()
    form.attr_add(id="number", comp_type="F32", len=1, fetch_mode="FLOAT")
    corners = gpu.types.GPUVertBuf(form, 4)
    corners.attr_fill("number", np.arange(4, dtype=np.float32))
    return gpu.types.GPUBatch(type="TRI_STRIP", buf=corners)
