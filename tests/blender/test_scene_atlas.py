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


def test_blenders_tangents_are_those_that_relief_is_made_for(empty_scene, model):
    mesh = build(avatar()).body.data
    mesh.calc_tangents(uvmap="HeadUV")
    count = len(mesh.loops)
    flat = {name: np.empty(size * count, np.float32) for name, size in (("tangent", 3), ("bitangent", 3))}
    for name, values in flat.items():
        mesh.loops.foreach_get(name, values)
    vertex = np.empty(count, np.int32)
    mesh.loops.foreach_get("vertex_index", vertex)
    atlas = part("core.head.atlas").load_atlas(model)
    rest = part("core.person").rest_of(model, avatar())
    frames = part("core.texture.tangents").TangentFrames.of(atlas, rest.vertices)
    rows, uv = part("addon.scene.mesh").body_rows(model)[vertex], layer_of(mesh, "HeadUV")
    at = {(int(r), *map(float, p)): i for i, (r, p) in enumerate(zip(rows, uv, strict=True))}
    corners = zip(atlas.triangles.ravel(), atlas.uv.reshape(-1, 2), strict=True)
    loop = np.array([at[int(r), float(p[0]), float(p[1])] for r, p in corners])
    skin = np.repeat(atlas.triangle_chart == 1, 3)
    for name, values in flat.items():
        ours = getattr(frames, name).reshape(-1, 3) @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
        cosine = np.sum(ours * values.reshape(-1, 3)[loop], axis=1)[skin]
        off = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        assert np.median(off) < 1.0
        assert np.percentile(off, 95) < 6.0  # quads of nostrils and ears are cut otherwise
