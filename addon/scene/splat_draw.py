# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian heads in the 3D viewport, and the same drawing into a picture.

    register(), unregister()    the draw handler
    forget()                    after another file was opened: free what was on the graphics card
    STATUS.trouble              why drawing stopped, one sentence for the panel; `retry()` tries again
    draw_offscreen(states, lens) -> (h, w, 4) float32

Splats are blended as display values, as they were trained, in a picture of their own that is then laid over
the viewport, so that colours are the footage's whatever the scene's view transform.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import bpy
import gpu as _gpu
import numpy as np
from mathutils import Color

from . import splat_gpu
from .splat_gpu import Canvas, SplatPainter, lay_over
from .splat_lens import Lens
from .splat_object import draws_in_viewport
from .splat_occluders import drawn_depth, has_depth, viewport_depth
from .splat_state import HeadState, heads, state_of

gpu: Any = _gpu  # the stubs do not know what its classes are made of

Array = np.ndarray

BIAS = 0.0015
"""Metres that a splat may be behind a mesh and still be seen: at the neck both have the same surface."""
_MOST_CANVASES = 4
_MOST_PAINTERS = 8


@dataclass
class Status:
    """What the panel may say of the drawing."""

    trouble: str = ""
    """Why nothing is drawn any more; empty while all is well."""


STATUS = Status()
"""The only instance."""

_log = logging.getLogger(__name__)
_handle: list[Any] = []


@dataclass
class Store:
    """What is kept on the graphics card from picture to picture. Blender draws viewports in a context of
    their own, whose framebuffers no operator can use: whoever draws elsewhere needs another store.
    """

    painters: dict[Any, SplatPainter] = field(default_factory=dict)
    """By the head's session_uid."""
    poses: dict[Any, tuple[Array, Array]] = field(default_factory=dict)
    """What they were posed with last."""
    canvases: dict[tuple[int, int], Canvas] = field(default_factory=dict)
    """By size."""

    def clear(self) -> None:
        """Free everything."""
        self.painters.clear()
        self.poses.clear()
        self.canvases.clear()


_store = Store()


def register() -> None:
    """Draw from now on."""
    if not _handle:
        space: Any = bpy.types.SpaceView3D
        _handle.append(space.draw_handler_add(_on_draw, (), "WINDOW", "POST_VIEW"))


def unregister() -> None:
    """Stop drawing, free everything."""
    space: Any = bpy.types.SpaceView3D
    while _handle:
        space.draw_handler_remove(_handle.pop(), "WINDOW")
    forget()
    splat_gpu.forget_shaders()


def forget() -> None:
    """Free what is on the graphics card; it comes back with the next picture."""
    _store.clear()
    STATUS.trouble = ""


def retry() -> None:
    """Draw again after a failure."""
    forget()
    splat_gpu.forget_shaders()
    redraw()


def redraw() -> None:
    """Let all 3D viewports be drawn anew."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()


def draw_offscreen(
    states: Sequence[HeadState], lens: Lens, background: Sequence[float] | None = None
) -> Array:
    """(h, w, 4) float32, first row at the top: heads as display values (sRGB) with premultiplied alpha.

    background: three display values that the heads are put over; alpha is 1 then. Needs a context of the
    graphics card: a window, or `gpu.init()` in the background from Blender 5.2.
    """
    canvas = Canvas(lens.width, lens.height)
    canvas.clear()
    painters = []
    for state in states:
        painter = SplatPainter(state.avatar)
        painter.pose(state.vertices, state.latent)
        painters.append(painter)
    for painter in _far_first(painters, lens):
        painter.draw(lens, canvas)
    picture = canvas.pixels()
    if background is not None:
        picture[..., :3] += (1.0 - picture[..., 3:]) * np.asarray(background, np.float32)
        picture[..., 3] = 1.0
    return picture


def _on_draw() -> None:
    """The handler: never raises; a failure ends the drawing until `retry`."""
    if STATUS.trouble:
        return
    try:
        _draw_view(bpy.context)
    except Exception as problem:  # noqa: BLE001 - Blender would print it with every picture, for ever
        _log.exception("Drawing the Gaussian heads failed")
        STATUS.trouble = f"The splats cannot be drawn on this graphics card: {_first_line(problem)}"
        _store.clear()


def _draw_view(context: Any) -> None:
    matrices = gpu.matrix.get_projection_matrix(), gpu.matrix.get_model_view_matrix()
    size, view = gpu.state.viewport_get()[2:], context.region.as_pointer()
    canvas = heads_over(context.scene, context.view_layer, context.space_data, matrices, size, _store, view)
    if canvas is not None:
        lay_over(canvas, _backdrop(context))


def heads_over(
    scene: Any,
    layer: Any,
    space: Any,
    matrices: tuple[Any, Any],
    size: tuple[int, int],
    store: Store,
    view: Any = None,
) -> Canvas | None:
    """The heads that a 3D view shows, hidden where the bound framebuffer's depth is nearer; None for none.

    matrices: projection, and from world space to the view. `view` tells views apart that are drawn in turn.
    """
    shown = [head for head in heads(scene) if draws_in_viewport(head, layer, space)]
    graph = layer.depsgraph if shown else None
    painters = (
        [painter for head in shown if (painter := _posed(store, graph, head)) is not None] if graph else []
    )
    if not painters:
        return None
    lens = Lens.of_matrices(*matrices, *size)
    depth = _scene_depth(scene, space, graph, matrices, *size)
    canvas = _canvas(store, size)
    canvas.clear()
    for painter in _far_first(painters, lens):
        painter.draw(lens, canvas, depth, BIAS, view)
    return canvas


def _posed(store: Store, graph: Any, head: Any) -> SplatPainter | None:
    """The painter of a head as it is in this evaluation, posed again where that changed."""
    state = state_of(graph, head)
    if state is None:
        return None
    key = head.session_uid
    painter = store.painters.pop(key, None)
    if painter is None or painter.avatar is not state.avatar:
        painter = SplatPainter(state.avatar)
        store.poses.pop(key, None)
    store.painters[key] = painter
    while len(store.painters) > _MOST_PAINTERS:
        del store.painters[next(iter(store.painters))]
    before, now = store.poses.get(key), (state.vertices, state.latent)
    if before is None or not all(map(np.array_equal, before, now)):
        painter.pose(*now)
        store.poses[key] = now
    return painter


def _far_first(painters: Sequence[SplatPainter], lens: Lens) -> Iterator[SplatPainter]:
    """Whole heads from far to near; splats of two heads are not sorted together."""
    along = lens.along
    return iter(sorted(painters, key=lambda painter: -float(along[:3] @ painter.middle)))


def _sees_through(space: Any) -> bool:
    """Whether the view shows what is behind meshes: X-ray, or wires alone."""
    shading = getattr(space, "shading", None)
    if shading is None or shading.type not in {"SOLID", "WIREFRAME"}:
        return False
    return shading.type == "WIREFRAME" or shading.show_xray


def _scene_depth(scene: Any, space: Any, graph: Any, matrices: Any, width: int, height: int) -> Any:
    """What hides splats in this view, None where nothing does."""
    if _sees_through(space):
        return None
    if has_depth(scene, space):
        return viewport_depth(width, height)
    return drawn_depth(graph, space, matrices[0], matrices[1], width, height)


def _backdrop(context: Any) -> Sequence[float]:
    """Linear colour of what is behind most of a view, as far as one can tell; never quite black."""
    shading = getattr(context.space_data, "shading", None)
    colour: Any = (0.13, 0.13, 0.13)
    if shading is not None and shading.type in {"SOLID", "WIREFRAME"}:
        if shading.background_type == "VIEWPORT":
            colour = shading.background_color
        elif shading.background_type == "WORLD" and context.scene.world is not None:
            colour = context.scene.world.color
        else:
            colour = context.preferences.themes[0].view_3d.space.gradients.high_gradient
            colour = Color(colour).from_srgb_to_scene_linear()
    return [min(max(value, 0.004), 1.0) for value in colour]


def _canvas(store: Store, size: tuple[int, int]) -> Canvas:
    canvas = store.canvases.pop(size, None) or Canvas(*size)
    store.canvases[size] = canvas
    while len(store.canvases) > _MOST_CANVASES:
        del store.canvases[next(iter(store.canvases))]
    return canvas


def _first_line(problem: Exception) -> str:
    text = str(problem).strip().split("\n")[0] or type(problem).__name__
    return text if text.endswith(".") else f"{text}."
