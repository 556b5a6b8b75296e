# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of the viewport with its Gaussian heads: Blender's own viewport render leaves them out."""

from __future__ import annotations

from typing import Any

import gpu as _gpu
import numpy as np

from ...core.errors import SettingsError
from .splat_draw import Store, heads_over
from .splat_gpu import lay_over

gpu: Any = _gpu  # the stubs do not know what its classes are made of

Array = np.ndarray


def viewport_picture(
    scene: Any, layer: Any, space: Any, region: Any, width: int, height: int, store: Store | None = None
) -> Array:
    """(height, width, 4) uint8 display values, first row at the top: the scene's camera in a view's shading.

    space, region: of a 3D view; its shading and overlays are used. Raises SettingsError without a camera.
    Needs a context of the graphics card. `store`: kept by the caller, it makes further pictures faster.
    """
    graph, camera = layer.depsgraph, scene.camera
    if camera is None or graph is None:
        raise SettingsError("The scene has no camera.", "Add one, or build the double again.")
    seen = camera.evaluated_get(graph)
    aspect = {"scale_x": scene.render.pixel_aspect_x, "scale_y": scene.render.pixel_aspect_y}
    projection = seen.calc_matrix_camera(graph, x=width, y=height, **aspect)
    view = seen.matrix_world.normalized().inverted()
    offscreen = gpu.types.GPUOffScreen(width, height, format="RGBA8")
    try:
        offscreen.draw_view3d(
            scene, layer, space, region, view, projection, do_color_management=True, draw_background=True
        )
        held = gpu.types.Buffer("UBYTE", 4 * width * height)
        with offscreen.bind():
            canvas = heads_over(scene, layer, space, (projection, view), (width, height), store or Store())
            if canvas is not None:
                lay_over(canvas)
            framebuffer = gpu.state.active_framebuffer_get()
            framebuffer.read_color(0, 0, width, height, 4, 0, "UBYTE", data=held)
    finally:
        offscreen.free()
    return np.array(held, np.uint8).reshape(height, width, 4)[::-1].copy()
