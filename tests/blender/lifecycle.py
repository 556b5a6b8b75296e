# SPDX-License-Identifier: GPL-3.0-or-later
"""Install, disable, uninstall and install again in a fresh Blender; prints the facts as JSON.

python lifecycle.py ZIP        (with BLENDER_USER_RESOURCES naming an empty folder)
"""

from __future__ import annotations

import json
import os
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

import addon_utils  # isort: skip - found only once bpy is loaded

MODULE = "bl_ext.user_default.likeness"
REPOSITORY = "user_default"
FACTS: dict[str, Any] = {"version": list(bpy.app.version), "python": list(sys.version_info[:2])}


def subclasses(cls: type) -> Iterator[type]:
    """All classes below a class."""
    for child in cls.__subclasses__():
        yield child
        yield from subclasses(child)


def registered() -> set[str]:
    """Our classes that Blender knows, with their kind."""
    kinds = (
        "Operator",
        "Panel",
        "PropertyGroup",
        "UIList",
        "Menu",
        "AddonPreferences",
        "FileHandler",
        "Header",
    )
    return {
        f"{kind} {cls.__name__}"
        for kind in kinds
        for cls in subclasses(getattr(bpy.types, kind))
        if cls.__module__.startswith(MODULE) and cls.is_registered
    }


def handlers() -> set[str]:
    """Functions in Blender's handler lists, Blender's own included."""
    lists = {name: getattr(bpy.app.handlers, name) for name in dir(bpy.app.handlers)}
    return {
        f"handler {name}: {function.__module__}.{function.__name__}"
        for name, functions in lists.items()
        if isinstance(functions, list)
        for function in functions
    }


def timers() -> set[str]:
    """Our functions that a timer waits to call."""
    modules = [module for name, module in sys.modules.items() if name.startswith(MODULE)]
    functions = {value for module in modules for value in vars(module).values() if callable(value)}
    waiting = (f for f in functions if isinstance(f, types.FunctionType) and bpy.app.timers.is_registered(f))
    return {f"timer {function.__name__}" for function in waiting}


def menus() -> set[str]:
    """Functions that were appended to menus, panels and headers."""
    drawn = ((name, getattr(getattr(bpy.types, name), "draw", None)) for name in dir(bpy.types))
    return {
        f"menu {name}: {function.__module__}.{function.__name__}"
        for name, draw in drawn
        for function in getattr(draw, "_draw_funcs", ())
        if function.__module__.startswith(MODULE)
    }


def properties() -> set[str]:
    """Properties of data-blocks and of the window manager, Blender's own included."""
    owners = [cls for cls in bpy.types.ID.__subclasses__() if hasattr(cls, "bl_rna")]
    owners += [bpy.types.Bone, bpy.types.PoseBone, bpy.types.ViewLayer, bpy.types.AddonPreferences]
    names = ((owner.__name__, name) for owner in owners for name, _ in owner.bl_rna.properties.items())
    return {f"property {owner}.{name}" for owner, name in names}


def others() -> set[str]:
    """Threads, driver functions, keymap items and module search paths."""
    found = {f"thread {thread.name}" for thread in threading.enumerate()}
    found |= {f"driver {name}" for name in bpy.app.driver_namespace}
    found |= {f"path {path}" for path in sys.path}
    keys = bpy.context.window_manager.keyconfigs.addon
    return found | {
        f"key {item.idname}" for keymap in (keys.keymaps if keys else ()) for item in keymap.keymap_items
    }


def state() -> set[str]:
    """Everything that an extension may leave behind."""
    return registered() | handlers() | timers() | menus() | properties() | others()


def install(zip_path: str) -> None:
    bpy.ops.extensions.package_install_files(filepath=zip_path, repo=REPOSITORY, enable_on_install=True)


def uninstall() -> None:
    names = [repository.module for repository in bpy.context.preferences.extensions.repos]
    bpy.ops.extensions.package_uninstall(repo_index=names.index(REPOSITORY), pkg_id="likeness")


def enabled() -> bool:
    return addon_utils.check(MODULE) == (True, True)


def main(zip_path: str) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    before = state()
    install(zip_path)
    FACTS["enabled"] = enabled()
    FACTS["added"] = sorted(state() - before)
    FACTS["foreign_modules"] = sorted(name for name in ("core", "addon", "ops", "ui") if name in sys.modules)
    FACTS["warnings"] = [str(item) for item in addon_utils._extensions_warnings_get().items()]
    FACTS["operators"] = sorted(dir(bpy.ops.likeness))
    addon_utils.disable(MODULE, default_set=True)
    FACTS["left_by_disable"] = sorted(state() - before)
    addon_utils.enable(MODULE, default_set=True)
    FACTS["enabled_again"] = enabled()
    FACTS["same_again"] = sorted(state() - before) == FACTS["added"]
    install(zip_path)
    FACTS["reinstalled"] = enabled()
    FACTS["same_reinstalled"] = sorted(state() - before) == FACTS["added"]
    uninstall()
    FACTS["left_by_uninstall"] = sorted(state() - before)
    folder = Path(os.environ["BLENDER_USER_RESOURCES"], "extensions", REPOSITORY, "likeness")
    FACTS["folder_left"] = folder.exists()
    install(zip_path)
    FACTS["installed_again"] = enabled()


if __name__ == "__main__":
    main(sys.argv[1])
    print("FACTS" + json.dumps(FACTS), flush=True)
    os._exit(0)
