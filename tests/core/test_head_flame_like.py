# SPDX-License-Identifier: GPL-3.0-or-later
"""A second kind of model through the same interface: written, read, shaped, posed."""

from __future__ import annotations

import numpy as np
import pytest
from flame_like import PARENTS, flame_like

from core.errors import ModelError
from core.head import load_model
from core.head.storage import save_linear
from core.rotation import normalized, to_matrix


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    model, identity, expression = flame_like()
    path = tmp_path_factory.mktemp("models") / "flame.npz"
    save_linear(path, model, identity, expression)
    return load_model(path), model, identity, expression


def test_what_is_read_is_what_was_written(written):
    read, model, *_ = written
    assert read.name == "flame" and read.identity_names == model.identity_names
    assert read.roles == dict(model.roles) and read.joint_names == model.joint_names
    values = {"identity_000": 1.5, "identity_250": -2.0}
    ours, theirs = (m.rest(m.identity_coefficients(values)) for m in (read, model))
    assert np.array_equal(ours.vertices, theirs.vertices)
    assert np.allclose(ours.joint_rotations, theirs.joint_rotations)


def test_the_forward_pass_is_the_standard_chain(written):
    model, _, identity, expression = written
    rng = np.random.default_rng(2)
    shape, weights = rng.normal(size=300), rng.normal(size=100)
    turns = to_matrix(normalized(np.c_[np.full((5, 1), 2.0), rng.normal(size=(5, 3))]))
    rest = model.rest(shape.astype(np.float32))
    posed = model.pose(rest, weights, dict(zip(model.joint_names, turns, strict=True)))
    assert np.abs(posed - plain_forward(model, shape, weights, turns, identity, expression)).max() < 2e-6


def plain_forward(model, shape, weights, turns, identity, expression):
    """Linear blend skinning as the FLAME paper writes it, joint by joint in float64."""
    shaped = model.template + np.einsum("k,kvd->vd", shape, identity.astype(np.float64))
    heads = np.einsum("jm,jmd->jd", model.head_weights, shaped[model.head_rows])
    world = []
    for joint, parent in enumerate(PARENTS):
        local = np.eye(4)
        local[:3, :3] = turns[joint]
        local[:3, 3] = heads[joint] - (heads[parent] if parent >= 0 else 0)
        world.append(local if parent < 0 else world[parent] @ local)
    expressed = shaped + np.einsum("k,kvd->vd", weights, expression.astype(np.float64))
    result = np.zeros_like(expressed)
    for joint in range(5):
        carried = (expressed - heads[joint]) @ world[joint][:3, :3].T + world[joint][:3, 3]
        result += model.skin_weights[:, joint, None] * carried
    return result


def test_its_parameters_are_checked_like_any_other(written):
    model = written[0]
    with pytest.raises(ModelError, match="gender"):
        model.identity_coefficients({"gender": 1.0})
    assert model.identity_limits["identity_000"] == (-3.0, 3.0)
    assert model.part_vertices("body").size != 0
