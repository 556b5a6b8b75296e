# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of `core` run where Blender does not exist: importing bpy fails, whatever is installed."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLENDER_MODULES = frozenset(
    {"bpy", "bmesh", "mathutils", "gpu", "blf", "bpy_extras", "addon_utils", "freestyle"}
)


class NoBlender(MetaPathFinder):
    """Refuses Blender's modules, so that `core` proves that it works in any Python."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] in BLENDER_MODULES:
            raise ModuleNotFoundError(f"core must not import {fullname}", name=fullname)


if "bpy" in sys.modules:
    raise pytest.UsageError("tests/core and tests/blender need a process each: run them separately.")
sys.meta_path.insert(0, NoBlender())
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the source tree."""
    return ROOT
