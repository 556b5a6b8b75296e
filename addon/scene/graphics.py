# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this machine can draw with OpenGL. A background Blender finds out by aborting, so a child asks."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import bpy

_SECONDS = 120.0
"""For the child: a first start from a cold disk included."""
_PROBE = """
import os, sys
sys.path[:0] = {paths!r}
import bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.engine = "BLENDER_WORKBENCH"
scene.render.resolution_x = scene.render.resolution_y = 8
scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
scene.collection.objects.link(scene.camera)
bpy.ops.render.render()
os._exit(0)
"""


@lru_cache(maxsize=1)
def has_opengl() -> bool:
    """Whether EEVEE and Workbench can render here. Asked once per session, 1 to 3 s in the background."""
    if not bpy.app.background:
        return True
    if sys.platform.startswith("linux") and not _loads("libEGL.so.1"):
        return False
    return _child_renders()


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _child_renders() -> bool:
    """Let another process of the same Blender draw a few pixels."""
    code = _PROBE.format(paths=_module_folders())
    command = [sys.executable, "-c", code]
    if bpy.app.binary_path:
        command = [
            bpy.app.binary_path,
            "-b",
            "--factory-startup",
            "--python-exit-code",
            "1",
            "--python-expr",
            code,
        ]
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=_SECONDS).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _module_folders() -> list[str]:
    """Where the child finds Blender as a module; a Blender program has it built in."""
    if bpy.app.binary_path:
        return []
    return [
        p
        for p in sys.path
        if any(f.suffix in {".so", ".pyd"} for f in Path(p or ".", "bpy").glob("__init__*"))
    ]


def has_denoiser() -> bool:
    """Whether this Blender was built with Open Image Denoise; some distributions leave it out."""
    try:
        import _cycles  # pyright: ignore[reportMissingImports]
    except ImportError:
        return False
    return bool(_cycles.with_openimagedenoise)


def has_compute_device() -> bool:
    """Whether the user has chosen a graphics card for Cycles in the preferences."""
    preferences: Any = bpy.context.preferences
    addon = preferences.addons.get("cycles")
    chosen = addon.preferences if addon is not None else None
    if chosen is None or getattr(chosen, "compute_device_type", "NONE") == "NONE":
        return False
    return any(device.use and device.type != "CPU" for device in chosen.devices)
