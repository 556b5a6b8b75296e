# SPDX-License-Identifier: GPL-3.0-or-later
"""The operators as scripts call them: what they make of the scene, and what they refuse, touching nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import pytest
from ops_support import Importer, write_sound, write_take


@pytest.fixture
def take(module: Importer, tmp_path: Path) -> Path:
    return write_take(module, tmp_path / "take.csv")


@pytest.fixture
def avatars(module: Importer, tmp_path: Path) -> Iterator[Path]:
    """Avatars of this test go into its own folder."""
    chosen = module("addon.preferences").get()
    chosen.avatars_folder = str(tmp_path / "avatars")
    yield tmp_path / "avatars"
    chosen.avatars_folder = ""


@pytest.fixture
def root(empty_scene: bpy.types.Scene, avatars: Path, take: Path) -> bpy.types.Object:
    """An imported double."""
    assert bpy.ops.likeness.import_capture(filepath=str(take), gender="FEMALE") == {"FINISHED"}
    return bpy.context.scene.likeness.active


@pytest.fixture
def session(module: Importer) -> ModuleType:
    return module("addon.session")


def names() -> dict[str, set[str]]:
    """Everything in the file that a failed operator could have left."""
    kinds = (
        "objects",
        "meshes",
        "armatures",
        "actions",
        "materials",
        "collections",
        "cameras",
        "lights",
        "worlds",
    )
    return {kind: {item.name for item in getattr(bpy.data, kind)} for kind in kinds}


def body(root: bpy.types.Object, session: ModuleType) -> bpy.types.Object:
    return session.double_of(bpy.context.scene, root).body


def points(obj: bpy.types.Object) -> np.ndarray:
    values = np.empty(3 * len(obj.data.vertices), np.float32)
    obj.data.vertices.foreach_get("co", values)
    return values


def keys(root: bpy.types.Object, session: ModuleType, shape: str) -> np.ndarray:
    """(n, 2) frames and values of the keys that play."""
    owner = body(root, session).data.shape_keys
    action = owner.animation_data.action
    bag = action.layers[0].strips[0].channelbag(owner.animation_data.action_slot)
    curve = bag.fcurves.find(f'key_blocks["{shape}"].value')
    values = np.empty(2 * len(curve.keyframe_points), np.float32)
    curve.keyframe_points.foreach_get("co", values)
    return values.reshape(-1, 2)


def test_import_builds_a_double_that_plays(
    root: bpy.types.Object, session: ModuleType, avatars: Path
) -> None:
    note = root.likeness
    assert note.performance
    assert note.performances[note.performance].frame_count == 31
    assert note.performances[note.performance].has_head
    assert Path(note.folder).parent == avatars
    assert bpy.context.scene.frame_end == 30
    assert np.isclose(keys(root, session, "jawOpen")[:, 1].max(), 0.8, atol=1e-3)
    assert bpy.context.scene.camera is not None


def test_import_again_updates_the_same_double(
    root: bpy.types.Object, take: Path, session: ModuleType
) -> None:
    root.likeness.look.melanin = 0.77
    before = {obj.name for obj in bpy.data.objects}
    bpy.ops.likeness.import_capture(filepath=str(take), gender="FEMALE")
    assert {obj.name for obj in bpy.data.objects} == before
    assert bpy.context.scene.likeness.active.likeness.look.melanin == pytest.approx(0.77)


def test_another_capture_of_the_same_name_is_another_person(
    root: bpy.types.Object, module: Importer, tmp_path: Path, session: ModuleType
) -> None:
    (tmp_path / "other").mkdir()
    bpy.ops.likeness.import_capture(
        filepath=str(write_take(module, tmp_path / "other" / "take.csv", head=False))
    )
    assert len(session.roots()) == 2
    assert bpy.context.scene.likeness.active != root


@pytest.mark.parametrize("content", [None, b"", b"not a capture", b"PK\x03\x04 broken"])
def test_a_bad_capture_is_one_sentence_and_changes_nothing(
    empty_scene: bpy.types.Scene, avatars: Path, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "bad.zip"
    if content is not None:
        path.write_bytes(content)
    before = names()
    with pytest.raises(RuntimeError) as caught:
        bpy.ops.likeness.import_capture(filepath=str(path))
    assert "Traceback" not in str(caught.value)
    assert names() == before
    assert not list(avatars.glob("*")) if avatars.exists() else True


def test_a_killed_worker_leaves_the_scene_as_it_was(
    empty_scene: bpy.types.Scene, avatars: Path, take: Path, module: Importer, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = module("addon.work")
    start = work.AvatarJob.__init__

    def killed(self: object, order: object) -> None:
        start(self, order)
        self._job._child.kill()

    monkeypatch.setattr(work.AvatarJob, "__init__", killed)
    before = names()
    with pytest.raises(RuntimeError, match="worker was killed"):
        bpy.ops.likeness.import_capture(filepath=str(take))
    assert names() == before
    assert not list(avatars.glob("*"))
    assert not module("addon.runtime").SESSION.job.active


def test_sliders_and_the_operator_give_the_same_shape(root: bpy.types.Object, session: ModuleType) -> None:
    start = points(body(root, session))
    root.likeness.identity.age = 0.95
    moved = points(body(root, session))
    assert np.abs(moved - start).max() > 1e-3
    bpy.ops.likeness.reset_identity()
    assert np.allclose(points(body(root, session)), start, atol=1e-6)
    bpy.ops.likeness.set_identity(age=0.95)
    assert np.allclose(points(body(root, session)), moved, atol=1e-6)


def test_an_unknown_local_change_is_refused(root: bpy.types.Object, session: ModuleType) -> None:
    start = points(body(root, session))
    with pytest.raises(RuntimeError, match="no local change 'nose-of-gold'"):
        bpy.ops.likeness.set_identity(age=0.1, changes="nose-of-gold=1")
    assert np.array_equal(points(body(root, session)), start)


def test_saved_shape_is_what_another_scene_gets(
    root: bpy.types.Object, session: ModuleType, module: Importer
) -> None:
    change = next(c.name for c in root.likeness.identity.changes if c.name.startswith("nose"))
    bpy.ops.likeness.set_identity(age=0.9, changes=f"{change}=0.5")
    shape, folder = points(body(root, session)), root.likeness.folder
    bpy.ops.likeness.save_avatar()
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.ops.likeness.open_avatar(directory=folder)
    other = bpy.context.scene.likeness.active
    assert np.allclose(points(body(other, session)), shape, atol=1e-5)


def test_filters_and_the_switch(root: bpy.types.Object, session: ModuleType) -> None:
    raw = keys(root, session, "jawOpen")
    root.likeness.filters.gain = 0.5
    assert bpy.ops.likeness.apply_filters() == {"FINISHED"}
    assert np.allclose(keys(root, session, "jawOpen")[:, 1], 0.5 * raw[:, 1], atol=1e-5)
    root.likeness.filters.enabled = False
    assert np.allclose(keys(root, session, "jawOpen"), raw, atol=1e-5)
    root.likeness.filters.enabled = True
    bpy.ops.likeness.reset_filters()
    assert np.allclose(keys(root, session, "jawOpen"), raw, atol=1e-5)


def test_limits_of_one_shape_leave_the_others(root: bpy.types.Object, session: ModuleType) -> None:
    blink = keys(root, session, "eyeBlinkLeft")
    bpy.ops.likeness.add_shape_limit(shape="jawOpen")
    root.likeness.filters.shapes["jawOpen"].maximum = 0.3
    bpy.ops.likeness.apply_filters()
    assert keys(root, session, "jawOpen")[:, 1].max() == pytest.approx(0.3)
    assert np.allclose(keys(root, session, "eyeBlinkLeft"), blink, atol=1e-6)
    bpy.ops.likeness.remove_shape_limit()
    assert not root.likeness.filters.shapes


def test_decimation_leaves_fewer_keys_within_the_error(root: bpy.types.Object, session: ModuleType) -> None:
    raw = keys(root, session, "jawOpen")
    root.likeness.filters.decimate, root.likeness.filters.decimate_error = True, 0.02
    bpy.ops.likeness.apply_filters()
    kept = keys(root, session, "jawOpen")
    assert len(kept) < len(raw)
    assert np.abs(np.interp(raw[:, 0], kept[:, 0], kept[:, 1]) - raw[:, 1]).max() <= 0.02 + 1e-5


def test_a_changed_frame_rate_is_found_and_fixed(
    root: bpy.types.Object, session: ModuleType, module: Importer
) -> None:
    checks = module("addon.checks")
    scene = bpy.context.scene
    assert "RATE" not in {c.key for c in checks.of_double(bpy.context, root)}
    scene.render.fps = 60
    assert "RATE" in {c.key for c in checks.of_double(bpy.context, root)}
    bpy.ops.likeness.fix_check(key="RATE")
    assert "RATE" not in {c.key for c in checks.of_double(bpy.context, root)}
    assert keys(root, session, "jawOpen")[-1, 0] == pytest.approx(60.0, abs=0.01)


def test_missing_head_and_sound_are_notes_that_go_away(
    empty_scene: bpy.types.Scene, avatars: Path, module: Importer, tmp_path: Path
) -> None:
    path = write_take(module, tmp_path / "still.csv", head=False)
    bpy.ops.likeness.import_capture(filepath=str(path))
    root, checks = bpy.context.scene.likeness.active, module("addon.checks")
    found = {c.key for c in checks.of_double(bpy.context, root)}
    assert {"HEAD", "SILENT"} <= found
    bpy.ops.likeness.fix_check(key="HEAD")
    bpy.ops.likeness.add_sound(filepath=str(write_sound(tmp_path / "tone.wav")))
    assert not {"HEAD", "SILENT"} & {c.key for c in checks.of_double(bpy.context, root)}


def test_deleted_parts_are_found_and_rebuilt(
    root: bpy.types.Object, session: ModuleType, module: Importer
) -> None:
    bpy.data.objects.remove(body(root, session))
    found = [c.key for c in module("addon.checks").of_double(bpy.context, root)]
    assert found[-1] == "PARTS"
    bpy.ops.likeness.fix_check(key="PARTS")
    assert len(points(body(root, session)))


def test_resample_makes_a_further_performance(root: bpy.types.Object, session: ModuleType) -> None:
    first = root.likeness.performance
    bpy.ops.likeness.resample(mode="RATE", rate=10.0)
    assert root.likeness.performances[root.likeness.performance].frame_count == 11
    bpy.ops.likeness.choose_performance(name=first)
    assert root.likeness.performance == first
    assert len(keys(root, session, "jawOpen")) == 31


def test_exported_csv_reads_back(root: bpy.types.Object, module: Importer, tmp_path: Path) -> None:
    root.likeness.filters.gain = 0.5
    for values, top in (("RECORDED", 0.8), ("FILTERED", 0.4)):
        path = tmp_path / f"{values}.csv"
        bpy.ops.likeness.export_csv(filepath=str(path), values=values)
        capture = module("core.capture")
        back = capture.read_performance(capture.open_capture(path))
        assert back.weight("jawOpen").max() == pytest.approx(top, abs=1e-3)


def test_look_changes_only_what_it_concerns(root: bpy.types.Object, session: ModuleType) -> None:
    materials = {m.get("likeness_role"): m for m in bpy.data.materials if m.get("likeness_id")}
    eye = materials["Eye"]
    eye.diffuse_color = (1.0, 0.0, 0.0, 1.0)
    root.likeness.look.melanin = 0.95
    assert eye.name in bpy.data.materials
    assert tuple(bpy.data.materials[eye.name].diffuse_color) == (1.0, 0.0, 0.0, 1.0)
    root.likeness.look.hair_style = "NONE"
    assert session.double_of(bpy.context.scene, root).part("hair") is None
    bpy.ops.likeness.reset_look()
    assert session.double_of(bpy.context.scene, root).part("hair") is not None


def test_preset_switches_engine_and_materials(root: bpy.types.Object) -> None:
    bpy.ops.likeness.apply_render_preset(preset="PATH")
    assert bpy.context.scene.render.engine == "CYCLES"
    assert root.likeness.look.materials == "CYCLES"


def test_lighting_is_checked(root: bpy.types.Object, session: ModuleType) -> None:
    key = session.lighting_items()[-1][0]
    bpy.ops.likeness.set_lighting(lighting=key)
    assert bpy.context.scene.likeness.lighting == key


def test_remove_takes_everything_but_the_avatar(root: bpy.types.Object, session: ModuleType) -> None:
    folder, id = Path(root.likeness.folder), root["likeness_id"]
    bpy.ops.likeness.remove_double()
    for kind in ("objects", "actions", "collections"):
        assert not [item for item in getattr(bpy.data, kind) if item.get("likeness_id") == id], kind
    assert session.active_root(bpy.context) is None
    assert (folder / "avatar.json").is_file()


def test_undo_of_an_import_is_one_step(empty_scene: bpy.types.Scene, avatars: Path, take: Path) -> None:
    bpy.ops.ed.undo_push(message="before")
    before = len(bpy.data.objects)
    bpy.ops.likeness.import_capture("EXEC_DEFAULT", True, filepath=str(take))
    assert len(bpy.data.objects) > before
    bpy.ops.ed.undo()
    assert len(bpy.data.objects) == before
    bpy.ops.ed.redo()
    assert len(bpy.data.objects) > before


def test_operators_without_a_double_say_why(empty_scene: bpy.types.Scene) -> None:
    for name in (
        "rebuild_double",
        "apply_filters",
        "export_csv",
        "remove_double",
        "set_identity",
        "inspect_capture",
    ):
        with pytest.raises(RuntimeError, match="Import a capture first"):
            getattr(bpy.ops.likeness, name)("EXEC_DEFAULT")


def test_no_environment_is_made_offline(module: Importer, tmp_path: Path) -> None:
    assert not bpy.app.online_access
    with pytest.raises(RuntimeError, match="Online access is off"):
        bpy.ops.likeness.create_environment(directory=str(tmp_path / "env"))
    assert not (tmp_path / "env").exists()


def test_a_chosen_environment_that_is_gone_is_named(
    empty_scene: bpy.types.Scene, take: Path, module: Importer, tmp_path: Path
) -> None:
    chosen = module("addon.preferences").get()
    chosen.worker_python = str(tmp_path / "nowhere")
    try:
        with pytest.raises(RuntimeError, match="nowhere is neither a Python interpreter"):
            bpy.ops.likeness.import_capture(filepath=str(take))
        with pytest.raises(RuntimeError, match="nowhere"):
            bpy.ops.likeness.check_environment()
    finally:
        chosen.worker_python = ""


def test_every_operator_is_documented(module: Importer) -> None:
    """A name and a full sentence for each operator and property, without a final period."""
    for op in module("ops.ids").Op:
        group, _, name = str(op).partition(".")
        rna = getattr(getattr(bpy.ops, group), name).get_rna_type()
        assert rna.name, op
        assert rna.description, op
        assert not rna.description.endswith("."), op
        assert "\n" not in rna.description, op
        for prop in rna.properties:
            if prop.identifier != "rna_type" and not prop.is_hidden:
                assert prop.name, (op, prop.identifier)
                assert not prop.description.endswith("."), (op, prop.identifier)


def test_every_property_is_documented(module: Importer) -> None:
    for group in module("addon.properties").CLASSES:
        for prop in group.bl_rna.properties:
            if prop.identifier in {"rna_type", "name"} or prop.type in {"POINTER", "COLLECTION"}:
                continue
            assert prop.name, (group, prop.identifier)
            assert prop.description, (group, prop.identifier)
            assert not prop.description.endswith("."), (group, prop.identifier)
