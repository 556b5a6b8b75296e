# SPDX-License-Identifier: GPL-3.0-or-later
"""A model with FLAME's shape and none of its content: 5023 vertices, 300 + 100 dimensions, five joints.

It proves that callers depend on `HeadModel` and not on the body that ships.
"""

from __future__ import annotations

import numpy as np

from core.head.basis import DenseBasis
from core.head.model import HeadModel
from core.head.phenotype import LinearParameters

ROWS, COLUMNS = 71, 71
VERTICES = 5023
JOINTS = ("root", "neck", "jaw", "eye_left", "eye_right")
PARENTS = np.array([-1, 0, 1, 1, 1])


def flame_like(seed: int = 0) -> tuple[HeadModel, np.ndarray, np.ndarray]:
    """The model, its identity shapes (300, V, 3) and its expression shapes (100, V, 3), metres."""
    rng = np.random.default_rng(seed)
    grid = np.stack(
        np.meshgrid(np.linspace(-1.2, 1.2, COLUMNS), np.linspace(-1.3, 1.3, ROWS)), axis=-1
    ).reshape(-1, 2)[:VERTICES]
    template = (
        0.1
        * np.c_[
            np.sin(grid[:, 0]) * np.cos(grid[:, 1]),
            np.sin(grid[:, 1]),
            np.cos(grid[:, 0]) * np.cos(grid[:, 1]),
        ]
    )
    identity, expression = (smooth_shapes(rng, template, count) for count in (300, 100))
    quads = np.array(
        [[i, i + 1, i + COLUMNS + 1, i + COLUMNS] for i in range(VERTICES - COLUMNS - 1) if (i + 1) % COLUMNS]
    )
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    faces = np.c_[triangles, np.full(len(triangles), -1)].astype(np.int32)
    regressed = rng.choice(VERTICES, (len(JOINTS), 8)).astype(np.int32)
    spread = rng.dirichlet(np.ones(8), len(JOINTS))
    weights = rng.dirichlet(np.full(len(JOINTS), 0.3), VERTICES)
    model = HeadModel(
        name="flame",
        template=template.astype(np.float32),
        visible_count=VERTICES,
        identity=DenseBasis(np.arange(VERTICES), identity),
        parameters=LinearParameters(tuple(f"identity_{i:03d}" for i in range(300))),
        expression_names=tuple(f"expression_{i:03d}" for i in range(100)),
        expression=DenseBasis(np.arange(VERTICES), expression),
        faces=faces,
        uv=np.where(faces[..., None] >= 0, 0.5 + 0.4 * grid[faces], 0).astype(np.float32),
        face_part=np.zeros(len(faces), np.uint8),
        part_names=("body",),
        joint_names=JOINTS,
        joint_parents=PARENTS,
        head_rows=regressed,
        head_weights=spread,
        tail_rows=(regressed + 200) % VERTICES,
        tail_weights=spread,
        rolls=np.zeros(len(JOINTS)),
        skin_joints=np.tile(np.arange(len(JOINTS), dtype=np.uint8), (VERTICES, 1)),
        skin_weights=weights.astype(np.float32),
        roles={
            "root": "root",
            "head": "neck",
            "neck": ("neck",),
            "eye_left": "eye_left",
            "eye_right": "eye_right",
        },
        provenance={"source": "synthetic"},
    )
    return model, identity, expression


def smooth_shapes(rng: np.random.Generator, template: np.ndarray, count: int) -> np.ndarray:
    """(count, V, 3) float32 waves of decreasing size over the surface, metres."""
    waves = rng.normal(size=(count, 3, 3)) * 20
    phase = rng.uniform(0, 2 * np.pi, (count, 1, 3))
    size = 0.003 / np.sqrt(1 + np.arange(count))[:, None, None]
    return (size * np.sin(np.einsum("vc,kcd->kvd", template, waves) + phase)).astype(np.float32)
