# SPDX-License-Identifier: GPL-3.0-or-later
"""A small builder for node trees: sockets or plain values go in, sockets come out, and the result is laid
out to be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import bpy

Value = Any
"""A socket, a float, or a tuple of 3 or 4 floats."""


class Graph:
    """Adds nodes to one node tree."""

    def __init__(self, tree: Any) -> None:
        self.tree = tree

    def node(self, kind: str, label: str = "", **properties: Any) -> bpy.types.Node:
        """A new node of type `kind` with RNA properties set."""
        node = self.tree.nodes.new(kind)
        node.label = label
        if label:
            node.name = label
        for name, value in properties.items():
            setattr(node, name, value)
        return node

    def put(self, socket: bpy.types.NodeSocket, value: Value) -> None:
        """Link a socket to `value` when that is a socket, else make it the default."""
        if value is None:
            return
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        elif socket.type == "RGBA" and isinstance(value, Sequence) and len(value) == 3:
            socket.default_value = (*value, 1.0)
        elif socket.type == "RGBA" and isinstance(value, float | int):
            socket.default_value = (value, value, value, 1.0)
        elif socket.type == "VECTOR" and isinstance(value, float | int):
            socket.default_value = (value, value, value)
        else:
            socket.default_value = value

    def call(self, node: bpy.types.Node, output: int | str = 0, **inputs: Value) -> bpy.types.NodeSocket:
        """Set inputs by name (underscores for spaces) and give one output."""
        for name, value in inputs.items():
            self.put(node.inputs[name.replace("_", " ")], value)
        return node.outputs[output]

    # ---- values

    def math(self, operation: str, a: Value, b: Value = None, c: Value = None, *, clamp: bool = False):
        """One Math node."""
        node = self.node("ShaderNodeMath", operation=operation, use_clamp=clamp)
        for socket, value in zip(node.inputs, (a, b, c), strict=False):
            self.put(socket, value)
        return node.outputs[0]

    def vector(self, operation: str, a: Value, b: Value = None, *, output: int = 0, scale: Value = None):
        """One Vector Math node; `output` 1 is the value of LENGTH, DOT_PRODUCT and DISTANCE."""
        node = self.node("ShaderNodeVectorMath", operation=operation)
        self.put(node.inputs[0], a)
        self.put(node.inputs[1], b)
        if scale is not None:
            self.put(node.inputs["Scale"], scale)
        return node.outputs[output]

    def add(self, a: Value, b: Value):
        """Sum."""
        return self.math("ADD", a, b)

    def mul(self, a: Value, b: Value):
        """Product."""
        return self.math("MULTIPLY", a, b)

    def sub(self, a: Value, b: Value):
        """Difference."""
        return self.math("SUBTRACT", a, b)

    def total(self, values: Iterable[Value]):
        """Sum of scalars."""
        values = list(values)
        result = values[0]
        for value in values[1:]:
            result = self.add(result, value)
        return result

    def smooth(self, value: Value, low: Value, high: Value, start: Value = 0.0, end: Value = 1.0):
        """Smoothstep from `low` to `high`, mapped to `start` .. `end`; `low` may exceed `high`."""
        node = self.node("ShaderNodeMapRange", interpolation_type="SMOOTHSTEP")
        for i, item in enumerate((value, low, high, start, end)):
            self.put(node.inputs[i], item)
        return node.outputs[0]

    def remap(self, value: Value, low: Value, high: Value, start: Value = 0.0, end: Value = 1.0):
        """Linear map, clamped."""
        node = self.node("ShaderNodeMapRange")
        for i, item in enumerate((value, low, high, start, end)):
            self.put(node.inputs[i], item)
        return node.outputs[0]

    # ---- colours

    def mix(self, factor: Value, a: Value, b: Value, blend: str = "MIX"):
        """Colour mix."""
        node = self.node("ShaderNodeMix", data_type="RGBA", blend_type=blend)
        for socket, value in ((node.inputs[0], factor), (node.inputs[6], a), (node.inputs[7], b)):
            self.put(socket, value)
        return node.outputs[2]

    def mixf(self, factor: Value, a: Value, b: Value):
        """Scalar mix."""
        node = self.node("ShaderNodeMix", data_type="FLOAT")
        for socket, value in ((node.inputs[0], factor), (node.inputs[2], a), (node.inputs[3], b)):
            self.put(socket, value)
        return node.outputs[0]

    def mixv(self, factor: Value, a: Value, b: Value):
        """Vector mix by one factor."""
        node = self.node("ShaderNodeMix", data_type="VECTOR")
        for socket, value in ((node.inputs[0], factor), (node.inputs[4], a), (node.inputs[5], b)):
            self.put(socket, value)
        return node.outputs[1]

    def ramp(self, factor: Value, stops: Sequence[tuple[float, Sequence[float]]], mode: str = "LINEAR"):
        """Colour ramp; stops are (position, linear RGB)."""
        node = self.node("ShaderNodeValToRGB")
        ramp = node.color_ramp
        ramp.interpolation = mode
        while len(ramp.elements) < len(stops):
            ramp.elements.new(1.0)
        for element, (position, colour) in zip(ramp.elements, stops, strict=True):
            element.position = position
            element.color = (*colour[:3], 1.0)
        self.put(node.inputs[0], factor)
        return node.outputs[0]

    # ---- textures and attributes

    def attribute(self, name: str, output: str = "Vector"):
        """A named geometry attribute: "Vector", "Color", "Fac" or "Alpha"."""
        node = self.node("ShaderNodeAttribute", label=name, attribute_name=name)
        return node.outputs[{"Color": 0, "Vector": 1, "Fac": 2, "Alpha": 3}[output]]

    def noise(
        self,
        vector: Value,
        scale: Value,
        detail: float = 2.0,
        roughness: float = 0.5,
        *,
        colour: bool = False,
    ):
        """Perlin noise around 0.5 (or its colour)."""
        node = self.node("ShaderNodeTexNoise")
        self.put(node.inputs["Vector"], vector)
        self.put(node.inputs["Scale"], scale)
        self.put(node.inputs["Detail"], detail)
        self.put(node.inputs["Roughness"], roughness)
        return node.outputs[1 if colour else 0]

    def voronoi(self, vector: Value, scale: Value, feature: str = "F1", output: str = "Distance"):
        """Voronoi distances; `feature` may be DISTANCE_TO_EDGE."""
        node = self.node("ShaderNodeTexVoronoi", feature=feature)
        self.put(node.inputs["Vector"], vector)
        self.put(node.inputs["Scale"], scale)
        return node.outputs[output]

    def bump(self, height: Value, strength: Value, distance: float, normal: Value = None):
        """A bump normal; `distance` in metres."""
        node = self.node("ShaderNodeBump")
        self.put(node.inputs["Height"], height)
        self.put(node.inputs["Strength"], strength)
        self.put(node.inputs["Distance"], distance)
        self.put(node.inputs["Normal"], normal)
        return node.outputs[0]

    def separate(self, vector: Value):
        """x, y, z of a vector."""
        node = self.node("ShaderNodeSeparateXYZ")
        self.put(node.inputs[0], vector)
        return tuple(node.outputs)

    def combine(self, x: Value, y: Value, z: Value):
        """A vector of three values."""
        node = self.node("ShaderNodeCombineXYZ")
        for socket, value in zip(node.inputs, (x, y, z), strict=True):
            self.put(socket, value)
        return node.outputs[0]

    # ---- layout

    def arrange(self, origin: tuple[float, float] = (0.0, 0.0)) -> None:
        """Columns by distance from the outputs, so that the tree reads from left to right."""
        depth = dict.fromkeys(self.tree.nodes, 0)
        for _ in range(len(depth)):
            changed = False
            for link in self.tree.links:
                if link.from_node in depth and depth[link.from_node] < depth[link.to_node] + 1:
                    depth[link.from_node] = depth[link.to_node] + 1
                    changed = True
            if not changed:
                break
        rows: dict[int, float] = {}
        for node, column in depth.items():
            y = rows.get(column, 0.0)
            node.location = (origin[0] - 220.0 * column, origin[1] + y)
            rows[column] = y - (
                320.0 if node.type == "GROUP" or node.bl_idname.endswith("Principled") else 190.0
            )


def current_group(name: str, inputs: Sequence[tuple]) -> Any:
    """The file's group of this name; None where there is none, or only one of an older version, which then
    steps aside for a new one: materials that use it keep it.
    """
    found: Any = bpy.data.node_groups.get(name)
    if found is None:
        return None
    known = {item.name for item in found.interface.items_tree if getattr(item, "in_out", "") == "INPUT"}
    if {item[0] for item in inputs} <= known:
        return found
    found.name = f"{name} (earlier)"
    return None


def new_group(name: str, inputs: Sequence[tuple], outputs: Sequence[tuple[str, str]]):
    """A node group with its interface.

    Inputs: (name, "Float" | "Color" | "Vector" ..., default, tooltip[, min, max]); outputs: (name, type).

    Gives (tree, graph, {input name: socket inside}, group output node).
    """
    tree: Any = bpy.data.node_groups.new(name, "ShaderNodeTree")
    for item in inputs:
        socket = tree.interface.new_socket(item[0], in_out="INPUT", socket_type=f"NodeSocket{item[1]}")
        socket.description = item[3]
        if item[2] is not None:
            socket.default_value = (*item[2], 1.0) if item[1] == "Color" and len(item[2]) == 3 else item[2]
        if len(item) > 4:
            socket.min_value, socket.max_value = item[4], item[5]
    for label, socket_type in outputs:
        tree.interface.new_socket(label, in_out="OUTPUT", socket_type=f"NodeSocket{socket_type}")
    graph = Graph(tree)
    start, end = graph.node("NodeGroupInput"), graph.node("NodeGroupOutput")
    return tree, graph, {item[0]: start.outputs[item[0]] for item in inputs}, end
