# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of the zip in a fresh Blender: in, on, off, on, over itself, out, in; nothing stays behind."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import bpy
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("lifecycle.py")
# Tests of one Blender may not pass silently in another: which Python each series has.
PYTHON_OF = {(4, 5): (3, 11), (5, 0): (3, 11), (5, 1): (3, 13), (5, 2): (3, 13)}


def live(zip_path: Path, resources: Path) -> dict[str, Any]:
    """What lifecycle.py saw of a zip, in a process of its own."""
    env = {**os.environ, "BLENDER_USER_RESOURCES": str(resources)}
    command = [sys.executable, "-I", str(SCRIPT), str(zip_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=240, check=False)
    found = [line for line in done.stdout.splitlines() if line.startswith("FACTS")]
    assert found, f"status {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    assert "Traceback" not in done.stderr + done.stdout, done.stderr[-4000:]
    return json.loads(found[0].removeprefix("FACTS"))


@pytest.fixture(scope="module")
def facts(zip_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The life of the zip under test."""
    return live(zip_path, tmp_path_factory.mktemp("blender"))


def test_this_blender_is_supported(facts: dict[str, Any]) -> None:
    series = tuple(facts["version"][:2])
    assert series >= (4, 5)
    assert PYTHON_OF.get(series, tuple(facts["python"])) == tuple(facts["python"])


def test_installing_enables_and_registers(facts: dict[str, Any]) -> None:
    assert facts["enabled"]
    added = facts["added"]
    for kind in ("Operator ", "Panel ", "AddonPreferences ", "property Scene.", "menu TOPBAR_MT_file_import"):
        assert any(item.startswith(kind) for item in added), kind
    assert "import_capture" in facts["operators"]


def test_nothing_becomes_a_top_level_module(facts: dict[str, Any]) -> None:
    assert facts["foreign_modules"] == []
    assert facts["warnings"] == []
    assert not [item for item in facts["added"] if item.startswith("path ")]


def test_disabling_leaves_nothing(facts: dict[str, Any]) -> None:
    assert facts["left_by_disable"] == []


def test_enabling_and_installing_again_gives_the_same(facts: dict[str, Any]) -> None:
    assert facts["enabled_again"]
    assert facts["same_again"]
    assert facts["reinstalled"]
    assert facts["same_reinstalled"]


def test_uninstalling_leaves_nothing(facts: dict[str, Any]) -> None:
    assert facts["left_by_uninstall"] == []
    assert not facts["folder_left"]
    assert facts["installed_again"]


LEAKY = """
import sys, threading
import bpy

class LIKENESS_OT_leak(bpy.types.Operator):
    bl_idname, bl_label = "likeness.leak", "Leak"

def handler(*_): pass
def menu(self, context): pass
def timer(): return 1.0

def register():
    if hasattr(bpy.types, "LIKENESS_OT_leak"):
        return
    bpy.utils.register_class(LIKENESS_OT_leak)
    bpy.app.handlers.frame_change_post.append(handler)
    bpy.app.timers.register(timer)
    bpy.types.TOPBAR_MT_file_import.append(menu)
    bpy.types.Scene.likeness_leak = bpy.props.IntProperty()
    bpy.app.driver_namespace["likeness_leak"] = handler
    threading.Thread(target=threading.Event().wait, name="likeness_leak", daemon=True).start()
    sys.path.append("/likeness_leak")

def unregister(): pass
"""


def test_a_leak_is_seen(tmp_path: Path) -> None:
    """The watch itself is tested: what an untidy extension leaves is named, each kind of it."""
    leaky = tmp_path / "leaky.zip"
    with zipfile.ZipFile(leaky, "w") as archive:
        archive.writestr(
            "blender_manifest.toml", (ROOT / "blender_manifest.toml").read_text(encoding="utf-8")
        )
        archive.writestr("__init__.py", LEAKY)
    left = " ".join(live(leaky, tmp_path / "blender")["left_by_disable"])
    for kind in (
        "Operator ",
        "handler frame",
        "timer ",
        "menu TOPBAR",
        "property Scene.",
        "driver ",
        "thread ",
        "path ",
    ):
        assert kind in left, kind


def test_the_session_runs_on_the_installed_files(extension: Any) -> None:
    place = Path(extension.__file__).resolve()
    assert place.is_relative_to(Path(os.environ["BLENDER_USER_RESOURCES"]).resolve())
    assert not bpy.app.binary_path or bpy.app.background


def test_the_zip_holds_what_ships_and_nothing_else(zip_path: Path) -> None:
    with zipfile.ZipFile(zip_path) as archive:
        entries = archive.infolist()
    names = [entry.filename for entry in entries]
    assert {"__init__.py", "blender_manifest.toml", "LICENSE"} <= set(names)
    tops = {name.partition("/")[0] for name in names}
    assert tops <= {
        "__init__.py",
        "blender_manifest.toml",
        "LICENSE",
        "CHANGELOG.md",
        "addon",
        "core",
        "ops",
        "ui",
    }
    assert names[1:] == sorted(names[1:])
    assert not [name for name in names if "__pycache__" in name or "/." in name or "truth" in name]
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert zip_path.stat().st_size < 10_000_000


def test_installed_files_are_the_files_of_the_zip(zip_path: Path, extension: Any) -> None:
    folder = Path(extension.__file__).parent
    with zipfile.ZipFile(zip_path) as archive:
        for name in archive.namelist():
            there = hashlib.sha256((folder / name).read_bytes()).digest()
            assert there == hashlib.sha256(archive.read(name)).digest(), name
