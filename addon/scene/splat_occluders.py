# SPDX-License-Identifier: GPL-3.0-or-later
"""The window depth that hides splats: Blender's own where the viewport has it, else drawn from the meshes.

With overlays off, EEVEE and Cycles leave the viewport's depth buffer empty (measured in 5.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gpu as _gpu
import numpy as np

gpu: Any = _gpu  # the stubs do not know what its classes are made of

Array = np.ndarray

MOST_TRIANGLES = 2_000_000
"""Of a mesh that is drawn here; larger ones hide nothing, which is better than a view that stands still."""


def has_depth(scene: Any, space: Any) -> bool:
    """Whether the viewport's depth buffer holds the scene's meshes when draw handlers run."""
    shading = getattr(space, "shading", None)
    if shading is None or shading.type in {"SOLID", "WIREFRAME"} or space.overlay.show_overlays:
        return True
    return shading.type == "RENDERED" and scene.render.engine == "BLENDER_WORKBENCH"


def viewport_depth(width: int, height: int) -> Any:
    """The depth of the framebuffer that is bound, as a texture: Blender gives no way to the one it has."""
    held = gpu.types.Buffer("FLOAT", width * height)
    gpu.state.active_framebuffer_get().read_depth(0, 0, width, height, data=held)
    return gpu.types.GPUTexture((width, height), format="R32F", data=held)


def drawn_depth(graph: Any, space: Any, projection: Any, view: Any, width: int, height: int) -> Any:
    """The depth of all meshes that a view shows, drawn for it; a texture."""
    depth = gpu.types.GPUTexture((width, height), format="DEPTH_COMPONENT32F")
    framebuffer = gpu.types.GPUFrameBuffer(depth_slot=depth)
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    kept = gpu.state.depth_test_get(), gpu.state.depth_mask_get(), gpu.state.blend_get()
    with framebuffer.bind():
        framebuffer.clear(depth=1.0)
        gpu.state.depth_test_set("LESS_EQUAL")
        gpu.state.depth_mask_set(True)
        gpu.state.blend_set("NONE")
        try:
            shader.bind()
            shader.uniform_float("color", (1.0, 1.0, 1.0, 1.0))
            with gpu.matrix.push_pop_projection(), gpu.matrix.push_pop():
                gpu.matrix.load_projection_matrix(projection)
                for mesh, matrix in _meshes(graph, space):
                    gpu.matrix.load_matrix(view @ matrix)
                    _batch(mesh).draw(shader)
        finally:
            gpu.state.depth_test_set(kept[0])
            gpu.state.depth_mask_set(kept[1])
            gpu.state.blend_set(kept[2])
        return viewport_depth(width, height)


def _meshes(graph: Any, space: Any) -> Iterator[tuple[Any, Any]]:
    """Meshes with faces that are seen as such, with their world matrices."""
    for instance in graph.object_instances:
        obj = instance.object
        if obj.type != "MESH" or obj.display_type in {"BOUNDS", "WIRE"} or not instance.show_self:
            continue
        if not (instance.is_instance or obj.original.visible_get(viewport=space)):
            continue
        mesh = obj.data
        if mesh is not None and 0 < len(mesh.loop_triangles) <= MOST_TRIANGLES:
            yield mesh, instance.matrix_world.copy()


def _batch(mesh: Any) -> Any:
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.attributes["position"].data.foreach_get("vector", points)
    corners = np.empty(3 * len(mesh.loop_triangles), np.int32)
    mesh.loop_triangles.foreach_get("vertices", corners)
    form = gpu.types.GPUVertFormat()
    form.attr_add(id="pos", comp_type="F32", len=3, fetch_mode="FLOAT")
    buffer = gpu.types.GPUVertBuf(form, len(mesh.vertices))
    buffer.attr_fill("pos", points.reshape(-1, 3))
    return gpu.types.GPUBatch(
        type="TRIS", buf=buffer, elem=gpu.types.GPUIndexBuf(type="TRIS", seq=corners.reshape(-1, 3))
    )
