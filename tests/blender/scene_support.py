# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the scene share: people, performances and a head model without body, made in memory."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import bpy
import numpy as np

MODULE = "bl_ext.user_default.likeness"


def part(name: str) -> Any:
    """A module of the installed extension."""
    return importlib.import_module(f"{MODULE}.{name}")


def avatar(name: str = "Ada", folder: Path = Path("nowhere.avatar"), **values: Any) -> Any:
    """An avatar that is not on disk."""
    return part("core.avatar").Avatar(folder, name, **{"gender": "female", **values})


def settings(**values: Any) -> Any:
    """Build settings without hair and clothes, which have tests of their own."""
    return part("addon.scene.settings").BuildSettings(**{"hair": False, "clothes": False, **values})


def build(person: Any, performance: Any = None, model: Any = None, **values: Any) -> Any:
    """A double in the current scene."""
    return part("addon.scene.build").build(bpy.context, person, performance, settings(**values), model)


def performance(
    count: int = 20, rate: float = 30.0, gaze: bool = True, head: bool = True, seed: int = 3
) -> Any:
    """A performance with everything moving."""
    rng = np.random.default_rng(seed)
    rotation = part("core.rotation")
    time = np.arange(count) / rate
    phases = np.array([0.0, 1.0, 2.0])
    turns = 0.5 * np.sin(np.outer(time, [7.0, 5.0, 3.0]) + phases)
    return part("core.performance").Performance(
        name="take",
        time=time,
        weights=rng.uniform(0.0, 0.9, (count, 52)),
        head_rotation=rotation.from_rotation_vector(turns) if head else None,
        gaze=rng.uniform(-0.4, 0.4, (count, 2, 2)) if gaze else None,
    )


def evaluated(double: Any) -> np.ndarray:
    """(n, 3) float32 world coordinates of the body as Blender shows it now."""
    graph = bpy.context.evaluated_depsgraph_get()
    obj = double.body.evaluated_get(graph)
    points = np.empty(3 * len(obj.data.vertices), np.float32)
    obj.data.vertices.foreach_get("co", points)
    world = np.array(obj.matrix_world)
    return points.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]


def expected(double: Any, model: Any, vertices: np.ndarray) -> np.ndarray:
    """(n, 3) world coordinates that rows of the model ((V, 3), head frame) have on this double."""
    mesh = part("addon.scene.mesh")
    return mesh.to_blender(vertices[mesh.body_rows(model)]) + np.array(double.armature.matrix_world)[:3, 3]


def bare_head() -> Any:
    """A model shaped like FLAME: a head without body or eyeballs, linear identity, few joints and
    expressions.
    """
    head = part("core.head")
    basis, phenotype = part("core.head.basis"), part("core.head.phenotype")
    side = np.linspace(-0.1, 0.1, 6)
    x, y = (axis.ravel() for axis in np.meshgrid(side, side))
    template = np.stack([x, y, 0.1 - 4.0 * (x**2 + y**2)], axis=1).astype(np.float32)
    corner = np.array([r * 6 + c for r in range(5) for c in range(5)])
    faces = np.stack([corner, corner + 1, corner + 7, corner + 6], axis=1).astype(np.int32)
    faces = np.concatenate([faces[1:], [[0, 1, 7, -1], [0, 7, 6, -1]]]).astype(np.int32)
    jaw, smile = np.zeros((2, 36, 3), np.float32)
    jaw[:12, 1], smile[:6, 0] = -0.03, 0.01
    weight = np.clip((y + 0.1) / 0.2, 0.0, 1.0)
    return head.HeadModel(
        name="bare",
        template=template,
        visible_count=36,
        identity=basis.DenseBasis(np.arange(36), np.ones((1, 36, 3), np.float32) * 0.01),
        parameters=phenotype.LinearParameters(("size",)),
        expression_names=("jawOpen", "mouthSmileLeft"),
        expression=basis.DenseBasis(np.arange(36), np.stack([jaw, smile])),
        faces=faces,
        uv=np.where(faces[..., None] >= 0, (template[:, :2] * 5 + 0.5)[faces], 0.0).astype(np.float32),
        face_part=np.zeros(len(faces), np.uint8),
        part_names=("body",),
        joint_names=("neck", "head", "left_eye", "right_eye"),
        joint_parents=np.array([-1, 0, 1, 1]),
        head_rows=np.array([[2], [20], [22], [21]]),
        head_weights=np.ones((4, 1)),
        tail_rows=np.array([[20], [33], [28], [27]]),
        tail_weights=np.ones((4, 1)),
        rolls=np.zeros(4),
        skin_joints=np.tile(np.array([1, 0], np.uint8), (36, 1)),
        skin_weights=np.stack([weight, 1.0 - weight], axis=1).astype(np.float32),
        roles={
            "root": "neck",
            "head": "head",
            "neck": ("neck",),
            "eye_left": "left_eye",
            "eye_right": "right_eye",
        },
    )
