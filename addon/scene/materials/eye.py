# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyes: white, iris and pupil painted on the unit eye, and the clear cornea over them."""

from __future__ import annotations

import bpy

from .attributes import REST
from .graph import Graph, current_group, new_group
from .look import Look
from .paint import VIEWPORT, Values
from .pair import shader_pair
from .pigment import times

GROUP = "Likeness Eye"
CORNEA_IOR = 1.376

INPUTS = (
    ("Iris Colour", "Color", (0.15, 0.19, 0.175), "Main colour of the iris"),
    ("Inner Colour", "Color", (0.19, 0.115, 0.045), "Warm ring around the pupil"),
    ("Inner Amount", "Float", 0.5, "How far the inner colour reaches", 0.0, 1.0),
    ("Pupil", "Float", 0.36, "Pupil radius, as a share of the iris", 0.1, 0.8),
    ("Limbal Ring", "Float", 0.75, "Darkness of the iris's outer ring", 0.0, 1.0),
    ("White", "Color", (0.70, 0.665, 0.635), "Colour of the white"),
    ("Veins", "Float", 0.45, "Blood vessels and redness towards the corners", 0.0, 1.0),
    ("Lid Shade", "Float", 0.8, "Darkening where the lids and lashes shade the eye", 0.0, 1.0),
    ("Iris Radius", "Float", 0.3665, "Radius of the iris on an eyeball of radius 1", 0.2, 0.7),
    ("Chart", "Float", 0.0, "How much of the eye's own picture shows", 0.0, 1.0),
    ("Chart Colour", "Color", (0.5, 0.5, 0.5), "Picture of the eye from the footage"),
)
OUTPUTS = (
    ("Colour", "Color"),
    ("Traced Colour", "Color"),
    ("Iris", "Float"),
    ("Roughness", "Float"),
    ("Normal", "Vector"),
)


def eye_group() -> bpy.types.NodeTree:
    """The shared group, made on first use."""
    existing = current_group(GROUP, INPUTS)
    if existing is not None:
        return existing
    tree, g, control, end = new_group(GROUP, INPUTS, OUTPUTS)
    place = g.attribute(REST)
    x, y, z = g.separate(place)
    radius = g.math("SQRT", g.add(g.mul(x, x), g.mul(y, y)))
    front = g.smooth(z, 0.0, 0.2)
    share = g.math("DIVIDE", radius, control["Iris Radius"])
    spokes = g.vector(
        "DIVIDE", g.combine(x, y, 0.0), g.combine(g.add(radius, 1e-4), g.add(radius, 1e-4), 1.0)
    )
    iris = _from_chart(g, control, _iris_colour(g, control, share, spokes), (0.25, 2.2), "Iris Colour")
    iris = _pupil(g, control, share, spokes, iris)
    edge = g.add(share, g.mul(g.sub(g.noise(spokes, 5.0, 3.0), 0.5), 0.05))
    is_iris = g.mul(g.smooth(edge, 1.07, 0.93), front)
    white = _white_colour(g, control, place, x, radius)
    white = _from_chart(g, control, white, (0.55, 1.12), "White")
    colour = g.mix(is_iris, white, iris)
    # An occlusion node would find the cornea and grey the whole eye; traced lids shade it by themselves.
    under_lid = g.mul(g.smooth(y, 0.02, 0.34), control["Lid Shade"])
    g.put(end.inputs["Colour"], _shaded(g, colour, g.mul(under_lid, 0.7)))
    g.put(end.inputs["Traced Colour"], _shaded(g, colour, g.mul(under_lid, 0.4)))
    g.put(end.inputs["Iris"], is_iris)
    g.put(end.inputs["Roughness"], g.mixf(is_iris, 0.28, 0.55))
    fibres = g.noise(
        g.vector("ADD", g.vector("SCALE", spokes, scale=16.0), g.combine(0.0, 0.0, g.mul(share, 2.0))),
        1.0,
        3.0,
    )
    veiny = g.noise(place, 9.0, 3.0)
    g.put(end.inputs["Normal"], g.bump(g.mixf(is_iris, g.mul(veiny, 0.4), fibres), 0.5, 0.0003))
    g.arrange()
    return tree


def _iris_colour(g: Graph, control: dict, share, spokes):
    """Radial fibres in two sizes, a warm collar around the pupil and a dark outer ring."""

    def fibres(turns: float, along: float, detail: float):
        return g.noise(
            g.vector("ADD", g.vector("SCALE", spokes, scale=turns), g.combine(0.0, 0.0, g.mul(share, along))),
            1.0,
            detail,
        )

    coarse, fine = fibres(5.0, 1.6, 4.0), fibres(22.0, 1.0, 2.0)
    collar_at = g.add(g.add(control["Pupil"], 0.05), g.mul(control["Inner Amount"], 0.35))
    wavy = g.add(share, g.mul(g.sub(coarse, 0.5), 0.5))
    inner = g.mul(
        g.smooth(wavy, g.add(collar_at, 0.16), g.sub(collar_at, 0.12)),
        g.smooth(control["Inner Amount"], 0.0, 0.3),
    )
    colour = g.mix(inner, control["Iris Colour"], control["Inner Colour"])
    light = g.add(g.mul(g.smooth(fine, 0.3, 0.72), 0.9), g.mul(g.smooth(coarse, 0.3, 0.7), 0.6))
    colour = g.mix(1.0, colour, g.mix(g.mul(light, 0.66), (0.5, 0.48, 0.47), (1.75, 1.75, 1.75)), "MULTIPLY")
    ring = g.mul(g.smooth(share, 0.74, 1.0), control["Limbal Ring"])
    return g.mix(ring, colour, g.mix(1.0, colour, (0.10, 0.10, 0.12), "MULTIPLY"))


def _pupil(g: Graph, control: dict, share, spokes, colour):
    """The pupil with its soft rim. Painted last: a picture of it has highlights burnt in."""
    rim = g.smooth(share, g.add(control["Pupil"], 0.10), control["Pupil"])
    colour = g.mix(g.mul(rim, 0.6), colour, (0.012, 0.008, 0.006))
    wave = g.noise(
        g.vector("ADD", g.vector("SCALE", spokes, scale=5.0), g.combine(0.0, 0.0, g.mul(share, 1.6))),
        1.0,
        4.0,
    )
    edge = g.add(share, g.mul(g.sub(wave, 0.5), 0.03))
    pupil = g.smooth(edge, g.add(control["Pupil"], 0.025), g.sub(control["Pupil"], 0.015))
    return g.mix(pupil, colour, (0.002, 0.002, 0.002))


def _from_chart(g: Graph, control: dict, painted, limits: tuple[float, float], base: str):
    """Colour from the eye's own picture, held within a range about its main colour: what lies outside is a
    highlight, a lash or the shade of a lid, which the scene's light gives anew.
    """
    low, high = (g.mix(1.0, control[base], (factor,) * 3, "MULTIPLY") for factor in limits)
    held = g.vector("MINIMUM", g.vector("MAXIMUM", control["Chart Colour"], low), high)
    return g.mix(control["Chart"], painted, held)


def _white_colour(g: Graph, control: dict, place, x, radius):
    """Warm white, pinker towards the corners, with thin branching vessels that end before the iris."""
    corner = g.smooth(g.math("ABSOLUTE", x), 0.38, 0.85)
    cloud = g.noise(place, 3.5, 3.0)
    pink = g.mul(g.add(g.mul(corner, 0.65), g.mul(g.smooth(cloud, 0.45, 0.8), 0.25)), control["Veins"])
    colour = g.mix(pink, control["White"], g.mix(1.0, control["White"], (0.98, 0.62, 0.55), "MULTIPLY"))
    bent = g.vector(
        "ADD",
        place,
        g.vector(
            "SCALE", g.vector("SUBTRACT", g.noise(place, 5.0, 4.0, colour=True), (0.5,) * 3), scale=0.35
        ),
    )
    vessels = g.smooth(g.voronoi(bent, 4.2, "DISTANCE_TO_EDGE"), 0.028, 0.004)
    thin = g.smooth(g.voronoi(bent, 9.5, "DISTANCE_TO_EDGE"), 0.03, 0.006)
    shown = g.mul(g.smooth(radius, 0.46, 0.85), g.smooth(g.noise(place, 2.2, 1.0), 0.38, 0.62))
    lines = g.mul(g.mul(g.add(g.mul(vessels, 0.55), g.mul(thin, 0.3)), shown), control["Veins"])
    colour = g.mix(lines, colour, (0.50, 0.10, 0.08))
    grey = g.smooth(radius, 0.56, 0.40)
    return g.mix(g.mul(grey, 0.35), colour, g.mix(1.0, colour, (0.80, 0.84, 0.90), "MULTIPLY"))


def _shaded(g: Graph, colour, amount):
    return g.mix(amount, colour, g.mix(1.0, colour, (0.36, 0.27, 0.25), "MULTIPLY"))


def eye_values(look: Look) -> Values:
    """The group's inputs for a look."""
    dark = max(look.eye_colour) < 0.12
    inner = times(look.eye_colour, (1.6, 1.6, 1.6)) if dark else (0.19, 0.115, 0.045)
    white = look.eye_white or ((0.62, 0.57, 0.52) if look.melanin > 0.5 else (0.70, 0.665, 0.635))
    return {
        "Iris Colour": look.eye_colour,
        "Inner Colour": inner,
        "Veins": 0.3 + 0.3 * look.age,
        "White": white,
        "Iris Radius": look.iris_radius,
        "Pupil": look.pupil,
        VIEWPORT: (0.70, 0.67, 0.65),
    }


def build_eye(material: bpy.types.Material) -> None:
    """Fill a new eye material."""
    g = Graph(material.node_tree)
    group = g.node("ShaderNodeGroup", label=GROUP, node_tree=eye_group())
    group.width = 220
    shader_pair(g, _ball(g, group, "Colour", 0.0), _ball(g, group, "Traced Colour", 0.3))
    g.arrange()


def _ball(g: Graph, group: bpy.types.Node, colour: str, subsurface: float):
    white_only = g.mul(g.sub(1.0, group.outputs["Iris"]), subsurface)
    return g.call(
        g.node("ShaderNodeBsdfPrincipled"),
        Base_Color=group.outputs[colour],
        Roughness=group.outputs["Roughness"],
        Normal=group.outputs["Normal"],
        Subsurface_Weight=white_only,
        Subsurface_Radius=(1.0, 0.55, 0.4),
        Subsurface_Scale=0.0015,
        Specular_IOR_Level=0.25,
    )


def build_cornea(material: bpy.types.Material) -> None:
    """Wet clear shell. EEVEE: a highlight over what lies behind. Ray traced: true refraction that lets
    light through.
    """
    g = Graph(material.node_tree)
    material.surface_render_method = "BLENDED"
    material.use_backface_culling = True
    material.diffuse_color = (1.0, 1.0, 1.0, 0.05)
    shader_pair(g, wet_film(g, 0.03), _refracting(g))
    g.arrange()


def wet_film(g: Graph, roughness: float):
    """A clear film: only its mirror light is seen, by Fresnel's law for water."""
    clear = g.call(g.node("ShaderNodeBsdfTransparent"), Color=(1.0, 1.0, 1.0))
    mirror = g.call(g.node("ShaderNodeBsdfAnisotropic"), Color=(1.0, 1.0, 1.0), Roughness=roughness)
    fresnel = g.call(g.node("ShaderNodeFresnel"), IOR=CORNEA_IOR)
    return _mix_shader(g, fresnel, clear, mirror)


def _refracting(g: Graph):
    """Glass for camera rays; transparent for shadow rays, else the iris would lie in the dark."""
    glass = g.call(g.node("ShaderNodeBsdfGlass"), Color=(1.0, 1.0, 1.0), Roughness=0.0, IOR=CORNEA_IOR)
    clear = g.call(g.node("ShaderNodeBsdfTransparent"), Color=(1.0, 1.0, 1.0))
    path = g.node("ShaderNodeLightPath")
    passes = g.math("MAXIMUM", path.outputs["Is Shadow Ray"], path.outputs["Is Diffuse Ray"])
    return _mix_shader(g, passes, glass, clear)


def _mix_shader(g: Graph, factor, first, second):
    node = g.node("ShaderNodeMixShader")
    for socket, value in zip(node.inputs, (factor, first, second), strict=True):
        g.put(socket, value)
    return node.outputs[0]


def build_tear(material: bpy.types.Material) -> None:
    """The line of tears along the lower lid."""
    g = Graph(material.node_tree)
    material.surface_render_method = "BLENDED"
    material.diffuse_color = (1.0, 1.0, 1.0, 0.1)
    shader_pair(g, wet_film(g, 0.05), wet_film(g, 0.02))
    g.arrange()
