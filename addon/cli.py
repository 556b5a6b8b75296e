# SPDX-License-Identifier: GPL-3.0-or-later
"""`blender -c likeness CAPTURE --out DIR ...`: the same as `addon/batch.py`, without a path to it."""

from __future__ import annotations

from typing import Any

import bpy

_commands: list[Any] = []


def command(arguments: list[str]) -> int:
    """Run with what stood behind `likeness` on the command line; returns the exit status."""
    from . import headless

    return headless.main(arguments)


def register() -> None:
    """Add the command."""
    _commands.append(bpy.utils.register_cli_command("likeness", command))


def unregister() -> None:
    """Take it off."""
    while _commands:
        bpy.utils.unregister_cli_command(_commands.pop())
