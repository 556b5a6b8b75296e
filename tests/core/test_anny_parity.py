# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled body against the anny package itself: the same vertices, for anybody, in any pose."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from core.arkit import ARKIT_NAMES
from core.head import TO_BLENDER, load_model
from core.head.phenotype import PHENOTYPES
from core.rotation import normalized, to_matrix

PEOPLE = 100
BATCH = 10
TOLERANCE = 1e-5
"""Metres: 0.01 mm."""


@pytest.fixture(scope="module")
def package():
    pytest.importorskip("torch")
    pytest.importorskip("anny")
    from anny.models.phenotype import Anny

    from core.head.anny_source import RIG

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Anny(
            rig=RIG,
            topology="makehuman",
            local_changes="default",
            facial_actions="all",
            phenotypes="all",
            phenotype_blendshapes="original",
            skinning_method="lbs",
        )


def people(rng, model, package):
    """Random phenotypes, a few local changes, random actions, and turns of every joint."""
    local = list(package.local_change_labels)
    for _ in range(PEOPLE // BATCH):
        phenotypes = {name: rng.uniform(0, 1, BATCH) for name in PHENOTYPES}
        changes = {name: rng.uniform(-1, 1, BATCH) for name in rng.choice(local, 12, replace=False)}
        actions = {name: rng.uniform(0, 1, BATCH) for name in ARKIT_NAMES}
        axes = rng.normal(size=(BATCH, model.joint_count, 3))
        turns = normalized(np.concatenate([np.full((BATCH, model.joint_count, 1), 4.0), axes], axis=2))
        yield phenotypes, changes, actions, to_matrix(turns)


def test_a_hundred_random_people_equal_the_package(package):
    import torch

    model = load_model("anny")
    joints = [package.bone_labels.index(name) for name in model.joint_names]
    assert set(package.local_change_labels) == set(model.identity_names) - set(PHENOTYPES)
    worst = 0.0
    for phenotypes, changes, actions, turns in people(np.random.default_rng(3), model, package):
        blender_turns = TO_BLENDER @ turns @ TO_BLENDER.T
        transforms = np.tile(np.eye(4), (BATCH, model.joint_count, 1, 1))
        transforms[:, joints, :3, :3] = blender_turns
        tensors = [
            {name: torch.as_tensor(value) for name, value in group.items()}
            for group in (phenotypes, changes, actions)
        ]
        with torch.no_grad():
            expected = package(torch.as_tensor(transforms), *tensors, pose_parameterization="local-ref")[
                "vertices"
            ].numpy()
        for person in range(BATCH):
            values = {name: float(v[person]) for group in (phenotypes, changes) for name, v in group.items()}
            rest = model.rest(model.identity_coefficients(values), fit_eyes=False)
            weights = np.array([actions[name][person] for name in ARKIT_NAMES])
            rotations = dict(zip(model.joint_names, turns[person], strict=True))
            posed = model.pose(rest, weights, rotations, joints_follow_expression=True)
            ours = model.template_rows(posed) @ TO_BLENDER.T
            # The package puts the root joint at the origin, we put the ears there.
            ours -= rest.joint_heads[0] @ TO_BLENDER.T
            worst = max(worst, np.abs(ours - expected[person][model.published_rows]).max())
    assert worst < TOLERANCE, f"{1000 * worst:.4f} mm"
