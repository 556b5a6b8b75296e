# SPDX-License-Identifier: GPL-3.0-or-later
"""Hair, eyebrows and lashes."""

from __future__ import annotations

from itertools import pairwise

import bpy

from .attributes import REST
from .graph import Graph, new_group
from .look import Look
from .pair import shader_pair

GROUP = "Likeness Hair"
LASHES = "Likeness Lashes"
COLOURS = (
    (0.0, (0.62, 0.60, 0.57)),
    (0.2, (0.40, 0.27, 0.135)),
    (0.45, (0.19, 0.105, 0.048)),
    (0.7, (0.060, 0.031, 0.016)),
    (0.88, (0.021, 0.0125, 0.0085)),
    (1.0, (0.0075, 0.0062, 0.0058)),
)
"""Colour of a lock by melanin, linear RGB."""

INPUTS = (
    ("Melanin", "Float", 0.8, "Hair colour from white to black", 0.0, 1.0),
    ("Melanin Redness", "Float", 0.35, "Share of red pigment", 0.0, 1.0),
    ("Tint", "Color", (1.0, 1.0, 1.0), "Multiplies the natural colour, for dyed hair"),
    ("Variation", "Float", 0.5, "Difference between strands", 0.0, 1.0),
    ("Grey", "Float", 0.0, "Share of white strands", 0.0, 1.0),
)
LASH_INPUTS = (
    ("Length", "Float", 0.95, "Length of the lashes", 0.0, 1.0),
    ("Thickness", "Float", 0.8, "Thickness of the lashes", 0.0, 2.0),
)
OUTPUTS = (("Colour", "Color"), ("Random", "Float"), ("Root", "Float"))


def hair_group() -> bpy.types.NodeTree:
    """The shared group, made on first use."""
    existing = bpy.data.node_groups.get(GROUP)
    if existing is not None:
        return existing
    tree, g, control, end = new_group(GROUP, INPUTS, OUTPUTS)
    info = g.node("ShaderNodeHairInfo")
    random, along = info.outputs["Random"], info.outputs["Intercept"]
    melanin = g.sub(control["Melanin"], g.mul(g.mul(g.sub(random, 0.5), control["Variation"]), 0.16))
    natural = g.ramp(melanin, COLOURS)
    red = g.mul(control["Melanin Redness"], 0.6)
    colour = g.mix(red, natural, g.mix(1.0, natural, (1.25, 0.86, 0.66), "MULTIPLY"))
    shuffled = g.math("FRACT", g.mul(random, 91.7))
    colour = g.mix(g.math("LESS_THAN", shuffled, control["Grey"]), colour, (0.5, 0.49, 0.47))
    colour = g.mix(1.0, colour, control["Tint"], "MULTIPLY")
    # Roots lie in the shade of the hair above, tips are worn lighter.
    level = g.remap(along, 0.0, 1.0, 0.72, 1.2)
    g.put(end.inputs["Colour"], g.mix(1.0, colour, level, "MULTIPLY"))
    g.put(end.inputs["Random"], random)
    g.put(end.inputs["Root"], along)
    g.arrange()
    return tree


def hair_colour(melanin: float, redness: float) -> tuple[float, float, float]:
    """The colour `hair_group` gives a middling strand, linear RGB."""
    pairs = pairwise(COLOURS)
    low, high = next((pair for pair in pairs if melanin <= pair[1][0]), (COLOURS[-2], COLOURS[-1]))
    t = (min(max(melanin, 0.0), 1.0) - low[0]) / (high[0] - low[0])
    blend = [a + t * (b - a) for a, b in zip(low[1], high[1], strict=True)]
    red = [1.0 + 0.6 * redness * (c - 1.0) for c in (1.25, 0.86, 0.66)]
    return (blend[0] * red[0], blend[1] * red[1], blend[2] * red[2])


def build_hair(material: bpy.types.Material, look: Look, *, brows: bool = False) -> None:
    """Fill a new hair material for one person. Eyebrows are darker, and being tubes take no strand shader."""
    g = Graph(material.node_tree)
    group = g.node("ShaderNodeGroup", label=GROUP, node_tree=hair_group())
    group.inputs["Melanin"].default_value = min(look.hair_melanin + 0.1 * brows, 1.0)
    group.inputs["Melanin Redness"].default_value = look.hair_redness
    material.diffuse_color = (*hair_colour(look.hair_melanin, look.hair_redness), 1.0)
    shader_pair(g, _strand(g, group), _strand(g, group) if brows else _traced_strand(g, group))
    g.arrange()


def _strand(g: Graph, group: bpy.types.Node):
    """Rough coloured highlight on a diffuse strand: what EEVEE can do with light on hair."""
    return g.call(
        g.node("ShaderNodeBsdfPrincipled"),
        Base_Color=group.outputs["Colour"],
        Roughness=0.42,
        Specular_IOR_Level=0.35,
        Specular_Tint=(1.0, 0.92, 0.85, 1.0),
        Sheen_Weight=0.0,
    )


def _traced_strand(g: Graph, group: bpy.types.Node):
    """Chiang's hair model, coloured directly so that both sets agree."""
    node = g.node("ShaderNodeBsdfHairPrincipled", parametrization="COLOR")
    lifted = g.mix(1.0, group.outputs["Colour"], (0.75, 0.75, 0.75), "MULTIPLY")
    return g.call(
        node,
        Color=lifted,
        Roughness=0.32,
        Radial_Roughness=0.4,
        Coat=0.0,
        IOR=1.55,
        Random_Roughness=0.15,
        Random=group.outputs["Random"],
    )


def build_lashes(material: bpy.types.Material, look: Look) -> None:
    """Fill a new lash material: darker than the hair of the head, as in life, with hairs cut out of the
    strips.
    """
    g = Graph(material.node_tree)
    group = g.node("ShaderNodeGroup", label=LASHES, node_tree=lash_group())
    colour = tuple(0.4 * channel for channel in hair_colour(max(look.hair_melanin, 0.72), look.hair_redness))
    material.diffuse_color = (*colour, 1.0)

    def shader(roughness: float):
        node = g.node("ShaderNodeBsdfPrincipled")
        alpha = group.outputs["Alpha"]
        return g.call(node, Base_Color=colour, Roughness=roughness, Specular_IOR_Level=0.2, Alpha=alpha)

    shader_pair(g, shader(0.5), shader(0.45))
    g.arrange()


def lash_group() -> bpy.types.NodeTree:
    """Cuts single tapering hairs out of the lash strips; made on first use."""
    existing = bpy.data.node_groups.get(LASHES)
    if existing is not None:
        return existing
    tree, g, control, end = new_group(LASHES, LASH_INPUTS, (("Alpha", "Float"),))
    along, out, upper = g.separate(g.attribute(REST))
    length = g.mul(g.mixf(upper, 0.55, 1.0), control["Length"])
    splayed = g.add(0.5, g.mul(g.sub(along, 0.5), g.sub(1.0, g.mul(out, 0.10))))
    layers = [_lash_layer(g, splayed, out, length, control["Thickness"], seed) for seed in (0.0, 7.3, 15.1)]
    third = g.mul(layers[2], g.math("GREATER_THAN", upper, 0.5))
    found = g.math("MAXIMUM", g.math("MAXIMUM", layers[0], layers[1]), third)
    ends = g.mul(g.smooth(along, 0.02, 0.10), g.smooth(along, 1.0, 0.97))
    g.put(end.inputs["Alpha"], g.mul(found, ends))
    g.arrange()
    return tree


def _lash_layer(g: Graph, along, out, length, thickness, seed: float):
    """One row of hairs, each with its own place, lean and length."""
    count = 46.0
    position = g.add(g.mul(along, count), seed)
    cell = g.math("FLOOR", position)
    noise = g.node("ShaderNodeTexWhiteNoise", noise_dimensions="1D")
    g.put(noise.inputs["W"], g.add(cell, seed))
    place, lean, reach = g.separate(noise.outputs["Color"])
    centre = g.add(g.add(0.3, g.mul(place, 0.4)), g.mul(g.mul(g.sub(lean, 0.5), 0.8), g.mul(out, out)))
    distance = g.math("ABSOLUTE", g.sub(g.math("FRACT", position), centre))
    own = g.mul(length, g.add(0.55, g.mul(reach, 0.45)))
    taper = g.math("SQRT", g.sub(1.0, g.math("MINIMUM", g.math("DIVIDE", out, own), 1.0)))
    return g.math("LESS_THAN", distance, g.mul(g.mul(taper, thickness), 0.2))
