# SPDX-License-Identifier: GPL-3.0-or-later
"""Two shader sets in one material: a light one made for EEVEE, and a full one for ray tracing.

Each ends in its own Material Output. Which of the two outputs is active decides the set, in every engine,
so that switching loses nothing an artist changed in either.
"""

from __future__ import annotations

from collections.abc import Iterable

import bpy

from .graph import Graph

OUTPUTS = {"EEVEE": "Likeness EEVEE", "CYCLES": "Likeness Ray Traced"}


def shader_pair(g: Graph, eevee: bpy.types.NodeSocket, traced: bpy.types.NodeSocket) -> None:
    """Add the two outputs; EEVEE's is active."""
    for mode, shader in (("EEVEE", eevee), ("CYCLES", traced)):
        output = g.node("ShaderNodeOutputMaterial", label=OUTPUTS[mode])
        g.put(output.inputs["Surface"], shader)
        output.is_active_output = mode == "EEVEE"


def set_material_mode(objects: Iterable[bpy.types.Object], mode: str) -> int:
    """Switch every Likeness material on `objects` to "EEVEE" or "CYCLES" (ray traced); gives how many were
    switched.
    """
    if mode not in OUTPUTS:
        raise ValueError(f"material mode {mode!r}: expected one of {', '.join(OUTPUTS)}")
    slots = {slot.material for item in objects for slot in item.material_slots if slot.material is not None}
    return sum(activate(material, mode) for material in slots)


def material_mode(material: bpy.types.Material) -> str | None:
    """The active set of a material, None when it is not one of Likeness's pairs."""
    nodes = material.node_tree.nodes if material.node_tree else {}
    for mode, name in OUTPUTS.items():
        node = nodes.get(name)
        if node is not None and node.is_active_output:
            return mode
    return None


def activate(material: bpy.types.Material, mode: str) -> bool:
    """Make one set of a material the active one; False when the material is not one of Likeness's pairs."""
    nodes = material.node_tree.nodes if material.node_tree else {}
    outputs = {key: nodes.get(name) for key, name in OUTPUTS.items()}
    if outputs[mode] is None:
        return False
    for key, node in outputs.items():
        if node is not None:
            node.is_active_output = key == mode
    return True
