# SPDX-License-Identifier: GPL-3.0-or-later
"""Panels, menus, lists and preferences drawn into a stand-in that knows which names exist."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import bpy
import pytest
from ops_support import Importer, write_take
from ui_support import FakeLayout, draw


@pytest.fixture
def panels(module: Importer) -> list[type]:
    return [cls for cls in module("ui").CLASSES if issubclass(cls, bpy.types.Panel)]


@pytest.fixture
def root(empty_scene: bpy.types.Scene, module: Importer, tmp_path: Path) -> Iterator[bpy.types.Object]:
    chosen = module("addon.preferences").get()
    chosen.avatars_folder = str(tmp_path / "avatars")
    bpy.ops.likeness.import_capture(filepath=str(write_take(module, tmp_path / "take.csv")))
    yield bpy.context.scene.likeness.active
    chosen.avatars_folder = ""


@pytest.fixture
def job(module: Importer) -> Iterator[ModuleType]:
    """A job that seems to run."""
    status = module("addon.runtime").SESSION.job
    status.begin("Importing the capture")
    status.progress, status.text = 0.42, "Reading recorded weights"
    yield status
    status.end()


def visible(panels: list[type]) -> list[type]:
    return [p for p in panels if not hasattr(p, "poll") or p.poll(bpy.context)]


def test_the_first_panel_is_one_large_offer(empty_scene: bpy.types.Scene, panels: list[type]) -> None:
    shown = [p.bl_idname for p in visible(panels)]
    assert shown == ["LIKENESS_PT_capture"]
    assert draw(panels[0]).drawn("operator") == [
        "likeness.import_capture", "likeness.load_sample", "likeness.open_avatar",
        "likeness.import_results",
    ]  # fmt: skip


def test_panels_stand_in_working_order(panels: list[type]) -> None:
    top = [p.bl_label for p in panels if not getattr(p, "bl_parent_id", "")]
    assert top == ["Capture", "Double", "Performance", "Look", "Compress to Bones", "Render"]
    assert {p.bl_category for p in panels} == {"Likeness"}


def test_every_panel_draws_with_a_double(root: bpy.types.Object, panels: list[type]) -> None:
    shown = visible(panels)
    assert len(shown) >= 13
    drawn = [draw(panel) for panel in shown]
    assert any("likeness.apply_filters" in layout.drawn("operator") for layout in drawn)
    for panel in shown:
        for method in ("draw_header", "draw_header_preset"):
            if hasattr(panel, method):
                draw(panel, method)


@pytest.mark.parametrize("smoothing", ["NONE", "ONE_EURO", "SAVITZKY_GOLAY"])
def test_filters_show_the_numbers_of_their_kind(
    root: bpy.types.Object, module: Importer, smoothing: str
) -> None:
    root.likeness.filters.smoothing = smoothing
    shown = draw(module("ui.performance").FiltersPanel).drawn("prop")
    assert ("cutoff" in shown) == (smoothing == "ONE_EURO")
    assert ("window" in shown) == (smoothing == "SAVITZKY_GOLAY")


def test_start_becomes_stop(root: bpy.types.Object, module: Importer, job: ModuleType) -> None:
    layout = draw(module("ui.capture").CapturePanel)
    assert "likeness.import_capture" not in layout.drawn("operator")
    assert "likeness.stop_job" in layout.drawn("operator")
    assert layout.drawn("progress") == ["42%  Reading recorded weights"]
    with pytest.raises(RuntimeError, match="stop it or wait"):
        bpy.ops.likeness.rebuild_double()


def test_stop_is_grey_while_nothing_runs(empty_scene: bpy.types.Scene) -> None:
    with pytest.raises(RuntimeError, match="Nothing is running"):
        bpy.ops.likeness.stop_job()


def test_a_failed_check_has_its_button(root: bpy.types.Object, module: Importer) -> None:
    bpy.context.scene.render.fps = 50
    layout = draw(module("ui.double").DoublePanelMain)
    assert "likeness.fix_check" in layout.drawn("operator")
    assert any("50" in text for text in layout.drawn("label"))


def test_menus_and_presets(root: bpy.types.Object, module: Importer) -> None:
    menus = module("ui.menus")
    for function, operators in (
        (
            menus.draw_import,
            ["likeness.import_capture", "likeness.import_results", "likeness.import_skin"],
        ),
        (
            menus.draw_export,
            [
                "likeness.export_csv",
                "likeness.export_fit",
                "likeness.export_splats",
                "likeness.export_skin",
            ],
        ),
    ):
        layout = FakeLayout()
        function(type("Menu", (), {"layout": layout})(), bpy.context)
        assert layout.drawn("operator") == operators
    presets = [Path(folder) for folder in bpy.utils.preset_paths("likeness/performance")]
    files = {file.stem: file for folder in presets for file in folder.glob("*.py")}
    assert {"As_Recorded", "Calm", "Keep_Peaks"} <= set(files)
    for file in files.values():
        bpy.ops.script.execute_preset(filepath=str(file), menu_idname="LIKENESS_MT_filter_presets")
        assert bpy.ops.likeness.apply_filters() == {"FINISHED"}


def test_a_saved_preset_comes_back(root: bpy.types.Object) -> None:
    filters = root.likeness.filters
    filters.smoothing, filters.gain = "ONE_EURO", 1.3
    assert bpy.ops.likeness.save_filter_preset(name="Mine") == {"FINISHED"}
    bpy.ops.likeness.reset_filters()
    path = next(p for f in bpy.utils.preset_paths("likeness/performance") for p in Path(f).glob("Mine.py"))
    bpy.ops.script.execute_preset(filepath=str(path), menu_idname="LIKENESS_MT_filter_presets")
    assert (filters.smoothing, round(filters.gain, 3)) == ("ONE_EURO", 1.3)


def test_preferences_draw(module: Importer, empty_scene: bpy.types.Scene) -> None:
    preferences, chosen = module("ui.preferences"), module("addon.preferences").get()

    class Stand:
        layout = FakeLayout()

        def __getattr__(self, name: str) -> object:
            return getattr(chosen, name)

    preferences.draw(Stand(), bpy.context)
    operators = ("create_environment", "check_environment", "get_landmark_model")
    assert {f"likeness.{name}" for name in operators} <= set(Stand.layout.drawn("operator"))
    assert {"worker_python", "avatars_folder", "model_folder", "placement_location"} <= set(
        Stand.layout.drawn("prop")
    )
    assert "use_online_access" in Stand.layout.drawn("prop")


def test_drop_takes_captures_on_3d_views_only(module: Importer) -> None:
    handler = module("ops.import_capture").CaptureFileHandler
    extensions = handler.bl_file_extensions.split(";")
    assert len(set(extensions)) == len(extensions)
    assert {".zip", ".csv", ".mp4", ".mov", ".mkv", ".jpg", ".jpeg", ".png"} <= set(extensions)
    known = {*module("core.capture.naming").SUFFIX_KINDS, ".zip", ".csv"}
    assert set(extensions) <= known

    class Context:
        area = type("Area", (), {"type": "VIEW_3D"})()

    assert handler.poll_drop(Context)
    Context.area.type = "IMAGE_EDITOR"
    assert not handler.poll_drop(Context)


def test_local_changes_have_readable_names(root: bpy.types.Object, module: Importer) -> None:
    lists = module("ui.lists")
    titles = [lists.title(change.name) for change in root.likeness.identity.changes]
    assert len(set(titles)) == len(titles), "two sliders look the same"
    assert sum(lists.is_of_face(change.name) for change in root.likeness.identity.changes) > 60


def test_drawing_reads_no_file(
    root: bpy.types.Object, panels: list[type], monkeypatch: pytest.MonkeyPatch
) -> None:
    """draw() runs at every move of the mouse."""

    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("a panel opened a file")

    shown = visible(panels)
    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("io.open", refuse)
    for panel in shown:
        draw(panel)
