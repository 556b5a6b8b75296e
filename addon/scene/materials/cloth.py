# SPDX-License-Identifier: GPL-3.0-or-later
"""Fabric: knit or twill by one group."""

from __future__ import annotations

import bpy

from .attributes import REST
from .graph import Graph, new_group
from .pair import shader_pair

GROUP = "Likeness Fabric"
INPUTS = (
    ("Colour", "Color", (0.05, 0.09, 0.13), "Colour of the yarn"),
    ("Thread Scale", "Float", 1400.0, "Threads per metre", 100.0, 5000.0),
    ("Diagonal", "Float", 0.0, "0 is a plain knit, 1 a twill as in denim", 0.0, 1.0),
    ("Fading", "Float", 0.2, "Uneven colour from wear", 0.0, 1.0),
    ("Relief", "Float", 0.5, "Strength of the weave", 0.0, 1.0),
    ("Wrinkles", "Float", 0.5, "Soft wrinkles", 0.0, 1.0),
)


def fabric_group() -> bpy.types.NodeTree:
    """The shared group, made on first use."""
    existing = bpy.data.node_groups.get(GROUP)
    if existing is not None:
        return existing
    tree, g, control, end = new_group(GROUP, INPUTS, (("Colour", "Color"), ("Normal", "Vector")))
    place = g.attribute(REST)
    x, y, z = g.separate(place)
    turn = g.mul(control["Thread Scale"], 6.2832)
    across = g.math("SINE", g.mul(g.add(g.add(x, z), g.mul(y, control["Diagonal"])), turn))
    down = g.math("SINE", g.mul(g.sub(y, g.mul(g.sub(x, z), control["Diagonal"])), turn))
    weave = g.add(0.5, g.mul(g.add(g.mul(across, g.sub(1.0, g.mul(control["Diagonal"], 0.8))), down), 0.25))
    yarn = g.noise(place, 900.0, 3.0)
    worn = g.smooth(g.noise(place, 9.0, 5.0, 0.6), 0.35, 0.8)
    colour = g.mix(g.mul(worn, control["Fading"]), control["Colour"], g.mix(0.25, control["Colour"], (0.5, 0.5, 0.5)))
    tone = g.add(0.78, g.add(g.mul(weave, 0.22), g.mul(g.sub(yarn, 0.5), 0.3)))
    g.put(end.inputs["Colour"], g.mix(1.0, colour, tone, "MULTIPLY"))
    folds = g.noise(g.vector("MULTIPLY", place, (1.0, 0.45, 1.0)), 17.0, 3.0, 0.45)
    soft = g.bump(folds, g.mul(control["Wrinkles"], 0.7), 0.012)
    g.put(end.inputs["Normal"], g.bump(g.add(weave, g.mul(yarn, 0.4)), g.mul(control["Relief"], 0.5), 0.0003, soft))
    g.arrange()
    return tree


def build_fabric(material: bpy.types.Material, colour: tuple[float, float, float], *, denim: bool = False) -> None:
    """Fill a new fabric material."""
    g = Graph(material.node_tree)
    group = g.node("ShaderNodeGroup", label=GROUP, node_tree=fabric_group())
    values = {"Colour": (*colour, 1.0), "Diagonal": float(denim), "Fading": 0.45 if denim else 0.15}
    for name, value in values.items():
        group.inputs[name].default_value = value
    material.diffuse_color = (*colour, 1.0)

    def shader(sheen: float):
        return g.call(
            g.node("ShaderNodeBsdfPrincipled"),
            Base_Color=group.outputs["Colour"],
            Normal=group.outputs["Normal"],
            Roughness=0.85,
            Specular_IOR_Level=0.2,
            Sheen_Weight=sheen,
            Sheen_Roughness=0.45,
        )

    shader_pair(g, shader(0.12), shader(0.25))
    g.arrange()
