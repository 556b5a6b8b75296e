# SPDX-License-Identifier: GPL-3.0-or-later
"""Skin: one node group that turns a few controls and the mesh's masks into colour, roughness and relief."""

from __future__ import annotations

import bpy

from .attributes import MASKS_A, MASKS_B, REST
from .fibre import hair_shade
from .graph import Graph, current_group, new_group
from .look import Look
from .paint import VIEWPORT, Values
from .pair import shader_pair
from .pigment import TONES, Colour, times, tone

GROUP = "Likeness Skin"

_BLOOD = (1.06, 0.58, 0.52)
"""What blood makes of the skin's colour where it is full of it."""
_CAPILLARIES = 0.1
"""Share of blood in skin that does not flush, at redness 1."""

_HAIRY = (0.008, 0.03)
"""Luminances in a picture of the face: surely hair, surely skin."""

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
    ("Body Tint", "Color", (1.0, 1.0, 1.0), "Brings the painted skin to the colour of the person's own"),
    ("Face", "Float", 0.0, "How much of the face's own colour replaces the painted one", 0.0, 1.0),
    ("Face Colour", "Color", (0.5, 0.35, 0.28), "Colour of the face from the footage"),
    ("Face Tint", "Color", (1.0, 1.0, 1.0), "Multiplies the colour from the footage"),
    ("Face Normal", "Vector", (0.0, 0.0, 0.0), "Relief from the footage; zero for none"),
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
    existing = current_group(GROUP, INPUTS)
    if existing is not None:
        return existing
    tree, g, control, end = new_group(GROUP, INPUTS, OUTPUTS)
    place = g.attribute(REST)
    lips, flush, mouth, nails = _channels(g, MASKS_A)
    scalp, beard, lids, oily = _channels(g, MASKS_B)
    lips = g.smooth(g.add(lips, g.mul(g.sub(g.noise(place, 420.0, 3.0), 0.5), 0.5)), 0.25, 0.75)
    inside = g.smooth(mouth, 0.0, 0.3)

    colour = _base_colour(g, control, place, flush, lids)
    colour = g.mix(1.0, colour, control["Body Tint"], "MULTIPLY")
    colour = _lip_colour(g, control, place, colour, lips)
    colour = g.mix(nails, colour, g.mix(0.5, colour, (0.62, 0.38, 0.32)))
    colour = _hair_roots(g, control, place, colour, scalp, beard)
    seen = g.mix(1.0, control["Face Colour"], control["Face Tint"], "MULTIPLY")
    colour = g.mix(control["Face"], colour, seen)
    colour = g.mix(1.0, colour, control["Tint"], "MULTIPLY")
    wet = g.ramp(
        mouth, ((0.0, (0.36, 0.105, 0.09)), (0.35, (0.25, 0.055, 0.05)), (1.0, (0.045, 0.009, 0.009)))
    )
    colour = g.mix(inside, colour, wet)

    g.put(end.inputs["Colour"], colour)
    g.put(end.inputs["Roughness"], _roughness(g, control, place, lips, oily, nails, inside))
    surface = _surface_normal(g, control)
    g.put(end.inputs["Normal"], _light_relief(g, control, place, inside, surface))
    g.put(end.inputs["Traced Normal"], _relief(g, control, place, lips, inside, surface))
    # Pigment takes up light before it can spread; in what the footage shows it has spread already.
    spread = g.mul(g.remap(control["Melanin"], 0.3, 1.0, 1.0, 0.35), g.sub(1.0, g.mul(control["Face"], 0.35)))
    g.put(end.inputs["Subsurface"], g.mixf(inside, spread, 0.35))
    g.put(end.inputs["Wet"], g.mul(lips, g.sub(0.06, g.mul(inside, 0.06))))
    # Lamps do not reach into a mouth, though a shadow map that misses a gap would let them glint there.
    # Nor does a scalp under hair shine: through a parting it would glint white.
    bare = g.sub(1.0, g.mul(g.smooth(scalp, 0.0, 0.6), g.math("GREATER_THAN", control["Scalp"], 0.01)))
    # Texels darker than any skin are hair in the picture: brows, curls on the forehead.
    level = g.call(g.node("ShaderNodeRGBToBW"), Color=control["Face Colour"])
    bare = g.mul(bare, g.mixf(control["Face"], 1.0, g.smooth(level, *_HAIRY, 0.2, 1.0)))
    g.put(end.inputs["Specular"], g.mul(g.mul(0.5, bare), g.smooth(mouth, 0.15, 0.0)))
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
    colour = g.mix(blood, colour, g.mix(1.0, colour, _BLOOD, "MULTIPLY"))
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


def _surface_normal(g: Graph, control: dict):
    """What the painted relief lies on: the relief from the footage where there is one, else the mesh."""
    given = g.math("GREATER_THAN", g.vector("LENGTH", control["Face Normal"], output=1), 0.5)
    mesh = g.node("ShaderNodeNewGeometry").outputs["Normal"]
    return g.mixv(given, mesh, control["Face Normal"])


def _light_relief(g: Graph, control: dict, place, inside, surface):
    """Relief in one bump over noise: drivers compile a bump's inputs three times over."""
    height = g.add(g.noise(place, 620.0, 2.0, 0.7), g.mul(g.noise(place, 75.0, 1.0), 2.2))
    return g.bump(height, g.mul(control["Pores"], g.mul(g.sub(1.0, inside), 0.5)), 0.0003, surface)


def _relief(g: Graph, control: dict, place, lips, inside, surface):
    """Pores, a net of fine creases, and the lips' vertical folds."""
    strength = g.mul(control["Pores"], g.sub(1.0, inside))
    pores = g.smooth(g.voronoi(place, 900.0), 0.0, 0.45)
    wander = g.vector("MULTIPLY", g.noise(place, 500.0, colour=True), (0.0012,) * 3)
    net = g.smooth(g.voronoi(g.vector("ADD", place, wander), 620.0, "DISTANCE_TO_EDGE"), 0.0, 0.12)
    skin = g.add(g.mul(pores, 0.55), g.add(g.mul(net, 0.35), g.mul(g.noise(place, 340.0, 3.0), 0.5)))
    folds = g.noise(g.vector("MULTIPLY", place, (1.0, 0.16, 0.16)), 900.0, 2.0, 0.4)
    height = g.mixf(lips, skin, g.mul(folds, 1.6))
    fine = g.bump(height, g.mul(strength, 0.55), 0.00018, surface)
    return g.bump(g.noise(place, 75.0, 2.0), g.mul(strength, 0.35), 0.0004, fine)


def skin_values(look: Look) -> Values:
    """The group's inputs for a look."""
    skin = times(tone(look.melanin), look.skin_tint)
    return {
        "Melanin": look.melanin,
        "Redness": look.redness,
        "Freckles": look.freckles,
        "Lip Colour": look.lip_colour,
        "Lip Amount": look.lip_amount,
        "Hair Colour": hair_shade(look),
        "Stubble": look.stubble,
        "Mottling": 0.35 + 0.4 * look.age,
        "Scalp": 0.0 if look.hair_style == "NONE" else 0.8,
        "Tint": look.skin_tint,
        VIEWPORT: skin,
    }


def build_skin(material: bpy.types.Material) -> None:
    """Fill a new material: the group, and one Principled BSDF for each render engine."""
    g = Graph(material.node_tree)
    group = g.node("ShaderNodeGroup", label=GROUP, node_tree=skin_group())
    group.width = 240
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


def body_colour(look: Look) -> Colour:
    """What the painted skin of neck and body is on average, linear RGB: the tone with its capillaries."""
    blood = _CAPILLARIES * look.redness
    plain = tone(look.melanin)
    return times(plain, tuple(1.0 + blood * (c - 1.0) for c in _BLOOD))
