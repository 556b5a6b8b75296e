# SPDX-License-Identifier: GPL-3.0-or-later
"""Fabric: knit or twill by one group."""

from __future__ import annotations

import bpy

from .attributes import BORDER, REST
from .graph import Graph, new_group
from .paint import VIEWPORT, Values
from .pair import shader_pair
from .pigment import Colour

GROUP = "Likeness Fabric"
INPUTS = (
    ("Colour", "Color", (0.05, 0.09, 0.13), "Colour of the yarn"),
    ("Thread Scale", "Float", 1400.0, "Threads per metre", 100.0, 5000.0),
    ("Diagonal", "Float", 0.0, "0 is a plain knit, 1 a twill as in denim", 0.0, 1.0),
    ("Fading", "Float", 0.2, "Uneven colour from wear", 0.0, 1.0),
    ("Relief", "Float", 0.5, "Strength of the weave", 0.0, 1.0),
    ("Wrinkles", "Float", 0.5, "Soft wrinkles", 0.0, 1.0),
    ("Seam", "Float", 0.014, "Distance of the seam from neck and hems in metres", 0.0, 0.1),
)


def fabric_group() -> bpy.types.NodeTree:
    """The shared group, made on first use."""
    existing = bpy.data.node_groups.get(GROUP)
    if existing is not None:
        return existing
    outputs = (("Colour", "Color"), ("Normal", "Vector"), ("Traced Normal", "Vector"))
    tree, g, control, end = new_group(GROUP, INPUTS, outputs)
    place, border = g.attribute(REST), g.attribute(BORDER, "Fac")
    seam = g.smooth(g.math("ABSOLUTE", g.sub(border, control["Seam"])), 0.0018, 0.0004)
    yarn, worn = g.noise(place, 900.0, 2.0), g.smooth(g.noise(place, 9.0, 3.0, 0.6), 0.35, 0.8)
    colour = g.mix(
        g.mul(worn, control["Fading"]), control["Colour"], g.mix(0.25, control["Colour"], (0.5, 0.5, 0.5))
    )
    tone = g.mul(g.add(0.75, g.mul(yarn, 0.35)), g.sub(1.0, g.mul(seam, 0.3)))
    g.put(end.inputs["Colour"], g.mix(1.0, colour, tone, "MULTIPLY"))
    folds = g.noise(g.vector("MULTIPLY", place, (1.0, 0.4, 1.0)), 15.0, 2.0, 0.5)
    strength = g.mul(g.mul(control["Wrinkles"], 0.9), g.smooth(border, 0.005, 0.06))
    # One plain bump for EEVEE: drivers compile a bump's inputs three times over, and nested ones for minutes.
    g.put(end.inputs["Normal"], g.bump(folds, strength, 0.022))
    soft = g.bump(folds, strength, 0.022)
    edge = g.smooth(border, g.add(control["Seam"], 0.002), g.sub(control["Seam"], 0.002))
    band = g.bump(g.sub(edge, g.mul(seam, 0.6)), 0.8, 0.0012, soft)
    weave = g.add(_weave(g, control, place), g.mul(yarn, 0.6))
    g.put(end.inputs["Traced Normal"], g.bump(weave, g.mul(control["Relief"], 0.4), 0.0003, band))
    g.arrange()
    return tree


def _weave(g: Graph, control: dict, place):
    """Threads that cross. They wander as yarn does, else they would show moire at a distance."""
    wander = g.vector(
        "SCALE", g.vector("SUBTRACT", g.noise(place, 60.0, 2.0, colour=True), (0.5,) * 3), scale=0.004
    )
    x, y, z = g.separate(g.vector("ADD", place, wander))
    turn = g.mul(control["Thread Scale"], 6.2832)
    across = g.math("SINE", g.mul(g.add(g.add(x, z), g.mul(y, control["Diagonal"])), turn))
    down = g.math("SINE", g.mul(g.sub(y, g.mul(g.sub(x, z), control["Diagonal"])), turn))
    return g.add(0.5, g.mul(g.add(g.mul(across, g.sub(1.0, g.mul(control["Diagonal"], 0.8))), down), 0.25))


def fabric_values(colour: Colour) -> Values:
    """The group's input for a colour."""
    return {"Colour": colour, VIEWPORT: colour}


def build_fabric(material: bpy.types.Material, *, denim: bool = False) -> None:
    """Fill a new fabric material."""
    g = Graph(material.node_tree)
    group = g.node("ShaderNodeGroup", label=GROUP, node_tree=fabric_group())
    group.inputs["Diagonal"].default_value = float(denim)
    group.inputs["Fading"].default_value = 0.45 if denim else 0.15

    def shader(normal: str, sheen: float):
        return g.call(
            g.node("ShaderNodeBsdfPrincipled"),
            Base_Color=group.outputs["Colour"],
            Normal=group.outputs[normal],
            Roughness=0.85,
            Specular_IOR_Level=0.2,
            Sheen_Weight=sheen,
            Sheen_Roughness=0.45,
        )

    shader_pair(g, shader("Normal", 0.12), shader("Traced Normal", 0.25))
    g.arrange()
