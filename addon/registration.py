# SPDX-License-Identifier: GPL-3.0-or-later
"""The one ordered list of everything Blender is told about, and its reverse.

Errors are not swallowed: a class that cannot be registered is a defect. What was registered before it is
taken back
first, so that a failed enabling leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import bpy

from .. import ops, ui
from . import cli, handlers, preferences, previews, properties
from .scene import splat_draw

CLASSES: tuple[type, ...] = (*preferences.CLASSES, *properties.CLASSES, *ops.CLASSES, *ui.CLASSES)
"""Every class in the order of registration; property groups come before what points to them."""

MODULES: tuple[Any, ...] = (properties, handlers, previews, splat_draw, ops, ui, cli)
"""Modules with something beyond classes to put in place, each with its own `register` and `unregister`."""

_undo = ExitStack()


def _steps() -> list[tuple[Callable[[], None], Callable[[], None]]]:
    """(do, undo) of each step, in order."""

    def of_class(cls: type) -> tuple[Callable[[], None], Callable[[], None]]:
        return lambda: bpy.utils.register_class(cls), lambda: bpy.utils.unregister_class(cls)

    return [*map(of_class, CLASSES), *((module.register, module.unregister) for module in MODULES)]


def register() -> None:
    """Put everything in place."""
    with ExitStack() as undo:
        for do, take_back in _steps():
            do()
            undo.callback(take_back)
        _undo.push(undo.pop_all())


def unregister() -> None:
    """Take everything back, in reverse."""
    _undo.close()
