# SPDX-License-Identifier: GPL-3.0-or-later
"""The layout of the person's own face arrives on the body: a second UV layer and where it ends."""

from __future__ import annotations

import numpy as np
import pytest
from scene_support import avatar, bare_head, build, part


@pytest.fixture(scope="module")
def model():
    return part("core.head").load_model("anny")


def layer_of(mesh, name: str) -> np.ndarray:
    flat = np.empty(2 * len(mesh.loops), np.float32)
    mesh.uv_layers[name].uv.foreach_get("vector", flat)
    return flat.reshape(-1, 2)


def wanted_layer(model) -> np.ndarray:
    kept = part("addon.scene.mesh").visible_faces(model)
    corners = part("core.head.atlas").load_atlas(model).corner_uv[kept][model.faces[kept] >= 0]
    return np.where(np.isnan(corners), -1.0, corners)


def test_the_head_layer_is_the_atlas_and_the_models_own_uv_stays_active(empty_scene, model):
    mesh = build(avatar()).body.data
    assert [layer.name for layer in mesh.uv_layers] == ["UVMap", "HeadUV"]
    assert mesh.uv_layers.active.name == "UVMap"
    assert [layer.active_render for layer in mesh.uv_layers] == [True, False]
    assert np.array_equal(layer_of(mesh, "HeadUV"), wanted_layer(model).astype(np.float32))
    blend = np.empty(len(mesh.vertices), np.float32)
    mesh.attributes["likeness_blend"].data.foreach_get("value", blend)
    height = np.array([v.co.z for v in mesh.vertices])
    assert blend[height > 0.0].min() == 1.0  # from the ears up all is head
    assert blend[height < -0.3].max() == 0.0  # and no hand or foot is


def test_a_body_made_before_gets_the_layer_and_keeps_its_surface(empty_scene, model):
    double = build(avatar())
    mesh = double.body.data
    mesh.uv_layers.remove(mesh.uv_layers["HeadUV"])
    mesh.attributes.remove(mesh.attributes["likeness_blend"])
    rest = part("core.person").rest_of(model, avatar())
    assert not part("addon.scene.mesh").update_body(double.body, model, rest)
    assert np.array_equal(layer_of(mesh, "HeadUV"), wanted_layer(model).astype(np.float32))
    assert "likeness_blend" in mesh.attributes
    assert mesh.uv_layers.active.name == "UVMap"


def test_a_head_without_a_layout_of_its_own_keeps_its_uv(empty_scene):
    head = bare_head()
    mesh = build(avatar(), model=head).body.data
    assert np.array_equal(layer_of(mesh, "HeadUV"), layer_of(mesh, "UVMap"))
