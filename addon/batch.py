# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture to rendered double without a window.

    blender -b -P addon/batch.py -- CAPTURE --out DIR --preset NAME --frames A-B
    python addon/batch.py -- CAPTURE --out DIR          (with the bpy module)

Works when the extension is installed, from the source tree and from an unpacked zip. This file only finds
the package
and starts `headless` in it.
"""

from __future__ import annotations

import importlib
import os
import sys
import types
from pathlib import Path
from typing import Any

import bpy

ROOT = Path(__file__).resolve().parents[1]
TREE_NAME = "likeness_tree"
"""Package name where the code is run from a folder that Blender does not know as an extension."""


def installed_name(root: Path) -> str | None:
    """The module of the extension that lives in `root`, None when it is in no repository of extensions."""
    context: Any = bpy.context
    for repository in context.preferences.extensions.repos:
        if Path(repository.directory).resolve() == root.parent:
            return f"bl_ext.{repository.module}.{root.name}"
    return None


def enable_installed(name: str) -> None:
    """Enable the extension for this session."""
    import addon_utils

    if addon_utils.check(name)[1]:
        return
    if addon_utils.enable(name, default_set=True) is None:
        raise SystemExit(f"Likeness is installed in {ROOT} and cannot be enabled; see the message above.")


def load_tree(root: Path) -> None:
    """Make the folder a package of its own, whatever its name, and register it."""
    package = types.ModuleType(TREE_NAME)
    package.__path__ = [str(root)]
    sys.modules[TREE_NAME] = package
    context: Any = bpy.context
    context.preferences.addons.new().module = TREE_NAME
    importlib.import_module(f"{TREE_NAME}.addon.registration").register()


def main() -> int:
    """Find the package, run, clean up; returns the exit status."""
    here = str(Path(__file__).resolve().parent)
    # A script's folder is put on the path; our modules are no top-level modules.
    sys.path[:] = [entry for entry in sys.path if not entry or str(Path(entry).resolve()) != here]
    name = installed_name(ROOT)
    if name is None:
        load_tree(ROOT)
    else:
        enable_installed(name)
    package = name or TREE_NAME
    try:
        arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
        return importlib.import_module(f"{package}.addon.headless").main(arguments)
    finally:
        if name is None:
            importlib.import_module(f"{package}.addon.registration").unregister()


if __name__ == "__main__":
    STATUS = main()
    sys.stdout.flush()
    sys.stderr.flush()
    if not bpy.app.binary_path:
        # The module of Blender 4.5 hangs at interpreter exit while an extension is registered.
        os._exit(STATUS)
    sys.exit(STATUS)
