# SPDX-License-Identifier: GPL-3.0-or-later
"""A Gaussian head for any render engine: a card per splat, which glows and fades as its Gaussian does.

Cards are four points each in one plain mesh, so that Blender's engines and exporters take them as they are.
At every change of frame, renders included, they are put where the double is now, turned to the scene's
camera in the shape that each Gaussian has from there, coloured as it looks from there, and sorted from back
to front, which is the order in which EEVEE blends one mesh.

What they cannot do: they are right for the scene's camera only and nothing in mirrors; engines blend them as
light, not as the display values that they were trained in, and the view transform changes their colours;
Cycles needs as many transparent bounces as cards lie behind each other; Workbench shows them as squares.
`splat_frames` has none of these limits.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ...core.errors import SplatError
from ...core.rotation import to_matrix
from ...core.splat.gaussians import Activated
from ...core.splat.playback import place
from .bpy_compat import use_nodes
from .double import ID_KEY, role_of, tag
from .mesh import to_blender
from .splat_state import body_of, is_head, problem_of, settings_of, state_of, to_head_axes

Array = np.ndarray

ROLE = "splat_cards"
TITLE = "Splat Cards"
COLOUR = "splat_colour"
"""Point attribute: colour in Blender's linear space, alpha the opacity."""
REACH = 3.0
"""Standard deviations from the middle of a card to its side."""
BOUNCES = 128
"""Transparent bounces that Cycles should have."""
_HEAD = "likeness_head"
_FAR = 1e3
"""Metres behind a camera without perspective that its rays seem to come from."""


def cards_of(head: Any) -> Any:
    """The cards of a Gaussian head, None where there are none."""
    for collection in head.users_collection:
        for obj in collection.objects:
            if role_of(obj) == ROLE and obj.get(_HEAD) == head:
                return obj
    return None


def all_cards(scene: bpy.types.Scene) -> list[Any]:
    """Every such object of a scene."""
    return [obj for obj in scene.objects if role_of(obj) == ROLE]


def add_cards(scene: bpy.types.Scene, head: Any) -> Any:
    """Make the cards of a Gaussian head, or bring them up to date; Cycles gets the bounces that they need.

    Raises SplatError where the head cannot be shown.
    """
    problem = problem_of(head)
    if problem:
        raise SplatError(problem, "Train the head again, or choose its file.")
    cards = cards_of(head)
    if cards is None:
        name = head.name.replace("Gaussian Head", TITLE)
        cards = tag(bpy.data.objects.new(name, bpy.data.meshes.new(name)), str(head.get(ID_KEY, "")), ROLE)
        cards[_HEAD] = head
        head.users_collection[0].objects.link(cards)
        # Viewports have the splats themselves; the proxy casts the shadow.
        cards.hide_viewport, cards.visible_shadow = True, False
        cards.hide_render = settings_of(head).show == "MESH"
        cards.visible_diffuse = cards.visible_glossy = cards.visible_transmission = False
        cards.visible_volume_scatter = False
        cards.data.materials.append(_material())
    cycles: Any = scene.cycles
    cycles.transparent_max_bounces = max(cycles.transparent_max_bounces, BOUNCES)
    scene.render.use_lock_interface = True  # the handler writes while a render job reads
    update_cards(scene, bpy.context.evaluated_depsgraph_get(), cards)
    return cards


def remove_cards(head: Any) -> bool:
    """Take the cards of a head away; whether there were any."""
    cards = cards_of(head)
    if cards is None:
        return False
    mesh = cards.data
    bpy.data.objects.remove(cards)
    if not mesh.users:
        bpy.data.meshes.remove(mesh)
    return True


def after_frame(scene: bpy.types.Scene, graph: bpy.types.Depsgraph | None) -> None:
    """After a change of frame, in a render by the render's own evaluation: let all cards follow."""
    if graph is None:
        return
    for cards in all_cards(scene):
        hidden = cards.hide_render if graph.mode == "RENDER" else cards.hide_viewport
        if not hidden:
            update_cards(scene, graph, cards)


def update_cards(scene: bpy.types.Scene, graph: bpy.types.Depsgraph, cards: Any) -> None:
    """Put the cards where their head is in this evaluation. They stay where they were when it has none."""
    head = cards.get(_HEAD)
    if not is_head(head) or not all(_is_in(graph, obj) for obj in (head, body_of(head))):
        return
    state = state_of(graph, head)
    if state is None:
        return
    eye = _eye(scene, graph)
    placed = place(state.avatar, state.vertices, state.latent, eye)
    corners, colours = cards_arrays(placed, eye)
    world = to_blender(corners.reshape(-1, 3))
    back = np.array(cards.matrix_world.inverted_safe(), np.float32)
    _write(cards.data, world @ back[:3, :3].T + back[:3, 3], colours)


def _is_in(graph: bpy.types.Depsgraph, obj: Any) -> bool:
    """Whether an object is evaluated there: a render has another evaluation of its compositor alone."""
    return obj is not None and obj.evaluated_get(graph).is_evaluated


def cards_arrays(placed: Activated, eye: Array) -> tuple[Array, Array]:
    """(n, 4, 3) float32 corners and (n, 4) colours (linear, alpha the opacity) of cards that face `eye`, the
    farthest first.
    """
    away = placed.means - eye.astype(np.float32)
    distance = np.linalg.norm(away, axis=1, keepdims=True)
    away = away / np.maximum(distance, 1e-9)
    # Two axes across the ray; the first of the world's that it is farthest from starts them.
    across = np.cross(away, np.eye(3, dtype=np.float32)[np.argmin(np.abs(away), axis=1)])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    up = np.cross(away, across)
    spread = to_matrix(placed.rotations).astype(np.float32) * placed.scales[:, None, :]
    seen = np.stack([across, up], axis=1) @ spread  # (n, 2, 3)
    xx, xy, yy = ((seen[:, i] * seen[:, j]).sum(axis=1) for i, j in ((0, 0), (0, 1), (1, 1)))
    turn = 0.5 * np.arctan2(2.0 * xy, xx - yy)
    middle, half = 0.5 * (xx + yy), np.hypot(0.5 * (xx - yy), xy)
    long, short = REACH * np.sqrt(middle + half), REACH * np.sqrt(np.maximum(middle - half, 1e-14))
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    u, v = long[:, None] * (cos * across + sin * up), short[:, None] * (cos * up - sin * across)
    order = np.argsort(-distance[:, 0], kind="stable")
    u, v, middles = u[order], v[order], placed.means[order]
    corners = np.stack([middles - u - v, middles + u - v, middles + u + v, middles - u + v], axis=1)
    alpha = np.minimum(placed.opacities, 0.99)[:, None]
    colours = np.concatenate([_linear(placed.colours), alpha], axis=1)[order]
    return corners.astype(np.float32), colours.astype(np.float32)


def _linear(srgb: Array) -> Array:
    value = np.clip(srgb, 0.0, 1.0)
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _eye(scene: bpy.types.Scene, graph: bpy.types.Depsgraph) -> Array:
    """(3,) where the scene's camera is, in the head frame's axes; the front where there is none."""
    camera: Any = scene.camera
    if camera is None or camera.type != "CAMERA":
        return np.array([0.0, 1.6, 10.0], np.float32)
    seen = camera.evaluated_get(graph)
    matrix = np.array(seen.matrix_world.normalized())
    back = matrix[:3, 2] * (_FAR if seen.data.type == "ORTHO" else 0.0)
    return to_head_axes(matrix[:3, 3] + back)


def _write(mesh: Any, points: Array, colours: Array) -> None:
    count = len(colours)
    if len(mesh.vertices) != 4 * count:
        mesh.clear_geometry()
        mesh.vertices.add(4 * count)
        mesh.loops.add(4 * count)
        mesh.polygons.add(count)
        mesh.loops.foreach_set("vertex_index", np.arange(4 * count, dtype=np.int32))
        mesh.polygons.foreach_set("loop_start", np.arange(0, 4 * count, 4, dtype=np.int32))
        layer = mesh.uv_layers.new(name="UVMap", do_init=False)
        square = REACH * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)
        layer.uv.foreach_set("vector", np.tile(square, (count, 1)).ravel())
        mesh.attributes.new(COLOUR, "FLOAT_COLOR", "POINT")
        mesh.update(calc_edges=True)
    mesh.attributes["position"].data.foreach_set("vector", np.ascontiguousarray(points, np.float32).ravel())
    mesh.attributes[COLOUR].data.foreach_set("color", np.repeat(colours, 4, axis=0).ravel())
    mesh.update()


def _material() -> bpy.types.Material:
    """A glow that fades from the middle as a Gaussian does: exp(-r^2 / 2) of the card's own coordinates."""
    found = bpy.data.materials.get(TITLE)
    if found is not None and role_of(found) == ROLE:
        return found
    material: Any = tag(bpy.data.materials.new(TITLE), "", ROLE)
    use_nodes(material)
    material.surface_render_method, material.use_transparency_overlap = "BLENDED", True
    tree = material.node_tree
    tree.nodes.clear()
    kinds = (
        "ShaderNodeUVMap",
        "ShaderNodeVectorMath",
        "ShaderNodeMath",
        "ShaderNodeMath",
        "ShaderNodeAttribute",
        "ShaderNodeMath",
        "ShaderNodeBsdfTransparent",
        "ShaderNodeEmission",
        "ShaderNodeMixShader",
        "ShaderNodeOutputMaterial",
    )
    nodes = [tree.nodes.new(kind) for kind in kinds]
    uv, square, scaled, fade, colour, alpha, clear, glow, mix, end = nodes
    for i, node in enumerate(nodes):
        node.location = (200.0 * i, 0.0)
    uv.uv_map, colour.attribute_name = "UVMap", COLOUR
    square.operation, scaled.operation = "DOT_PRODUCT", "MULTIPLY"
    scaled.inputs[1].default_value = -0.5
    fade.operation, alpha.operation = "EXPONENT", "MULTIPLY"
    for start, socket in (
        (uv.outputs[0], square.inputs[0]),
        (uv.outputs[0], square.inputs[1]),
        (square.outputs["Value"], scaled.inputs[0]),
        (scaled.outputs[0], fade.inputs[0]),
        (fade.outputs[0], alpha.inputs[0]),
        (colour.outputs["Alpha"], alpha.inputs[1]),
        (colour.outputs["Color"], glow.inputs["Color"]),
        (alpha.outputs[0], mix.inputs[0]),
        (clear.outputs[0], mix.inputs[1]),
        (glow.outputs[0], mix.inputs[2]),
        (mix.outputs[0], end.inputs["Surface"]),
    ):
        tree.links.new(start, socket)
    return material
