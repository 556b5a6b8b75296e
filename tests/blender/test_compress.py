# SPDX-License-Identifier: GPL-3.0-or-later
"""Compress to Bones as a person presses it: what is ordered, what comes to stand, what is refused."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
import skin_support
from scene_support import avatar, bare_head, build, part
from ui_support import draw

LAST = 12


@pytest.fixture(autouse=True)
def own_temporary(tmp_path, monkeypatch) -> None:
    """Nobody else's temporary files."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@pytest.fixture
def face(empty_scene) -> Any:
    """An active sheet whose three shapes are keyed over 12 frames."""
    return sheet()


def sheet(name: str = "Face") -> Any:
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(-1, 1, 12), np.linspace(-1, 1, 12)))
    points = np.stack([x, y, 0.2 * x * y], axis=1)
    corners = [r * 12 + c for r in range(11) for c in range(11)]
    data = bpy.data.meshes.new(name)
    data.from_pydata(points.tolist(), [], [(i, i + 1, i + 13, i + 12) for i in corners])
    obj = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(obj)
    obj.shape_key_add(name="Basis", from_mix=False)
    for number, title in enumerate(("open", "smile", "frown")):
        near = np.exp(-((x - 0.5 * (number - 1)) ** 2 + (y + 0.3 * number) ** 2) / 0.1)
        block = obj.shape_key_add(name=title, from_mix=False)
        moved = points + 0.2 * near[:, None] * np.roll([1.0, 0.4, 0.0], number)
        block.data.foreach_set("co", moved.astype(np.float32).ravel())
        block.value = 0.0
        for frame, value in ((1, 0.0), (4 + 3 * number, 1.0), (LAST, 0.2)):
            block.value = value
            block.keyframe_insert("value", frame=frame)
    bpy.context.view_layer.objects.active = obj
    return obj


class FakeJob:
    """In the place of a worker: gives a skin at once."""

    orders: list[tuple[str, Any]] = []
    act = staticmethod(lambda: None)

    def __init__(self, shapes: Any, name: str, budget: Any, _python: str, _environ: Any) -> None:
        self.orders.append((name, budget))
        self.progress, self.text, self.preview = 1.0, "", ""
        self._shapes, self._budget = shapes, budget

    def poll(self) -> bool:
        return True

    def result(self) -> Any:
        FakeJob.act()
        return skin_support.tiny_skin(self._shapes, min(self._budget.bones, 6), self._budget.influences)

    def cancel(self) -> None:
        pass


@pytest.fixture
def worker(module, monkeypatch):
    FakeJob.orders, FakeJob.act = [], staticmethod(lambda: None)
    monkeypatch.setattr(module("ops.compress"), "SkinJob", FakeJob)
    monkeypatch.setattr(module("addon.preferences"), "job_python", lambda *_needed: sys.executable)
    return FakeJob


def made() -> Any:
    state = part("addon.scene.compressed_state")
    found = state.compressed_objects(bpy.context.scene)
    assert len(found) == 1
    return found[0]


def everything() -> dict[str, set[str]]:
    kinds = ("objects", "meshes", "armatures", "actions", "materials", "collections")
    return {kind: {item.name for item in getattr(bpy.data, kind)} for kind in kinds}


def temporary() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("likeness-skin-*")}


def compress(**options: Any) -> set[str]:
    return bpy.ops.likeness.compress_to_bones(**options)


def test_the_copy_plays_what_the_original_plays_and_says_how_well(face, worker):
    assert compress() == {"FINISHED"}
    copy = made()
    assert worker.orders == [("Face", part("core.skin.problem").Budget(48, 4, 3 * 48))]
    assert part("addon.scene.compressed_state").source_of(copy) == face
    assert copy.data.shape_keys is None
    assert face.data.shape_keys.animation_data.action is not None
    apart = 1000.0 * skin_support.distances(face, copy, range(1, LAST + 1))
    sentence = part("addon.compressing").sentence_of(copy)
    assert "6 face bones, 12 frames. Mean" in sentence
    assert float(sentence.split("worst ")[1].split()[0]) == pytest.approx(apart.max(), rel=0.01)
    assert bpy.context.view_layer.objects.active == face


@pytest.mark.parametrize("form", [{}, {"two_bones": True}, {"correctives": 2}])
def test_where_nothing_plays_the_shapes_alone_are_measured(face, worker, form):
    """Also where an action keys nothing but zeros, and when it is measured anew."""
    blocks = face.data.shape_keys.key_blocks
    for block in blocks:
        for frame in range(1, LAST + 1):
            block.value = 0.0
            block.keyframe_insert("value", frame=frame)
    compress(**form)
    copy, sentence_of = made(), part("addon.compressing").sentence_of
    sentence = sentence_of(copy)
    assert "Nothing plays yet. With each of its 3 shapes at 1: mean " in sentence
    assert copy["compression_error"] == pytest.approx(0.0, abs=1e-3)
    bpy.ops.likeness.update_compressed()
    assert sentence_of(copy) == sentence.split(". Without ")[0]
    for frame, block in enumerate(blocks[1:], 1):
        for other in blocks[1:]:
            other.value = float(other == block)
            other.keyframe_insert("value", frame=frame)
    bpy.ops.likeness.update_compressed()
    apart = 1000.0 * skin_support.distances(face, copy, (1, 2, 3))
    worst = sentence.split(". Without ")[0].split("worst ")[1]
    assert float(worst.split()[0]) == pytest.approx(apart.max(), rel=0.02, abs=1e-3)
    if not form:
        assert f"({blocks[1 + int(apart.max(axis=1).argmax())].name})" in worst
    assert "Nothing plays" not in sentence_of(copy)


@pytest.mark.parametrize(
    ("form", "said"), [(False, "1 face bone, 12 frames."), (True, "1 pair of face bones, 12 frames.")]
)
def test_one_bone_is_one(face, worker, form, said):
    compress(preset="CUSTOM", bones=1, influences=1, two_bones=form)
    assert said in part("addon.compressing").sentence_of(made())


def test_bones_are_counted_as_the_armature_has_them(face, worker):
    compress(preset="TINY")
    bones = part("addon.compressing").rig_of(made()).data.bones
    count = sum(bone.name.startswith("Face ") for bone in bones)
    assert part("addon.compressing").sentence_of(made()).startswith(f"{count} face bones, ")


def test_other_meshes_with_shapes_on_the_armature_are_named_until_they_stand_there(face, worker):
    rig = bpy.data.objects.new("Rig", bpy.data.armatures.new("Rig"))
    bpy.context.scene.collection.objects.link(rig)
    with part("addon.scene.workspace").edit_mode(bpy.context, rig):
        rig.data.edit_bones.new("Skull").tail = (0.0, 0.0, 1.0)
    lashes, teeth, _stranger = sheet("Lashes"), sheet("Teeth"), sheet("Stranger")
    for obj in (face, lashes, teeth):
        obj.modifiers.new("Rig", "ARMATURE").object = rig
        obj.vertex_groups.new(name="Skull").add(list(range(len(obj.data.vertices))), 1.0, "REPLACE")
    compressing = part("addon.compressing")

    def said(obj: Any) -> str:
        bpy.context.view_layer.objects.active = obj
        compress(preset="TINY")
        return compressing.sentence_of(compressing.compressed_of(bpy.context))

    both = "Lashes and Teeth have shape keys of their own: compress them too"
    assert said(face).endswith(f"). {both}")
    assert said(lashes).endswith("). Teeth has shape keys of its own: compress it too")
    last = said(teeth)
    copies = part("addon.scene.compressed_state").compressed_objects(bpy.context.scene)
    assert len({compressing.rig_of(copy) for copy in copies}) == 1
    assert "of their own" not in " ".join([last, *map(compressing.sentence_of, copies)])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"preset": "TINY"}, ("TINY",)),
        ({"preset": "FILM"}, ("FILM",)),
        ({"preset": "CUSTOM", "bones": 3, "influences": 2, "coefficients": 7}, (3, 2, 21)),
    ],
)
def test_budgets(face, worker, options, expected):
    presets = part("addon.property_compress").PRESETS
    if expected[0] in presets:
        preset = presets[expected[0]]
        expected = (preset.bones, preset.influences, 3 * preset.coefficients)
    compress(**options)
    budget = worker.orders[0][1]
    assert (budget.bones, budget.influences, budget.coefficients) == expected


def test_update_follows_an_edited_action_and_a_saved_file(face, worker, tmp_path):
    compress(preset="TINY")
    before = part("addon.compressing").sentence_of(made())
    block = face.data.shape_keys.key_blocks["open"]
    block.value = 0.5
    block.keyframe_insert("value", frame=LAST + 8)
    path = str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    copy, face = made(), bpy.data.objects["Face"]
    assert part("addon.compressing").sentence_of(copy) == before
    assert bpy.ops.likeness.update_compressed() == {"FINISHED"}
    assert f"{LAST + 8} frames" in part("addon.compressing").sentence_of(copy)
    apart = 1000.0 * skin_support.distances(face, copy, [LAST + 8])
    assert copy["compression_error"] == pytest.approx(apart.max(), rel=1e-3)


def test_compressing_again_takes_the_place_of_the_earlier_one(face, worker):
    compress(preset="TINY")
    first = made()
    name, place = first.name, first.matrix_world.translation.copy()
    counts = {kind: len(names) for kind, names in everything().items()}
    compress(preset="GAME", two_bones=True)
    assert made().name == name
    bpy.context.view_layer.update()
    assert made().matrix_world.translation == place
    assert {kind: len(names) for kind, names in everything().items()} == counts
    compress(preset="TINY", replace=False)
    assert len(part("addon.scene.compressed_state").compressed_objects(bpy.context.scene)) == 2


def test_the_compressed_mesh_and_its_armature_stand_for_the_original(face, worker):
    compress(preset="TINY")
    compressing = part("addon.compressing")
    for chosen in (made(), compressing.rig_of(made()), face):
        bpy.context.view_layer.objects.active = chosen
        assert compressing.target_of(bpy.context) == face
        assert compressing.compressed_of(bpy.context) == made()


def test_the_error_is_worn_and_taken_off(face, worker, module):
    skin = bpy.data.materials.new("Skin")
    face.data.materials.append(skin)
    compress(preset="TINY")
    copy = made()
    bpy.ops.likeness.show_compression_error()
    assert "red is 200 mm" in " ".join(draw(module("ui.compress").CompressPanel).drawn("label"))
    assert copy.material_slots[0].material.name == "Compression Error"
    assert copy.data.color_attributes.active_color.name == "Compression Error"
    assert face.material_slots[0].material == skin
    bpy.ops.likeness.show_compression_error()
    assert copy.material_slots[0].material == skin
    assert copy.material_slots[0].link == "DATA"


def test_the_panel_offers_what_can_be_done(face, worker, module):
    panel = module("ui.compress").CompressPanel
    assert panel.poll(bpy.context)
    assert "likeness.compress_to_bones" in draw(panel).drawn("operator")
    bpy.context.scene.likeness.compress.preset = "CUSTOM"
    assert {"bones", "influences", "coefficients"} <= set(draw(panel).drawn("prop"))
    compress(preset="TINY")
    layout = draw(panel)
    assert {"likeness.update_compressed", "likeness.show_compression_error"} <= set(layout.drawn("operator"))
    assert any("mm" in text for text in layout.drawn("label"))
    bpy.context.view_layer.objects.active = None
    assert not panel.poll(bpy.context)


def test_the_body_of_a_double_is_compressed_when_nothing_else_is_chosen(empty_scene, worker):
    double = _double()
    compressing = part("addon.compressing")
    bpy.context.view_layer.objects.active = None
    assert compressing.target_of(bpy.context) == double.body
    other = sheet("Other")
    assert compressing.target_of(bpy.context) == other
    bpy.context.view_layer.objects.active = double.armature
    assert compressing.target_of(bpy.context) == double.body


def test_where_the_error_is_shown_no_mask_of_the_double_is(empty_scene):
    names = _double().body.data.attributes
    assert (names.active_color_name, names.default_color_name) == ("", "")


def test_doubles_and_copies_do_not_stand_in_each_other(empty_scene, worker):
    first = _double()
    bpy.context.view_layer.objects.active = None
    compress(preset="TINY")
    second = build(replace(avatar(), id="somebody-else"), model=bare_head(), spacing=0.3)
    bpy.context.scene.likeness.active = second.root
    compress(preset="TINY")
    bpy.context.view_layer.update()
    rigs = [obj for obj in bpy.context.scene.objects if "likeness_skin_rig_source" in obj]
    across = sorted(obj.matrix_world.translation.x for obj in (first.root, second.root, *rigs))
    assert len(rigs) == 2
    assert min(np.diff(across)) > 0.9 * first.body.dimensions.x


def _double() -> Any:
    double = build(avatar(), model=bare_head())
    bpy.context.scene.likeness.active = double.root
    return double


def _spoil_nan(face: Any) -> None:
    face.data.shape_keys.key_blocks["open"].data[3].co.x = float("nan")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda face: face.shape_key_clear(), "Select a mesh that has shape keys"),
        (lambda face: setattr(face.data.shape_keys, "use_relative", False), "absolute"),
        (lambda _face: bpy.ops.object.mode_set(mode="EDIT"), "Leave edit mode"),
        (_spoil_nan, "no finite number, in shape 0 .open. at vertex 3"),
    ],
)
def test_what_cannot_be_compressed_is_one_sentence(face, monkeypatch, module, spoil, sentence):
    monkeypatch.setattr(module("addon.preferences"), "job_python", lambda *_needed: sys.executable)
    spoil(face)
    before, files = everything(), temporary()
    with pytest.raises(RuntimeError, match=sentence):
        compress()
    assert (everything(), temporary()) == (before, files)


def test_without_its_packages_the_panel_says_so(face, module, monkeypatch):
    report = module("addon.environment").Report(Path(sys.executable), "3.11", {"numba": None, "scipy": "1"})
    monkeypatch.setattr(module("addon.environment"), "check", lambda *_a, **_k: report)
    with pytest.raises(RuntimeError, match="lacks numba, which compressing needs"):
        compress()
    texts = draw(module("ui.compress").CompressPanel)
    assert any("lacks numba" in text for text in texts.drawn("label"))
    assert "likeness.show_preferences" in texts.drawn("operator")
    module("addon.runtime").reset()


def test_a_mesh_that_is_gone_or_changed_meanwhile_is_left_alone(face, worker):
    worker.act = staticmethod(lambda: face.shape_key_remove(face.data.shape_keys.key_blocks["smile"]))
    with pytest.raises(RuntimeError, match="Face was changed while it was compressed"):
        compress()
    worker.act = staticmethod(lambda: bpy.data.objects.remove(face))
    with pytest.raises(RuntimeError, match="was removed while"):
        compress()
    assert not part("addon.scene.compressed_state").compressed_objects(bpy.context.scene)


def test_an_error_while_building_leaves_nothing(face, worker, module, monkeypatch):
    def fail(*_arguments: Any) -> None:
        raise module("core.errors").ModelError("The disk of the bones is full.")

    monkeypatch.setattr(module("addon.compressing"), "bake", fail)
    before = everything()
    with pytest.raises(RuntimeError, match="disk of the bones"):
        compress()
    assert everything() == before


def needs_worker(module) -> None:
    if not module("addon.preferences").has_packages(module("addon.skin_job").PACKAGES):
        pytest.skip("numba and scipy are not here")


def test_the_worker_compresses_and_leaves_no_file(face, module, monkeypatch):
    """With the solver that needs no compiling, which takes longer than all other tests."""
    needs_worker(module)
    job = module("addon.skin_job").SkinJob
    order = job._arguments
    quick = ["--solver", "reference", "--iterations", "50"]
    monkeypatch.setattr(job, "_arguments", lambda self, budget: [*order(self, budget), *quick])
    assert compress(preset="TINY") == {"FINISHED"}
    assert temporary() == set()
    assert "bones, 12 frames. Mean" in part("addon.compressing").sentence_of(made())


def test_a_stopped_or_killed_worker_leaves_no_file(face, module, monkeypatch):
    job = module("addon.skin_job").SkinJob
    shapes = part("addon.scene.shape_source").read_shapes(face)
    budget, files = part("core.skin.problem").Budget(4, 4, 40), temporary()
    running = job(shapes, "Face", budget, sys.executable, {})
    assert temporary() != files
    running.cancel()
    assert temporary() == files
    start = job.__init__

    def killed(self: Any, *arguments: Any) -> None:
        start(self, *arguments)
        self._job._child.kill()

    monkeypatch.setattr(job, "__init__", killed)
    monkeypatch.setattr(module("addon.preferences"), "job_python", lambda *_needed: sys.executable)
    before = everything()
    with pytest.raises(RuntimeError, match="worker was killed"):
        compress()
    assert (everything(), temporary()) == (before, files)


def test_a_linked_mesh_is_refused(face, worker, tmp_path):
    path = str(tmp_path / "library.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with bpy.data.libraries.load(path, link=True) as (_there, wanted):
        wanted.objects = ["Face"]
    bpy.context.scene.collection.objects.link(bpy.data.objects["Face"])
    bpy.context.view_layer.objects.active = bpy.data.objects["Face"]
    with pytest.raises(RuntimeError, match="Face is linked from another file"):
        compress()
