# SPDX-License-Identifier: GPL-3.0-or-later
"""The person's own face as one node group, which the materials of skin and eyes share.

Its values are named nodes, so that a slider sets a number and an artist can key one; its pictures are named
image nodes. All of them are in the layout of the head atlas, the UV layer `HeadUV`.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import bpy

from .face_components import components_group
from .graph import Graph, new_group

UV = "HeadUV"
BLEND = "likeness_blend"
"""Point attribute: 1 on the head, falling to 0 where the layout ends on the neck."""
LABEL = "Likeness Face"
"""The group's node in a material."""
ROLE = "face"
PICTURES = ("Still", "Track", "Scalp", "Relief", "Coverage")
VALUES = (
    "Strength",
    "Track Share",
    "Predicted Share",
    "Scalp Share",
    "Relief Share",
    "Eyes Share",
    "Invented",
)
"""Named value nodes, 0..1. `Invented`: paints what was never seen in blue."""
OUTPUTS = (
    ("Colour", "Color"),
    ("Face", "Float"),
    ("Normal", "Vector"),
    ("Eyes", "Float"),
)
_INVENTED = (0.04, 0.12, 0.6)
_GAMMA = 2.2
"""Of sRGB, near enough for a small change that is added in it."""


def face_group(name: str, id: str) -> bpy.types.NodeTree:
    """The group of one person, made on first use."""
    tree = find_face_group(id)
    return tree if tree is not None else _new(name, id)


def find_face_group(id: str) -> Any:
    """The group of a person, None where there is none."""
    for tree in bpy.data.node_groups:
        if tree.get("likeness_role") == ROLE and tree.get("likeness_id") == id and tree.library is None:
            return tree
    return None


def picture_node(tree: Any, name: str) -> Any:
    """The image node of one of `PICTURES`; None where an artist took it away."""
    node = tree.nodes.get(name)
    return node if node is not None and node.type == "TEX_IMAGE" else None


def set_value(tree: Any, name: str, value: float) -> None:
    """Set one of `VALUES`, if its node is still there."""
    node = tree.nodes.get(name)
    if node is not None and node.type == "VALUE" and abs(node.outputs[0].default_value - value) > 1e-6:
        node.outputs[0].default_value = value


def _new(name: str, id: str) -> bpy.types.NodeTree:
    tree, g, _control, end = new_group(f"{LABEL} {name}", (), OUTPUTS)
    tree["likeness_role"], tree["likeness_id"] = ROLE, id
    place = g.node("ShaderNodeUVMap", label=UV, uv_map=UV).outputs[0]
    value = {title: g.node("ShaderNodeValue", label=title).outputs[0] for title in VALUES}
    for socket in value.values():
        socket.default_value = 0.0
    picture = SimpleNamespace(**{title: _picture(g, title, place) for title in PICTURES})
    blend = g.attribute(BLEND, "Fac")
    still = picture.Still.outputs["Color"]
    moving = g.mix(value["Predicted Share"], still, _predicted(g, still, place, name, id))
    moving = g.mix(value["Track Share"], moving, picture.Track.outputs["Color"])
    held = g.mul(picture.Scalp.outputs["Alpha"], value["Scalp Share"])
    colour = g.mix(held, moving, picture.Scalp.outputs["Color"])
    unseen = g.mul(g.sub(1.0, picture.Coverage.outputs["Color"]), value["Invented"])
    g.put(end.inputs["Colour"], g.mix(g.mul(unseen, 0.7), colour, _INVENTED))
    cover = g.mul(blend, value["Strength"])
    g.put(end.inputs["Face"], cover)
    g.put(end.inputs["Eyes"], g.mul(value["Strength"], value["Eyes Share"]))
    relief = g.node("ShaderNodeNormalMap", label="Relief Normal", space="TANGENT", uv_map=UV)
    g.put(relief.inputs["Color"], picture.Relief.outputs["Color"])
    g.put(relief.inputs["Strength"], g.mul(cover, value["Relief Share"]))
    g.put(end.inputs["Normal"], relief.outputs[0])
    g.arrange()
    return tree


def _picture(g: Graph, title: str, place: Any) -> Any:
    node = g.node("ShaderNodeTexImage", label=title, extension="EXTEND", interpolation="Linear")
    g.put(node.inputs["Vector"], place)
    return node


def _predicted(g: Graph, still: Any, place: Any, name: str, id: str) -> Any:
    """The still, changed by the components in the space they were found in, which is sRGB."""
    change = g.node("ShaderNodeGroup", label="Components", node_tree=components_group(name, id))
    g.put(change.inputs["Place"], place)
    encoded = g.node("ShaderNodeGamma")
    g.put(encoded.inputs["Color"], still)
    g.put(encoded.inputs["Gamma"], 1.0 / _GAMMA)
    changed = g.vector("MAXIMUM", g.vector("ADD", encoded.outputs[0], change.outputs["Change"]), (0.0,) * 3)
    decoded = g.node("ShaderNodeGamma")
    g.put(decoded.inputs["Color"], changed)
    g.put(decoded.inputs["Gamma"], _GAMMA)
    return decoded.outputs[0]


WIRES = {
    "Skin": {"Colour": "Face Colour", "Face": "Face", "Normal": "Face Normal"},
    "Eye": {"Colour": "Chart Colour", "Eyes": "Chart"},
}
"""Per slot: output of the face group to input of the slot's own group."""


def connect(material: bpy.types.Material, tree: bpy.types.NodeTree) -> bool:
    """Plug the face into a material of skin or eyes, where it is not yet; inputs that an artist has plugged
    stay as they are. False where the material has no group of ours to plug into.
    """
    nodes: Any = material.node_tree.nodes if material.node_tree else {}
    wires = WIRES[str(material["likeness_role"])]
    target = next((n for n in nodes if n.type == "GROUP" and _takes(n, wires)), None)
    if target is None:
        return False
    source = next((n for n in nodes if n.type == "GROUP" and n.node_tree == tree), None)
    if source is None:
        source = nodes.get(LABEL) or Graph(material.node_tree).node("ShaderNodeGroup", label=LABEL)
        source.node_tree = tree
        source.location = (target.location[0] - 260.0, target.location[1])
        for output, name in wires.items():
            if not target.inputs[name].is_linked:
                material.node_tree.links.new(source.outputs[output], target.inputs[name])
    return True


def _takes(node: Any, wires: dict[str, str]) -> bool:
    return node.node_tree is not None and all(name in node.inputs for name in wires.values())
