# SPDX-License-Identifier: GPL-3.0-or-later
"""The object of a Gaussian head: whose head is seen, and what becomes of it when the file lives on."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import pytest
import splat_support
from scene_support import avatar, build, part
from splat_support import graph


@pytest.fixture(scope="module")
def saved(extension, tmp_path_factory) -> Any:
    """A file with a double and its head: growing hair anew for each test would take a minute."""
    folder = tmp_path_factory.mktemp("splats")
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    model, person = part("core.head").load_model("anny"), avatar()
    double = build(person, None, model, hair=True, clothes=False)
    splat_support.add_head(double, model, part("core.person").rest_of(model, person), folder)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "stage.blend"))
    return Stage(double.id, model, person, folder / "splats.npz")


@pytest.fixture
def stage(saved) -> Any:
    kept = saved.path.read_bytes()
    bpy.ops.wm.open_mainfile(filepath=str(saved.path.with_name("stage.blend")))
    yield saved
    saved.path.write_bytes(kept)


class Stage:
    """Finds the double's objects anew at each use, as undo and loading demand."""

    def __init__(self, id: str, model: Any, person: Any, path: Any) -> None:
        self.id, self.model, self.person, self.path = id, model, person, path
        self.object, self.state = part("addon.scene.splat_object"), part("addon.scene.splat_state")

    @property
    def double(self) -> Any:
        return part("addon.scene.double").find_double(bpy.context.scene, self.id)

    @property
    def head(self) -> Any:
        return self.object.head_of(self.double)

    @property
    def hair(self) -> list[Any]:
        return [self.double.part("hair"), self.double.part("brows")]


def faces(body: Any) -> int:
    bpy.context.view_layer.update()
    return len(body.evaluated_get(graph()).data.polygons)


def strands(obj: Any) -> int:
    """How many points the evaluated hair has, as curves or as tubes."""
    bpy.context.view_layer.update()
    return sum(
        len(getattr(item.object.data, kind, ()))
        for item in graph().object_instances
        for kind in ("points", "vertices")
        if item.object.original == obj
    )


def is_headless(stage: Stage) -> bool:
    double = stage.double
    body, whole = double.body, len(double.body.data.polygons)
    gone = faces(body) < whole
    assert [strands(obj) == 0 for obj in stage.hair] == [gone, gone]
    return gone


def flags() -> dict[str, tuple[bool, ...]]:
    return {o.name: (o.hide_viewport, o.hide_render, o.hide_get()) for o in bpy.context.scene.objects}


def test_the_head_hangs_on_the_bone_and_its_proxy_is_where_the_head_is(stage):
    head, double = stage.head, stage.double
    assert head.name == f"{double.name} Gaussian Head"
    assert (head.parent, head.parent_type, head.parent_bone) == (double.armature, "BONE", "head")
    assert double.collection in head.users_collection
    points = np.array([head.matrix_world @ v.co for v in head.data.vertices])
    now = stage.state.surface_vertices(graph(), head)
    world = np.stack([now[:, 0], -now[:, 2], now[:, 1]], axis=1)
    above = stage.state.splats_of(head).surface.rest[:, 1] > -0.08
    np.testing.assert_allclose(points.max(axis=0), world[above].max(axis=0), atol=0.012)
    np.testing.assert_allclose(points[:, :2].min(axis=0), world[above, :2].min(axis=0), atol=0.012)
    assert points[:, 2].min() > world[:, 2].min() + 0.02  # without the neck
    assert 400 < len(head.data.polygons) < 3000
    assert head.display_type == "BOUNDS"


def test_the_proxy_reaches_over_hair(stage):
    """Splats 6 cm over the scalp's triangles push its proxy out there, and nowhere else."""
    proxy, whole = part("addon.scene.splat_proxy"), stage.state.splats_of(stage.head)
    frames, bound = whole.surface.rest_frames, whole.gaussians.binding
    top = frames.middles[bound, 1] > 0.11
    whole.gaussians.means[top, 1] = 0.06 / frames.scales[bound[top]]
    points, triangles = proxy.proxy_of(whole)
    assert points[:, 1].max() > whole.surface.rest[:, 1].max() + 0.035
    low = whole.surface.rest[:, 1] < 0.0
    np.testing.assert_allclose(
        points[points[:, 1] < 0.0].min(axis=0), whole.surface.rest[low].min(axis=0), atol=0.012
    )
    assert triangles.min() == 0
    assert len(np.unique(triangles)) == len(points)


def test_showing_splats_hides_the_doubles_own_head_and_switching_back_restores_it(stage):
    before = flags()
    settings, body, whole = stage.head.likeness.splat, stage.double.body, len(stage.double.body.data.polygons)
    assert is_headless(stage)
    hidden = part("addon.scene.splat_hiding").head_faces(body.data)
    assert faces(body) == whole - hidden.sum()
    assert len(body.evaluated_get(graph()).data.vertices) == len(body.data.vertices)
    for show in ("MESH", "BOTH"):
        settings.show = show
        assert not is_headless(stage)
        assert not any("Likeness Hide Head" in obj.modifiers for obj in (body, *stage.hair))
        assert not stage.head.visible_shadow
    settings.show = "SPLATS"
    assert is_headless(stage)
    assert not stage.head.visible_camera
    assert flags() == before


def renders_mesh(stage: Stage) -> bool:
    """Whether Blender's own renders show the head and the hair of the mesh, and no shadow of the splats."""
    found = [obj.modifiers.get("Likeness Hide Head") for obj in (stage.double.body, *stage.hair)]
    gone = {modifier is not None and modifier.show_render for modifier in found}
    assert gone == {stage.head.visible_shadow}
    return not stage.head.visible_shadow


def test_blenders_own_renders_have_the_mesh_or_cards_in_its_place(stage):
    """Never a body without a head, and never both heads."""
    bpy.context.view_layer.objects.active = stage.head
    instances = part("addon.scene.splat_instances")
    assert is_headless(stage)
    assert renders_mesh(stage)
    stage.object.refresh(stage.double)
    assert renders_mesh(stage)
    assert bpy.ops.likeness.splat_instances() == {"FINISHED"}
    assert not renders_mesh(stage)
    stage.head.likeness.splat.show = "MESH"
    assert renders_mesh(stage)
    assert instances.cards_of(stage.head).hide_render
    stage.head.likeness.splat.show = "SPLATS"
    assert not renders_mesh(stage)
    assert not instances.cards_of(stage.head).hide_render
    # Deleted by hand, where no operator of ours can tell.
    bpy.data.objects.remove(instances.cards_of(stage.head))
    bpy.context.view_layer.update()
    assert renders_mesh(stage)
    bpy.ops.likeness.splat_instances()
    assert bpy.ops.likeness.splat_instances(remove=True) == {"FINISHED"}
    assert renders_mesh(stage)
    assert is_headless(stage)


def test_a_file_that_was_saved_without_a_head_in_renders_has_it_again(stage, tmp_path):
    for obj in (stage.double.body, *stage.hair):
        obj.modifiers["Likeness Hide Head"].show_render = True
    path = str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    assert renders_mesh(stage)


def test_a_viewport_without_splats_keeps_the_mesh(stage):
    stage.head.likeness.splat.use_viewport = False
    assert not is_headless(stage)
    assert not stage.object.draws_in_viewport(stage.head, bpy.context.view_layer)
    stage.head.likeness.splat.use_viewport = True
    assert stage.object.draws_in_viewport(stage.head, bpy.context.view_layer)
    stage.head.hide_set(True)
    assert not stage.object.draws_in_viewport(stage.head, bpy.context.view_layer)


def test_only_the_head_goes(stage):
    body = stage.double.body
    hidden = part("addon.scene.splat_hiding").head_faces(body.data)
    heights = np.array([face.center.z for face in body.data.polygons])
    parts = np.array([item.value for item in body.data.attributes["likeness_part"].data])
    assert heights[hidden].min() > -0.2
    assert hidden[heights > -0.16].mean() > 0.99
    assert hidden[parts != 0].all()


def test_deleting_the_head_gives_the_double_its_own_back(stage):
    head = stage.head
    bpy.data.objects.remove(head)
    assert not is_headless(stage)
    assert stage.state.heads(bpy.context.scene) == []


def test_deleting_it_as_a_person_does_and_undoing_that(stage):
    bpy.ops.ed.undo_push(message="before")
    with bpy.context.temp_override(selected_objects=[stage.head], selected_ids=[stage.head]):
        bpy.ops.object.delete()
    assert stage.head is None
    assert not is_headless(stage)
    bpy.ops.ed.undo_push(message="deleted")
    bpy.ops.ed.undo()
    assert stage.head is not None
    assert is_headless(stage)
    assert stage.state.state_of(graph(), stage.head) is not None


def test_removing_it_leaves_nothing(stage):
    stage.object.remove_head(stage.head)
    assert not is_headless(stage)
    assert not [t for t in bpy.data.node_groups if t.name.startswith("Likeness Hide")]
    assert not [m for m in bpy.data.meshes if "Gaussian" in m.name]


def test_the_file_remembers_it_and_finds_its_splats_again(stage, tmp_path):
    settings = stage.head.likeness.splat
    settings.quality = 0.5
    settings.show = "BOTH"
    before = stage.state.surface_vertices(graph(), stage.head)
    path = str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    assert stage.head.likeness.splat.quality == pytest.approx(0.5)
    np.testing.assert_allclose(stage.state.surface_vertices(graph(), stage.head), before, atol=1e-6)
    stage.head.likeness.splat.show = "SPLATS"
    assert is_headless(stage)
    bpy.ops.wm.save_as_mainfile(filepath=path)
    stage.path.unlink()
    bpy.ops.wm.open_mainfile(filepath=path)
    assert not is_headless(stage)
    assert "missing" in stage.state.problem_of(stage.head)


def test_renamed_things_stay_together(stage):
    for obj in stage.double.objects:
        obj.name = f"My {obj.name}"
    stage.double.body.data.name = "Mesh"
    assert stage.state.state_of(graph(), stage.head) is not None
    assert is_headless(stage)


def test_building_again_keeps_it(stage):
    stage.head.likeness.splat.quality = 0.7
    head = stage.head.session_uid
    wider = avatar(id=stage.id, identity={"weight": 0.9})
    double = build(wider, None, stage.model, hair=True, clothes=False)
    stage.object.refresh(double)
    assert stage.head.session_uid == head
    assert stage.head.likeness.splat.quality == pytest.approx(0.7)
    assert is_headless(stage)
    now, rows = (
        stage.state.surface_vertices(graph(), stage.head),
        stage.state.splats_of(stage.head).surface.rows,
    )
    rest = part("core.person").rest_of(stage.model, wider).vertices[rows]
    head_only = rest[:, 1] > 0.0  # above what a relaxed body moves
    apart = now[head_only] - rest[head_only]
    assert np.ptp(apart, axis=0).max() < 5e-5
    assert stage.state.own_move(graph(), stage.head) is None


def test_hair_that_grows_later_goes_too(stage):
    double = stage.double
    bpy.data.objects.remove(double.part("hair"))
    build(stage.person, None, stage.model, hair=True, clothes=False)
    assert strands(stage.double.part("hair")) > 0
    stage.object.refresh(stage.double)
    assert is_headless(stage)


def test_a_duplicated_double_has_a_head_of_its_own(stage):
    for obj in bpy.context.scene.objects:
        obj.select_set(obj.get("likeness_id") == stage.id)
    first = stage.head
    bpy.ops.object.duplicate()
    second = next(obj for obj in stage.state.heads(bpy.context.scene) if obj != first)
    bodies = [obj.likeness.splat.body for obj in (first, second)]
    assert bodies[0] != bodies[1]
    top = second.parent
    while top.parent is not None:
        top = top.parent
    top.location.x += 2.0
    bpy.context.view_layer.update()
    apart = stage.state.surface_vertices(graph(), second) - stage.state.surface_vertices(graph(), first)
    np.testing.assert_allclose(apart, np.broadcast_to([2.0, 0.0, 0.0], apart.shape), atol=1e-5)
    second.likeness.splat.show = "MESH"
    assert faces(bodies[0]) < faces(bodies[1])


def test_a_copy_of_the_body_alone_has_a_head(stage):
    body = stage.double.body
    copy = body.copy()
    bpy.context.scene.collection.objects.link(copy)
    assert faces(copy) == len(copy.data.polygons)
    assert is_headless(stage)


def test_compressed_copies_have_their_heads(stage):
    meshes = part("addon.scene.compressed_mesh")
    copy = meshes.copied_mesh(stage.double.body, "Copy")
    assert faces(copy) == len(copy.data.polygons)
    companions = part("addon.scene.compressed_companions")
    rig = stage.double.armature.copy()
    bpy.context.scene.collection.objects.link(rig)
    copies = companions.copy_companions(bpy.context.scene, stage.double.body, copy, rig)
    assert not any(stage.state.is_head(obj) or "Gaussian" in obj.name for obj in copies)
    assert not any("Likeness Hide Head" in obj.modifiers for obj in copies)
    assert is_headless(stage)


def test_a_foreign_or_damaged_file_changes_nothing(stage, tmp_path):
    errors, before = part("core.errors"), flags()
    stage.object.remove_head(stage.head)
    bad = tmp_path / "bad.npz"
    bad.write_bytes(b"nothing")
    with pytest.raises(errors.LikenessError):
        stage.object.add_head(stage.double, bad, "head")
    assert set(flags()) == {name for name in before if "Gaussian" not in name}
    assert not is_headless(stage)
