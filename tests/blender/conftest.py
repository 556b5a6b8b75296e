# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests in real bpy with the built zip installed: `bl_ext.user_default.likeness`, never the source tree.

LIKENESS_ZIP names the zip to test; without it the tree is packaged afresh.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = "bl_ext.user_default.likeness"
RESOURCES = Path(tempfile.mkdtemp(prefix="likeness-test-"))
STATUS = [0]

if any(Path(entry or ".").resolve() == ROOT for entry in sys.path):
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
# Before the import: Blender reads it once.
os.environ["BLENDER_USER_RESOURCES"] = str(RESOURCES / "blender")

import bpy  # noqa: E402


def built_zip() -> Path:
    """The zip under test."""
    given = os.environ.get("LIKENESS_ZIP")
    if given:
        return Path(given)
    command = [sys.executable, str(ROOT / "build.py"), "package", "--out", str(RESOURCES / "zip")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
    return next((RESOURCES / "zip").glob("*.zip"))


@pytest.fixture(scope="session")
def zip_path() -> Path:
    """The built zip."""
    return built_zip()


@pytest.fixture(scope="session", autouse=True)
def extension(zip_path: Path) -> Iterator[ModuleType]:
    """The installed and enabled extension, for the whole session."""
    import addon_utils

    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.extensions.package_install_files(
        filepath=str(zip_path), repo="user_default", enable_on_install=True
    )
    # The operator says FINISHED even when it installed nothing.
    assert addon_utils.check(MODULE) == (True, True), (
        "the zip was not installed and enabled; see the output above"
    )
    yield sys.modules[MODULE]
    addon_utils.disable(MODULE, default_set=True)


@pytest.fixture(scope="session")
def module(extension: ModuleType) -> Callable[[str], ModuleType]:
    """Import a part of the installed extension: `module("core.avatar")`, `module("addon.scene")`."""
    return lambda name: importlib.import_module(f"{MODULE}.{name}")


@pytest.fixture
def empty_scene(extension: ModuleType) -> bpy.types.Scene:
    """The scene of a new empty file; the extension stays enabled."""
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    return bpy.context.scene


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    STATUS[0] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave at once: bpy 4.5 hangs at interpreter exit while anything is registered."""
    shutil.rmtree(RESOURCES, ignore_errors=True)
    if not bpy.app.binary_path:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(STATUS[0])
