# SPDX-License-Identifier: GPL-3.0-or-later
"""Train, add, export and remove a Gaussian head as a person presses it, with the panel beside it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import footage_support
import pytest
import splat_support
from scene_support import part
from ui_support import draw


@pytest.fixture(scope="module")
def made(extension, tmp_path_factory) -> Path:
    """A file with the double of a filmed person, and splats for it that no avatar has yet."""
    folder = tmp_path_factory.mktemp("filmed")
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    movie = footage_support.write_movie(folder / "take.mp4")
    take = footage_support.fitted(12, 25.0, [(64, 48)] * 12)
    avatar = footage_support.write_avatar(folder / "Ada.avatar", take, {"movie": movie})
    root = footage_support.open_avatar(avatar)
    opened = part("addon.session").avatar_of(root)
    model = part("core.head").load_model("anny")
    splat_support.splats(model, part("core.person").rest_of(model, opened)).save(folder / "trained.npz")
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "filmed.blend"))
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch) -> Path:
    """A copy of it, opened."""
    for name in ("Ada.avatar", "trained.npz", "filmed.blend", "take.mp4"):
        (shutil.copytree if (made / name).is_dir() else shutil.copy)(made / name, tmp_path / name)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "filmed.blend"))
    root().likeness.folder = str(tmp_path / "Ada.avatar")
    part("addon.runtime").SESSION.lacking.clear()
    return tmp_path


class FakeJob:
    """In the place of the worker: training writes the splats that lie beside the avatar."""

    orders: list[list[str]] = []
    act = staticmethod(lambda: None)

    def __init__(self, arguments: list[str], _python: str, _environ: Any) -> None:
        self.orders.append(arguments)
        self.progress, self.text, self.preview = 1.0, "", ""

    def poll(self) -> bool:
        return True

    def result(self) -> Any:
        FakeJob.act()
        verb, avatar = self.orders[-1][1], Path(self.orders[-1][2])
        if verb == "train":
            shutil.copy(avatar.parent / "trained.npz", avatar / "splats.npz")
        return {"notes": ["the head stands still, as it is at rest"]}

    def cancel(self) -> None:
        pass


@pytest.fixture
def worker(module, monkeypatch):
    FakeJob.orders, FakeJob.act = [], staticmethod(lambda: None)
    for name in ("addon.splatting", "ops.splat_export"):
        monkeypatch.setattr(module(name), "WorkerJob", FakeJob)
    monkeypatch.setattr(module("addon.preferences"), "job_python", lambda *_needed: sys.executable)
    return FakeJob


def root() -> Any:
    return bpy.context.scene.likeness.active


def head() -> Any:
    return part("addon.splatting").head_of(bpy.context)


def panel() -> str:
    drawn = draw(part("ui.splat").SplatPanel)
    return " ".join(name for _, name in drawn.record)


def refused(deed: Any, **options: Any) -> str:
    with pytest.raises(RuntimeError) as said:
        deed(**options)
    return str(said.value)


def test_training_orders_the_worker_and_brings_the_head(folder, worker):
    assert "About " in panel()
    assert bpy.ops.likeness.train_splats(preset="DRAFT") == {"FINISHED"}
    avatar = str(folder / "Ada.avatar")
    assert worker.orders == [["splat", "train", avatar, "--preset", "draft", "--performance=take"]]
    assert head().name == "Ada Gaussian Head"
    assert part("addon.scene.splat_state").problem_of(head()) == ""
    said = panel()
    assert "13,496 splats" in said
    assert {"show", "use_viewport", "quality", "size"} <= set(said.split())


def test_training_again_takes_the_new_splats_and_keeps_the_settings(folder, worker):
    bpy.ops.likeness.train_splats(preset="DRAFT")
    first = head()
    first.likeness.splat.quality = 0.5
    before = part("addon.scene.splat_state").splats_of(first)
    small = before.gaussians.taken(part("addon.scene.splat_state").np.arange(100))
    part("core.splat.splat_avatar").SplatAvatar(before.surface, small, "anny").save(folder / "trained.npz")
    bpy.ops.likeness.train_splats(preset="HIGH")
    assert head() == first
    assert head().likeness.splat.quality == pytest.approx(0.5)
    assert len(part("addon.scene.splat_state").splats_of(head()).gaussians) == 100


def test_the_filmed_performance_is_learned_from_while_another_plays(folder, worker):
    note = root().likeness
    recorded = note.performances.add()
    recorded.name, recorded.frame_count = "recorded", 5
    note.performance = "recorded"
    assert "From take" in panel()
    bpy.ops.likeness.train_splats()
    assert worker.orders[0][-1] == "--performance=take"


@pytest.mark.parametrize(("wanted", "kept"), [(True, True), (False, True), (True, False)])
def test_it_goes_on_only_where_a_training_was_stopped_and_that_is_wanted(folder, worker, wanted, kept):
    if kept:
        (folder / "Ada.avatar" / "splats.checkpoint.npz").write_bytes(b"state")
    bpy.context.scene.likeness.splat.resume = wanted
    assert ("resume" in panel()) == kept
    bpy.ops.likeness.train_splats(resume=wanted)
    assert ("--resume" in worker.orders[0]) == (wanted and kept)


@pytest.mark.parametrize(
    ("note", "said"),
    [
        ("draft take", ""),
        ("", ""),
        ("high take", "had the preset High"),
        ("draft another take", "learned from another take"),
    ],
)
def test_another_preset_or_film_begins_anew_and_says_so_before(folder, worker, note, said, capfd):
    path = folder / "Ada.avatar" / "splats.checkpoint.npz"
    part("core.checkpoint").FileCheckpoint(path, "key", note=note).write({})
    options = bpy.context.scene.likeness.splat
    options.preset, options.resume = "DRAFT", True
    told = panel()
    assert (said in " ".join(told.split())) and ("begins anew" in told) == bool(said)
    assert ("resume" in told.split()) == (not said)
    bpy.ops.likeness.train_splats(preset="DRAFT")
    assert ("--resume" in worker.orders[0]) == (not said)
    assert said in capfd.readouterr().out


def test_a_failure_leaves_the_scene_as_it_was(folder, worker):
    def fail() -> None:
        raise part("core.errors").CaptureError("No matte could be made.", "Give some.")

    before = {obj.name for obj in bpy.data.objects}
    FakeJob.act = staticmethod(fail)
    assert "No matte could be made. Give some." in refused(bpy.ops.likeness.train_splats)
    assert {obj.name for obj in bpy.data.objects} == before
    assert head() is None
    assert not part("addon.runtime").SESSION.job.active


def test_a_double_that_is_removed_meanwhile(folder, worker):
    FakeJob.act = staticmethod(lambda: part("addon.session").remove(bpy.context, root()))
    assert bpy.ops.likeness.train_splats() == {"FINISHED"}
    assert part("addon.scene.splat_state").heads(bpy.context.scene) == []


def test_what_is_missing_is_said(folder, worker, module, monkeypatch):
    assert "no splats: train" in refused(bpy.ops.likeness.export_splats, filepath="x.ply")
    assert "Train or add" in refused(bpy.ops.likeness.remove_splats)
    assert "There are no splats" in refused(bpy.ops.likeness.add_splats)
    root().likeness.performances["take"].has_camera = False
    assert "learned from footage" in refused(bpy.ops.likeness.train_splats)
    assert "learned from footage" in panel()
    root().likeness.performances["take"].has_camera = True
    preferences = module("addon.preferences")

    def lack(*_: object) -> str:
        raise preferences.EnvironmentMissing("Blender itself lacks numba, which training needs.", "Set up.")

    monkeypatch.setattr(preferences, "job_python", lack)
    assert "lacks numba" in refused(bpy.ops.likeness.train_splats)
    assert "lacks numba" in panel().replace("  ", " ")


def test_splats_that_are_there_are_added_updated_and_removed(folder, worker):
    shutil.copy(folder / "trained.npz", folder / "Ada.avatar" / "splats.npz")
    assert "likeness.add_splats" in panel()
    assert bpy.ops.likeness.add_splats() == {"FINISHED"}
    body = head().likeness.splat.body
    assert "Likeness Hide Head" in body.modifiers
    assert bpy.ops.likeness.add_splats(filepath=str(folder / "trained.npz")) == {"FINISHED"}
    assert part("addon.scene.splat_state").path_of(head()) == folder / "trained.npz"
    assert bpy.ops.likeness.remove_splats() == {"FINISHED"}
    assert head() is None
    assert "Likeness Hide Head" not in body.modifiers
    assert (folder / "Ada.avatar" / "splats.npz").is_file()


def test_splats_of_another_person_are_worn_and_said_to_be(folder, worker, capfd):
    module = part("core.splat.splat_avatar")
    own = module.SplatAvatar.load(folder / "trained.npz")
    for name, id in (("own", root().get("likeness_id")), ("other", "another-id")):
        values = {"model_sha256": own.model_sha256, "avatar_id": id, "name": "Bob"}
        module.SplatAvatar(own.surface, own.gaussians, own.model, **values).save(folder / f"{name}.npz")
    bpy.ops.likeness.add_splats(filepath=str(folder / "own.npz"))
    assert "another" not in panel() + capfd.readouterr().out
    bpy.ops.likeness.add_splats(filepath=str(folder / "other.npz"))
    assert "of another avatar, Bob" in capfd.readouterr().out
    assert "another avatar" in panel().replace("  ", " ")
    module.SplatAvatar(own.surface, own.gaussians, "flame").save(folder / "flame.npz")
    assert "head model 'flame'" in refused(bpy.ops.likeness.add_splats, filepath=str(folder / "flame.npz"))
    assert part("addon.scene.splat_state").path_of(head()) == folder / "other.npz"


def test_the_active_head_is_meant_and_a_removed_double_takes_it_along(folder, worker):
    bpy.ops.likeness.train_splats()
    bpy.context.view_layer.objects.active = head()
    assert part("addon.splatting").root_of(head()) == root()
    bpy.ops.likeness.remove_double()
    assert part("addon.scene.splat_state").heads(bpy.context.scene) == []
    assert not [mesh for mesh in bpy.data.meshes if "Gaussian" in mesh.name]
    assert not [tree for tree in bpy.data.node_groups if tree.name.startswith("Likeness Hide")]


@pytest.mark.parametrize(
    ("form", "options", "ending", "expected"),
    [
        (
            "ANIMATED",
            {"free": 0.25},
            ".ply",
            ["animated-ply", "--performance=take", "--quantise", "uint16", "--own", "0.250"],
        ),
        (
            "ANIMATED",
            {"precision": "uint8"},
            ".ply",
            ["animated-ply", "--performance=take", "--quantise", "uint8"],
        ),
        ("SPZ", {}, ".spz", ["spz"]),
        ("GLB", {"moment": "FRAME"}, ".glb", ["glb", "--performance=take", "--time", "0.200000"]),
        ("FRAMES", {}, ".zip", ["ply-frames", "--performance=take"]),
        ("FOLDER", {}, "", ["gaussian-avatars", "--performance=take"]),
    ],
)
def test_exports_say_what_is_played_and_end_as_their_format(folder, worker, form, options, ending, expected):
    bpy.ops.likeness.train_splats()
    bpy.context.scene.frame_set(5)
    given = str(folder / "Head.v2.ply")
    assert bpy.ops.likeness.export_splats(filepath=given, form=form, **options) == {"FINISHED"}
    order = worker.orders[-1]
    assert order[:3] == ["splat", "export", str(folder / "Ada.avatar")]
    assert order[3:5] == ["-o", str(folder / f"Head.v2{ending}")]
    assert order[5:] == ["--format", *expected]


def test_presets_and_estimates(folder):
    splatting = part("addon.splatting")
    presets = part("core.splat.presets").PRESETS
    texts = [splatting.estimate_text(root(), name.upper()) for name in presets]
    assert len(set(texts)) > 2
    assert all(text.startswith("About ") and " on " in text for text in texts)
    assert [splatting.duration(s) for s in (2, 44, 60, 250, 7000)] == [
        "5 seconds", "45 seconds", "1 minute", "4 minutes", "1.9 hours",
    ]  # fmt: skip
    assert tuple(root().likeness.performances["take"].picture_size) == (64, 48)


def test_a_damaged_file_is_said_in_the_panel_and_the_mesh_comes_back_at_loading(folder, worker):
    bpy.ops.likeness.train_splats()
    body = head().likeness.splat.body.name
    path = folder / "Ada.avatar" / "splats.npz"
    path.write_bytes(path.read_bytes()[:1000])
    assert "splats.npz" in panel()
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    assert "Likeness Hide Head" not in bpy.data.objects[body].modifiers


def test_a_file_saved_elsewhere_finds_its_splats(folder, worker):
    bpy.ops.likeness.train_splats()
    (folder / "elsewhere").mkdir()
    path = str(folder / "elsewhere" / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    assert part("addon.scene.splat_state").problem_of(head()) == ""


def test_what_is_said_of_a_stopped_training(folder, module):
    """There is something to go on from only after the first steps."""
    operator = module("ops.splat_train").TrainSplats
    running = SimpleNamespace(_folder=folder / "Ada.avatar", preset="DRAFT")
    assert operator.stopped_hint(running) == "The scene is as it was."
    (folder / "Ada.avatar" / "splats.checkpoint.npz").write_bytes(b"state")
    assert "What was learned is kept" in operator.stopped_hint(running)
    path = folder / "Ada.avatar" / "splats.checkpoint.npz"
    for note, kept in (("draft take", True), ("high take", False)):
        part("core.checkpoint").FileCheckpoint(path, "key", note=note).write({})
        assert ("is kept" in operator.stopped_hint(running)) == kept
