# SPDX-License-Identifier: GPL-3.0-or-later
"""Skin: one node group that turns a few controls and the mesh's masks into colour, roughness and relief."""

from __future__ import annotations

from itertools import pairwise

import bpy

from .attributes import MASKS_A, MASKS_B, REST
from .graph import Graph, new_group
from .look import Look
from .pair import shader_pair

GROUP = "Likeness Skin"

TONES = (
    (0.0, (0.70, 0.475, 0.385)),
    (0.2, (0.575, 0.345, 0.250)),
    (0.36, (0.470, 0.270, 0.178)),
    (0.55, (0.300, 0.155, 0.094)),
    (0.75, (0.155, 0.073, 0.043)),
    (1.0, (0.052, 0.025, 0.016)),
)
"""Albedo by melanin, linear RGB: between measured light and dark skin."""

INPUTS = (
    ("Melanin", "Float", 0.3, "Skin tone from very light to very dark", 0.0, 1.0),
    ("Tint", "Color", (1.0, 1.0, 1.0), "Multiplies the finished skin colour"),
    ("Redness", "Float", 0.5, "Blood under the skin of cheeks, nose and ears", 0.0, 1.0),
    ("Mottling", "Float", 0.5, "Uneven colour", 0.0, 1.0),
    ("Freckles", "Float", 0.0, "Freckles and sun spots", 0.0, 1.0),
    ("Lip Colour", "Color", (0.42, 0.135, 0.115), "Colour of the lips"),
    ("Lip Amount", "Float", 0.6, "How much of the lip colour replaces the skin's own", 0.0, 1.0),
    ("Hair Colour", "Color", (0.02, 0.013, 0.009), "Colour of hair roots on the scalp and of stubble"),
    ("Scalp", "Float", 0.75, "How much the hair's roots darken the scalp", 0.0, 1.0),
    ("Stubble", "Float", 0.0, "Beard shadow and stubble", 0.0, 1.0),
    ("Oiliness", "Float", 0.5, "Shine of nose and forehead", 0.0, 1.0),
    ("Pores", "Float", 0.6, "Strength of pores and fine creases", 0.0, 1.0),
)
OUTPUTS = (
    ("Colour", "Color"),
    ("Roughness", "Float"),
    ("Normal", "Vector"),
    ("Traced Normal", "Vector"),
    ("Subsurface", "Float"),
    ("Wet", "Float"),
    ("Specular", "Float"),
)


def skin_group() -> bpy.types.NodeTree:
    """The shared group, made on first use."""
    existing = bpy.data.node_groups.get(GROUP)
    if existing is not None:
        return existing
    tree, g, control, end = new_group(GROUP, INPUTS, OUTPUTS)
    place = g.attribute(REST)
    lips, flush, mouth, nails = _channels(g, MASKS_A)
    scalp, beard, lids, oily = _channels(g, MASKS_B)
    lips = g.smooth(g.add(lips, g.mul(g.sub(g.noise(place, 420.0, 3.0), 0.5), 0.5)), 0.25, 0.75)
    inside = g.smooth(mouth, 0.0, 0.3)

    colour = _base_colour(g, control, place, flush, lids)
    colour = _lip_colour(g, control, place, colour, lips)
    colour = g.mix(nails, colour, g.mix(0.5, colour, (0.62, 0.38, 0.32)))
    colour = _hair_roots(g, control, place, colour, scalp, beard)
    colour = g.mix(1.0, colour, control["Tint"], "MULTIPLY")
    wet = g.ramp(
        mouth, ((0.0, (0.36, 0.105, 0.09)), (0.35, (0.25, 0.055, 0.05)), (1.0, (0.045, 0.009, 0.009)))
    )
    colour = g.mix(inside, colour, wet)

    g.put(end.inputs["Colour"], colour)
    g.put(end.inputs["Roughness"], _roughness(g, control, place, lips, oily, nails, inside))
    g.put(end.inputs["Normal"], _light_relief(g, control, place, inside))
    g.put(end.inputs["Traced Normal"], _relief(g, control, place, lips, inside))
    # Pigment takes up light before it can spread.
    g.put(end.inputs["Subsurface"], g.mixf(inside, g.remap(control["Melanin"], 0.3, 1.0, 1.0, 0.35), 0.35))
    g.put(end.inputs["Wet"], g.mul(lips, g.sub(0.06, g.mul(inside, 0.06))))
    # Lamps do not reach into a mouth, though a shadow map that misses a gap would let them glint there.
    g.put(end.inputs["Specular"], g.mul(0.5, g.smooth(mouth, 0.15, 0.0)))
    g.arrange()
    return tree


def _channels(g: Graph, name: str):
    red, green, blue = g.separate(g.attribute(name))
    return red, green, blue, g.attribute(name, "Alpha")


def _base_colour(g: Graph, control: dict, place, flush, lids):
    """Tone by melanin, then uneven pigment, blood and freckles."""
    patches = g.noise(place, 22.0, 4.0, 0.6)
    grain = g.noise(place, 160.0, 3.0, 0.6)
    uneven = g.add(g.mul(g.sub(patches, 0.5), 0.16), g.mul(g.sub(grain, 0.5), 0.10))
    tone = g.add(control["Melanin"], g.mul(uneven, control["Mottling"]))
    colour = g.ramp(tone, TONES)
    capillaries = g.smooth(g.noise(place, 75.0, 4.0, 0.65), 0.35, 0.75)
    blood = g.mul(
        g.add(g.mul(flush, 0.38), g.mul(capillaries, g.add(0.2, g.mul(flush, 0.4)))), control["Redness"]
    )
    colour = g.mix(blood, colour, g.mix(1.0, colour, (1.06, 0.58, 0.52), "MULTIPLY"))
    shade = g.mul(lids, 0.55)
    colour = g.mix(shade, colour, g.mix(1.0, colour, (0.80, 0.66, 0.68), "MULTIPLY"))
    spots = g.smooth(
        g.voronoi(
            g.vector("ADD", place, g.vector("MULTIPLY", g.noise(place, 60.0, colour=True), (0.01,) * 3)),
            170.0,
        ),
        0.32,
        0.14,
    )
    chosen = g.smooth(g.noise(place, 48.0, 2.0), 0.5, 0.62)
    freckles = g.mul(g.mul(spots, chosen), control["Freckles"])
    return g.mix(freckles, colour, g.mix(1.0, colour, (0.62, 0.42, 0.32), "MULTIPLY"))


def _lip_colour(g: Graph, control: dict, place, colour, lips):
    """The lips' colour, deepened on dark skin by mixing with the skin under it."""
    own = g.mix(
        control["Melanin"],
        control["Lip Colour"],
        g.mix(1.0, control["Lip Colour"], (0.22, 0.2, 0.22), "MULTIPLY"),
    )
    streaks = g.noise(g.vector("MULTIPLY", place, (1.0, 0.25, 0.25)), 700.0, 2.0)
    own = g.mix(g.mul(g.sub(streaks, 0.4), 0.35), own, g.mix(1.0, own, (0.75, 0.62, 0.62), "MULTIPLY"))
    return g.mix(g.mul(lips, control["Lip Amount"]), colour, own)


def _hair_roots(g: Graph, control: dict, place, colour, scalp, beard):
    """Under the haircut the scalp takes the hair's colour, so no parting shows bare; the beard adds its
    shadow and dots.
    """
    edge = g.smooth(g.add(scalp, g.mul(g.sub(g.noise(place, 300.0, 2.0), 0.5), 0.6)), 0.15, 0.8)
    colour = g.mix(g.mul(edge, control["Scalp"]), colour, control["Hair Colour"])
    dots = g.smooth(g.voronoi(place, 1150.0), 0.42, 0.16)
    patchy = g.smooth(g.noise(place, 90.0, 3.0), 0.25, 0.7)
    grown = g.mul(g.mul(beard, control["Stubble"]), g.add(0.35, g.mul(patchy, 0.65)))
    shadow = g.mix(g.mul(grown, 0.55), colour, g.mix(1.0, colour, (0.55, 0.58, 0.64), "MULTIPLY"))
    return g.mix(g.mul(g.mul(grown, dots), 0.75), shadow, control["Hair Colour"])


def _roughness(g: Graph, control: dict, place, lips, oily, nails, inside):
    broken = g.mul(g.sub(g.noise(place, 260.0, 3.0, 0.6), 0.5), 0.16)
    shine = g.mul(oily, g.mul(control["Oiliness"], 0.2))
    rough = g.sub(g.add(0.5, broken), shine)
    rough = g.mixf(lips, rough, g.add(0.33, broken))
    rough = g.mixf(nails, rough, 0.25)
    return g.mixf(inside, rough, 0.42)


def _light_relief(g: Graph, control: dict, place, inside):
    """Relief in one bump over noise: drivers compile a bump's inputs three times over."""
    height = g.add(g.noise(place, 620.0, 2.0, 0.7), g.mul(g.noise(place, 75.0, 1.0), 2.2))
    return g.bump(height, g.mul(control["Pores"], g.mul(g.sub(1.0, inside), 0.5)), 0.0003)


def _relief(g: Graph, control: dict, place, lips, inside):
    """Pores, a net of fine creases, and the lips' vertical folds."""
    strength = g.mul(control["Pores"], g.sub(1.0, inside))
    pores = g.smooth(g.voronoi(place, 900.0), 0.0, 0.45)
    wander = g.vector("MULTIPLY", g.noise(place, 500.0, colour=True), (0.0012,) * 3)
    net = g.smooth(g.voronoi(g.vector("ADD", place, wander), 620.0, "DISTANCE_TO_EDGE"), 0.0, 0.12)
    skin = g.add(g.mul(pores, 0.55), g.add(g.mul(net, 0.35), g.mul(g.noise(place, 340.0, 3.0), 0.5)))
    folds = g.noise(g.vector("MULTIPLY", place, (1.0, 0.16, 0.16)), 900.0, 2.0, 0.4)
    height = g.mixf(lips, skin, g.mul(folds, 1.6))
    fine = g.bump(height, g.mul(strength, 0.55), 0.00018)
    return g.bump(g.noise(place, 75.0, 2.0), g.mul(strength, 0.35), 0.0004, fine)


def build_skin(material: bpy.types.Material, look: Look, hair_colour: tuple[float, float, float]) -> None:
    """Fill a new material: the group, and one Principled BSDF for each render engine."""
    g = Graph(material.node_tree)
    group = g.node("ShaderNodeGroup", label=GROUP, node_tree=skin_group())
    group.width = 240
    values = {
        "Melanin": look.melanin,
        "Redness": look.redness,
        "Freckles": look.freckles,
        "Lip Colour": (*look.lip_colour, 1.0),
        "Lip Amount": look.lip_amount,
        "Hair Colour": (*hair_colour, 1.0),
        "Stubble": look.stubble,
        "Mottling": 0.35 + 0.4 * look.age,
        "Scalp": 0.0 if look.hair_style == "NONE" else 0.8,
    }
    for name, value in values.items():
        group.inputs[name].default_value = value
    material.diffuse_color = (*_viewport_colour(look.melanin), 1.0)
    shaders = [_principled(g, group, "Normal", 0.0035), _principled(g, group, "Traced Normal", 0.0045)]
    shaders[1].node.subsurface_method = "RANDOM_WALK_SKIN"
    shader_pair(g, *shaders)
    g.arrange()


def _principled(g: Graph, group: bpy.types.Node, normal: str, scale: float):
    node = g.node("ShaderNodeBsdfPrincipled")
    return g.call(
        node,
        Base_Color=group.outputs["Colour"],
        Roughness=group.outputs["Roughness"],
        Normal=group.outputs[normal],
        Subsurface_Weight=group.outputs["Subsurface"],
        Subsurface_Radius=(1.0, 0.36, 0.19),
        Subsurface_Scale=scale,
        IOR=1.42,
        Specular_IOR_Level=group.outputs["Specular"],
        Coat_Weight=group.outputs["Wet"],
        Coat_Roughness=0.12,
    )


def _viewport_colour(melanin: float) -> tuple[float, float, float]:
    for (low, a), (high, b) in pairwise(TONES):
        if melanin <= high:
            t = (melanin - low) / (high - low)
            return (a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), a[2] + t * (b[2] - a[2]))
    return TONES[-1][1]
