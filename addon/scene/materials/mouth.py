# SPDX-License-Identifier: GPL-3.0-or-later
"""Teeth, gums and tongue: one material each, shared by all doubles."""

from __future__ import annotations

import bpy

from .attributes import MASKS_A, REST
from .graph import Graph, new_group
from .pair import shader_pair

INPUTS = (
    ("Colour", "Color", (0.6, 0.5, 0.4), "Colour at the front of the mouth"),
    ("Depth Shade", "Float", 0.85, "Darkening towards the back of the mouth", 0.0, 1.0),
)


def _shaded_group(name: str, colour: tuple[float, float, float], detail) -> bpy.types.NodeTree:
    """A group (Colour, Normal) whose colour darkens towards the throat; `detail(g, place, colour)` gives
    both.
    Shine fades with it: a mouth is too narrow for lamps to glint at its back. (An occlusion node would
    follow the jaw,
    but is noise at the few samples of a preview, and ray tracing needs none.)
    """
    existing = bpy.data.node_groups.get(name)
    if existing is not None:
        return existing
    controls = ((INPUTS[0][0], INPUTS[0][1], colour, INPUTS[0][3]), INPUTS[1])
    tree, g, control, end = new_group(
        name, controls, (("Colour", "Color"), ("Normal", "Vector"), ("Shine", "Float"))
    )
    place = g.attribute(REST)
    depth = g.separate(g.attribute(MASKS_A))[2]
    varied, normal = detail(g, place, control["Colour"])
    shade = g.mul(depth, control["Depth Shade"])
    g.put(end.inputs["Colour"], g.mix(shade, varied, g.mix(1.0, varied, (0.10, 0.04, 0.035), "MULTIPLY")))
    g.put(end.inputs["Normal"], normal)
    g.put(end.inputs["Shine"], g.math("POWER", g.sub(1.0, depth), 2.0))
    g.arrange()
    return tree


def _tooth(g: Graph, place, colour):
    stain = g.smooth(g.noise(place, 120.0, 3.0), 0.3, 0.8)
    varied = g.mix(g.mul(stain, 0.35), colour, g.mix(1.0, colour, (0.93, 0.83, 0.66), "MULTIPLY"))
    return varied, g.bump(g.noise(g.vector("MULTIPLY", place, (1.0, 0.3, 1.0)), 500.0, 2.0), 0.15, 0.0002)


def _flesh(g: Graph, place, colour):
    varied = g.mix(
        g.smooth(g.noise(place, 150.0, 3.0), 0.3, 0.75),
        colour,
        g.mix(1.0, colour, (0.85, 0.6, 0.6), "MULTIPLY"),
    )
    return varied, g.bump(g.noise(place, 260.0, 3.0), 0.35, 0.0006)


def _tongue(g: Graph, place, colour):
    coat = g.smooth(g.noise(place, 110.0, 3.0), 0.35, 0.75)
    varied = g.mix(g.mul(coat, 0.35), colour, g.mix(0.5, colour, (0.6, 0.42, 0.38)))
    buds = g.smooth(g.voronoi(place, 620.0), 0.6, 0.1)
    return varied, g.bump(g.add(buds, g.noise(place, 90.0, 2.0)), 0.5, 0.0004)


PARTS = {
    "Teeth": ((0.66, 0.585, 0.455), _tooth, 0.22, 0.25, (1.0, 0.8, 0.55), 0.0012),
    "Gums": ((0.40, 0.125, 0.115), _flesh, 0.25, 0.6, (1.0, 0.3, 0.2), 0.002),
    "Tongue": ((0.40, 0.135, 0.125), _tongue, 0.34, 0.45, (1.0, 0.3, 0.2), 0.0025),
}
"""Colour, detail, roughness, wet coat, subsurface colour ratio and reach (m)."""


def build_mouth_part(material: bpy.types.Material, part: str) -> None:
    """Fill the new material of "Teeth", "Gums" or "Tongue"."""
    colour, detail, roughness, wet, radius, scale = PARTS[part]
    g = Graph(material.node_tree)
    group = g.node(
        "ShaderNodeGroup",
        label=f"Likeness {part}",
        node_tree=_shaded_group(f"Likeness {part}", colour, detail),
    )
    material.diffuse_color = (*colour, 1.0)

    def shader(weight: float):
        return g.call(
            g.node("ShaderNodeBsdfPrincipled"),
            Base_Color=group.outputs["Colour"],
            Normal=group.outputs["Normal"],
            Roughness=roughness,
            Coat_Weight=g.mul(group.outputs["Shine"], wet),
            Coat_Roughness=0.08,
            Specular_IOR_Level=g.mul(group.outputs["Shine"], 0.5),
            Subsurface_Weight=weight,
            Subsurface_Radius=radius,
            Subsurface_Scale=scale,
        )

    shader_pair(g, shader(0.0 if part == "Teeth" else 0.4), shader(0.7))
    g.arrange()
