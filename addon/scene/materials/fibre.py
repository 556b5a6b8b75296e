# SPDX-License-Identifier: GPL-3.0-or-later
"""Hair, eyebrows and lashes."""

from __future__ import annotations

import bpy

from .attributes import REST
from .graph import Graph, new_group
from .look import Look
from .paint import BASE, VIEWPORT, Values
from .pair import shader_pair
from .pigment import HAIR, RED, Colour, hair_colour

GROUP = "Likeness Hair"
LASHES = "Likeness Lashes"

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
_GLOSS = (1.16, 1.35)
"""Index of refraction of black and of light hair. A hair's is 1.55, but the measured colour of a lock holds
its sheen already, and thick and few strands do not shade each other as in life: 1.55 turns black hair grey.
"""
_LIGHT = (0.005, 0.3)
"""Luminances of locks with these indices."""
_OPAQUE = 0.02
"""Luminance of a lock whose strands pass half of their colour."""


def hair_group() -> bpy.types.NodeTree:
    """The shared group, made on first use."""
    existing = bpy.data.node_groups.get(GROUP)
    if existing is not None:
        return existing
    tree, g, control, end = new_group(GROUP, INPUTS, OUTPUTS)
    info = g.node("ShaderNodeHairInfo")
    random, along = info.outputs["Random"], info.outputs["Intercept"]
    melanin = g.sub(control["Melanin"], g.mul(g.mul(g.sub(random, 0.5), control["Variation"]), 0.16))
    natural = g.ramp(melanin, HAIR)
    red = g.mul(control["Melanin Redness"], 0.6)
    colour = g.mix(red, natural, g.mix(1.0, natural, RED, "MULTIPLY"))
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


def hair_shade(look: Look) -> Colour:
    """The colour of a middling strand of this look, linear RGB."""
    return look.hair_dye or hair_colour(look.hair_melanin, look.hair_redness)


def hair_values(look: Look, brows: bool = False) -> Values:
    """The group's inputs for a look. Eyebrows are darker than the hair; dye covers the pigment."""
    if look.hair_dye is not None and not brows:
        white = hair_colour(0.0, 0.0)
        tint = tuple(own / base for own, base in zip(look.hair_dye, white, strict=True))
        return {"Melanin": 0.0, "Melanin Redness": 0.0, "Tint": tint, VIEWPORT: look.hair_dye}
    melanin = look.hair_melanin
    if brows:
        melanin = look.brow_melanin if look.brow_melanin is not None else min(melanin + 0.1, 1.0)
    colour = hair_colour(melanin, look.hair_redness)
    redness = look.hair_redness
    return {"Melanin": melanin, "Melanin Redness": redness, "Tint": (1.0, 1.0, 1.0), VIEWPORT: colour}


def build_hair(material: bpy.types.Material, *, brows: bool = False) -> None:
    """Fill a new hair material. Eyebrows, being tubes, take no strand shader."""
    g = Graph(material.node_tree)
    group = g.node("ShaderNodeGroup", label=GROUP, node_tree=hair_group())
    shader_pair(g, _strand(g, group), _strand(g, group) if brows else _traced_strand(g, group))
    g.arrange()


def _strand(g: Graph, group: bpy.types.Node):
    """Rough coloured highlight on a diffuse strand: what EEVEE can do with light on hair."""
    return g.call(
        g.node("ShaderNodeBsdfPrincipled"),
        Base_Color=group.outputs["Colour"],
        Roughness=0.42,
        Specular_IOR_Level=0.2,
        Specular_Tint=(1.0, 0.92, 0.85, 1.0),
        Sheen_Weight=0.0,
    )


def _traced_strand(g: Graph, group: bpy.types.Node):
    """Chiang's hair model, coloured directly so that both sets agree."""
    colour = group.outputs["Colour"]
    level = g.call(g.node("ShaderNodeRGBToBW"), Color=colour)
    # The model's own way from a colour to what a strand absorbs counts on as many strands as in life; light
    # from behind would shine through few and thick ones. So dark hair lets next to none through.
    kept = g.mul(g.math("DIVIDE", level, g.add(level, _OPAQUE)), 0.75)
    return g.call(
        g.node("ShaderNodeBsdfHairPrincipled", parametrization="COLOR"),
        Color=g.mix(1.0, colour, kept, "MULTIPLY"),
        Roughness=0.25,
        Radial_Roughness=0.4,
        Coat=0.0,
        IOR=g.remap(level, *_LIGHT, *_GLOSS),
        Random_Roughness=0.15,
        Random=group.outputs["Random"],
    )


def lash_values(look: Look) -> Values:
    """Colours for a look: lashes are darker than the hair of the head, as in life."""
    own = hair_colour(max(look.hair_melanin, 0.72), look.hair_redness)
    colour = (0.4 * own[0], 0.4 * own[1], 0.4 * own[2])
    return {BASE: colour, VIEWPORT: colour}


def build_lashes(material: bpy.types.Material) -> None:
    """Fill a new lash material: hairs cut out of the strips."""
    g = Graph(material.node_tree)
    group = g.node("ShaderNodeGroup", label=LASHES, node_tree=lash_group())

    def shader(roughness: float):
        node = g.node("ShaderNodeBsdfPrincipled")
        alpha = group.outputs["Alpha"]
        return g.call(node, Roughness=roughness, Specular_IOR_Level=0.2, Alpha=alpha)

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
