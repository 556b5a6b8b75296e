# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that engines read moves as the object in the scene does, and writing it leaves no trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Matrix
from scene_support import part
from skin_export_support import BONES, FRAMES, Glb, skinned, state_of_the_file
from test_compressed import made, patch, standing_oddly

RANGE = {"first": 10, "last": 10 + FRAMES - 1}


@pytest.fixture(autouse=True)
def new_file(empty_scene: bpy.types.Scene) -> None:
    """Every test starts in an empty file."""


def export(obj: Any, path: Path, **values: Any) -> Any:
    module = part("addon.scene.skin_export")
    options = part("addon.scene.skin_export_files").ExportOptions(**{"influences": 8, **RANGE, **values})
    return module.export_skin(bpy.context.scene, obj, path, options)


@pytest.mark.parametrize("kind", ["GLB", "FBX"])
@pytest.mark.parametrize("influences", [4, 8])
def test_it_comes_back_as_it_was(tmp_path: Path, kind: str, influences: int) -> None:
    obj = skinned(influences)
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 30, 1.001
    scene.frame_set(12)
    before = state_of_the_file()
    report = export(obj, tmp_path / f"head.{kind.lower()}", kind=kind, influences=influences)
    assert state_of_the_file() == before
    assert (report.measured.bones, report.measured.frames) == (1 + 2 * BONES, FRAMES)
    assert report.measured.maximum < 0.03
    assert report.measured.mean < 0.001
    assert [path.name for path in tmp_path.iterdir()] == [f"head.{kind.lower()}"]
    assert str(report).startswith(
        f"head.{kind.lower()}: 11 bones in all, {influences} influences, 9 frames, re-imp"
    )


@pytest.mark.parametrize("kind", ["GLB", "FBX"])
def test_fewer_influences_cost_what_the_report_says(tmp_path: Path, kind: str) -> None:
    obj = skinned(6)
    weights = [[entry.weight for entry in vertex.groups] for vertex in obj.data.vertices]
    report = export(obj, tmp_path / f"head.{kind.lower()}", kind=kind, influences=4)
    assert report.measured.maximum > 0.5
    assert [[entry.weight for entry in vertex.groups] for vertex in obj.data.vertices] == weights


def test_the_file_holds_what_was_asked_for(tmp_path: Path) -> None:
    export(skinned(6), tmp_path / "head.glb", influences=4)
    glb = Glb(tmp_path / "head.glb")
    (mesh,), (animation,) = glb.json["meshes"], glb.json["animations"]
    names = set(mesh["primitives"][0]["attributes"])
    assert {"WEIGHTS_0", "TEXCOORD_0"} <= names and not {"WEIGHTS_1", "COLOR_0"} & names
    assert glb.attribute("WEIGHTS_0").sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert (mesh["name"], animation["name"]) == ("face", "head")
    times = glb.accessor(animation["samplers"][0]["input"])[:, 0]
    assert times == pytest.approx(np.arange(FRAMES) / 24, abs=1e-6)
    assert len(animation["channels"]) == 3 * (1 + 2 * BONES)
    assert "targets" not in mesh["primitives"][0]


@pytest.mark.parametrize("kind", ["GLB", "FBX"])
def test_without_animation_it_comes_back_at_rest(tmp_path: Path, kind: str) -> None:
    report = export(skinned(), tmp_path / f"head.{kind.lower()}", kind=kind, animation=False)
    assert report.frames == 0 and "no animation" in str(report)
    assert report.measured.maximum < 0.01


@pytest.mark.parametrize("kind", ["GLB", "FBX"])
@pytest.mark.parametrize("two_bone", [False, True])
def test_a_compressed_object_anywhere(tmp_path: Path, kind: str, two_bone: bool) -> None:
    """Turned, scaled, on a moving parent; frames before 0; the sidecar beside it."""
    original = patch()
    standing_oddly(original)
    copy, _report, _skin = made(original, two_bone=two_bone)
    bpy.context.scene.unit_settings.scale_length = 0.001
    name = f"head.{kind.lower()}"
    report = export(copy, tmp_path / name, kind=kind, first=-2, last=13, sidecar=True)
    assert report.frames == 16
    assert report.measured.maximum < 2e-3
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted([name, "head.skin.json", "head.skin.npz"])


def test_the_sidecar_drives_the_vertices_of_the_file(tmp_path: Path) -> None:
    """Skinning the file's own vertices with the sidecar's matrices gives the skin's, in glTF's axes."""
    copy, _report, skin = made(patch())
    export(copy, tmp_path / "head.glb", first=1, last=2, sidecar=True)
    glb = Glb(tmp_path / "head.glb")
    sidecar = part("core.skin.sidecar").read_sidecar(tmp_path / "head.skin.json")
    assert (sidecar.axes, sidecar.mesh, sidecar.unit_in_metres) == ("gltf", "head.glb", 1.0)
    coefficients = np.array([[0.3, 1.0, 0.0], [1.0, 0.0, 0.5]])
    wanted = part("core.skin.playback").evaluate(skin, coefficients)
    wanted = np.stack([wanted[..., 0], wanted[..., 2], -wanted[..., 1]], axis=-1)

    matrices = np.zeros((2, len(glb.joint_names()), 3, 4))
    matrices[..., :3] = np.eye(3)
    matrices[:, [glb.joint_names().index(name) for name in sidecar.bone_names]] = sidecar.matrices(
        coefficients
    )
    points = glb.attribute("POSITION")
    joints, weights = glb.attribute("JOINTS_0"), glb.attribute("WEIGHTS_0")
    whole = np.concatenate([points, np.ones((len(points), 1), np.float32)], axis=1)
    found = np.einsum("nk,tnkij,nj->tni", weights, matrices[:, joints], whole)

    rest = skin.rest + skin.centre
    rest = np.stack([rest[:, 0], rest[:, 2], -rest[:, 1]], axis=-1)
    rows = np.argmin(np.linalg.norm(points[:, None] - rest, axis=2), axis=1)
    assert np.abs(found - wanted[:, rows]).max() < 2e-3 * np.ptp(rest)
    assert np.abs(points - rest[rows]).max() < 1e-5 * np.ptp(rest)
    stand = {
        bone.name: bone.head_local for bone in part("addon.scene.compressed_state").rig_of(copy).data.bones
    }
    assert sidecar.pivots[0] == pytest.approx(
        [stand[sidecar.bone_names[0]][axis] * sign for axis, sign in ((0, 1), (2, 1), (1, -1))], abs=1e-4
    )


@pytest.mark.parametrize("kind", ["GLB", "FBX"])
def test_correctives_go_along_when_asked(tmp_path: Path, kind: str) -> None:
    obj = skinned(4)
    obj.shape_key_add(name="Basis", from_mix=False)
    key = obj.shape_key_add(name="corrective", from_mix=False)
    points = np.array([point.co for point in key.data], np.float32)
    points[:20] += [0.0, 0.02, 0.0]
    key.data.foreach_set("co", points.ravel())
    for frame, value in ((10, 0.0), (18, 1.0)):
        key.value = value
        key.keyframe_insert("value", frame=frame)
    before = state_of_the_file()
    without = export(obj, tmp_path / f"a.{kind.lower()}", kind=kind)
    assert without.measured.maximum == pytest.approx(20.0, rel=0.5)
    assert ", without its corrective keys, re-imported" in str(without)
    with_keys = export(obj, tmp_path / f"b.{kind.lower()}", kind=kind, correctives=True)
    assert with_keys.measured.maximum < 0.05
    assert state_of_the_file() == before


@pytest.mark.parametrize("kind", ["GLB", "FBX"])
@pytest.mark.parametrize("animation", [True, False])
def test_correctives_may_be_on_at_the_first_frame(tmp_path: Path, kind: str, animation: bool) -> None:
    obj = skinned(4)
    obj.shape_key_add(name="Basis", from_mix=False)
    for number in range(2):
        key = obj.shape_key_add(name=f"corrective {number}", from_mix=False)
        points = np.array([point.co for point in key.data], np.float32)
        points[20 * number : 20 * number + 20] += [0.0, 0.02, 0.0]
        key.data.foreach_set("co", points.ravel())
        for frame, value in ((10, 0.8), (18, 0.1)):
            key.value = value
            key.keyframe_insert("value", frame=frame)
    bpy.context.scene.frame_set(10)
    before = state_of_the_file()
    path = tmp_path / f"head.{kind.lower()}"
    report = export(obj, path, kind=kind, correctives=True, animation=animation)
    assert report.measured.maximum < 0.05
    assert "corrective" not in str(report)
    assert state_of_the_file() == before


def test_pictures_go_along_and_nodes_are_named(tmp_path: Path) -> None:
    obj = skinned(4)
    image = bpy.data.images.new("skin", 4, 4)
    image.pack()
    painted, made_of_nodes = (bpy.data.materials.new(name) for name in ("painted", "noisy"))
    for material in (painted, made_of_nodes):
        part("addon.scene.bpy_compat").use_nodes(material)
        obj.data.materials.append(material)
    for material, kind in ((painted, "ShaderNodeTexImage"), (made_of_nodes, "ShaderNodeTexNoise")):
        node = material.node_tree.nodes.new(kind)
        shader = next(n for n in material.node_tree.nodes if n.type == "BSDF_PRINCIPLED")
        material.node_tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
        if kind == "ShaderNodeTexImage":
            node.image = image
    obj.data.polygons[3].material_index = 1
    before = state_of_the_file()
    report = export(obj, tmp_path / "head.glb")
    assert state_of_the_file() == before
    assert report.plain == ("noisy",) and "noisy" in str(report)
    glb = Glb(tmp_path / "head.glb")
    assert [image["name"] for image in glb.json["images"]] == ["skin"]
    assert report.measured.maximum < 0.03


@pytest.mark.parametrize("kind", ["GLB", "FBX"])
def test_clothes_go_along_and_what_they_hide_does_not(tmp_path: Path, kind: str) -> None:
    obj = skinned(4)
    coat = obj.copy()
    coat.data = obj.data.copy()
    coat.name = "coat"
    part("addon.scene.compressed_state").forget(coat)
    coat.data.transform(Matrix.Translation((0.0, -0.01, 0.0)))
    bpy.context.scene.collection.objects.link(coat)
    covered = obj.vertex_groups.new(name="covered")
    covered.add(list(range(30)), 1.0, "REPLACE")
    mask = obj.modifiers.new("Covered", "MASK")
    mask.vertex_group, mask.invert_vertex_group = "covered", True
    before = state_of_the_file()
    alone = export(obj, tmp_path / f"alone.{kind.lower()}", kind=kind)
    dressed = export(obj, tmp_path / f"dressed.{kind.lower()}", kind=kind, companions=True)
    assert state_of_the_file() == before
    assert (alone.meshes, dressed.meshes) == (1, 2)
    assert alone.measured.vertices < dressed.measured.vertices < 2 * alone.measured.vertices
    assert dressed.measured.bones == alone.measured.bones
    assert max(alone.measured.maximum, dressed.measured.maximum) < 0.03
    if kind == "GLB":
        document = Glb(tmp_path / "dressed.glb").json
        assert sorted(mesh["name"] for mesh in document["meshes"]) == sorted(["face", coat.data.name])


def test_a_failure_leaves_scene_and_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    obj = skinned()
    target = tmp_path / "head.glb"
    target.write_bytes(b"before")
    before = state_of_the_file()

    def fail(*_args: object) -> None:
        raise part("core.errors").ModelError("no")

    monkeypatch.setattr(part("addon.scene.skin_export"), "read_again", fail)
    with pytest.raises(part("core.errors").ModelError):
        export(obj, target)
    assert state_of_the_file() == before
    assert target.read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 1


def call(path: Path, **values: Any) -> set[str]:
    return bpy.ops.likeness.export_skin(
        filepath=str(path), **{"frames": "ACTION", "sidecar": False, **values}
    )


@pytest.mark.parametrize("mode", ["OBJECT", "POSE"])
def test_the_operator_leaves_people_where_they_were(tmp_path: Path, mode: str) -> None:
    obj = skinned()
    rig = part("addon.scene.compressed_state").rig_of(obj)
    part("addon.scene.compressed_state").keep_action(obj, rig.animation_data.action, {})
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode=mode)
    before = state_of_the_file()
    assert call(tmp_path / "head.glb", influences="8") == {"FINISHED"}
    assert state_of_the_file() == before
    assert bpy.context.view_layer.objects.active.mode == mode
    times = Glb(tmp_path / "head.glb").json["accessors"]
    assert max(entry["max"][0] for entry in times if entry["type"] == "SCALAR" and "max" in entry) == (
        pytest.approx((FRAMES - 1) / 24)
    )


def test_undo_goes_back_to_before_the_last_change(tmp_path: Path) -> None:
    """The export is no step of its own, and leaves none of Blender's in between."""
    obj = skinned()
    bpy.context.view_layer.objects.active = obj
    bpy.ops.ed.undo_push(message="made")
    obj.location.x = 3.0
    bpy.ops.ed.undo_push(message="moved")
    assert call(tmp_path / "head.glb", frames="CUSTOM", first=10, last=12) == {"FINISHED"}
    bpy.ops.ed.undo()
    assert bpy.data.objects["face"].location.x == 0.0
    assert len(bpy.data.scenes) == 1


def test_what_cannot_be_exported_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="Compress a mesh to bones first"):
        call(tmp_path / "head.glb")
    obj = skinned()
    bpy.context.view_layer.objects.active = obj
    with pytest.raises(RuntimeError, match=r"does not end in \.fbx"):
        call(tmp_path / "head.glb", kind="FBX")
    with pytest.raises(RuntimeError, match=r"The folder .* is not there"):
        call(tmp_path / "nowhere" / "head.glb")
    with pytest.raises(RuntimeError, match="before it starts"):
        call(tmp_path / "head.glb", frames="CUSTOM", first=5, last=4)
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(RuntimeError, match="Leave edit mode"):
        call(tmp_path / "head.glb")
    bpy.ops.object.mode_set(mode="OBJECT")

    def refuse(**_options: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(part("addon.scene.skin_export_files").tempfile, "mkdtemp", refuse)
    with pytest.raises(RuntimeError, match="cannot be written: Permission denied"):
        call(tmp_path / "head.glb")
    module = part("addon.scene.skin_export")
    with pytest.raises(part("core.errors").ModelError, match="was not compressed"):
        module.check_object(bpy.data.objects.new("cube", bpy.data.meshes.new("cube")))
    assert not list(tmp_path.iterdir())
