# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyes of an imported person that are meshes: they follow their bones, and light glints on the cornea.

Where the eyes are painted into the head's texture there is nothing to do: the movie moves them.
"""

from __future__ import annotations

from typing import Any

from . import bpy_compat
from .vendor_parts import Parts, part_name

CORNEA_IOR = 1.376
"""Of the cornea's tissue; the tears on it have 1.337, which looks the same."""
_ROUGHNESS = 0.03
_GLINT = "Leap Cornea"


def hold_eyes(parts: Parts) -> list[str]:
    """Let eyes that hang on no bone follow theirs; returns the names of those that have none to follow."""
    lost = []
    for eye in parts.eyes:
        side = "Left" if "left" in part_name(eye).lower() else "Right"
        bone = parts.armature.data.bones.get(f"{side}Eye")
        if _follows(eye, parts.armature):
            continue
        if bone is None:
            lost.append(part_name(eye))
            continue
        place = eye.matrix_world.copy()
        eye.parent, eye.parent_type, eye.parent_bone = parts.armature, "BONE", bone.name
        eye.matrix_world = place
    return lost


def _follows(eye: Any, armature: Any) -> bool:
    """Whether bones move it: by weights, or as their child."""
    skinned = eye.find_armature() is not None and any(
        group.name in armature.data.bones for group in eye.vertex_groups
    )
    return skinned or (eye.parent_type == "BONE" and bool(eye.parent_bone))


def glaze_corneas(parts: Parts) -> None:
    """Let clear corneas mirror light: glTF's alpha of zero takes their reflections away with their colour."""
    for mesh in parts.eyes:
        if "cornea" not in part_name(mesh).lower():
            continue
        for slot in mesh.material_slots:
            if slot.material is not None:
                _glaze(slot.material)
        mesh.visible_shadow = False  # a clear shell does not darken the eye in it


def _glaze(material: Any) -> None:
    """Clear where one looks straight through, mirroring at the rims."""
    bpy_compat.use_nodes(material)
    tree = material.node_tree
    out = next((node for node in tree.nodes if node.type == "OUTPUT_MATERIAL"), None)
    if out is None or _GLINT in tree.nodes:
        return
    fresnel, clear, gloss, mix = (
        tree.nodes.new(f"ShaderNode{kind}")
        for kind in ("Fresnel", "BsdfTransparent", "BsdfGlossy", "MixShader")
    )
    mix.name = mix.label = _GLINT
    fresnel.inputs["IOR"].default_value = CORNEA_IOR
    gloss.inputs["Roughness"].default_value = _ROUGHNESS
    for row, node in enumerate((fresnel, clear, gloss)):
        node.location = out.location[0] - 500.0, out.location[1] + 300.0 - 150.0 * row
    mix.location = out.location[0] - 250.0, out.location[1] + 150.0
    tree.links.new(fresnel.outputs[0], mix.inputs[0])
    tree.links.new(clear.outputs[0], mix.inputs[1])
    tree.links.new(gloss.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], out.inputs["Surface"])
