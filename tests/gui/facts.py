# SPDX-License-Identifier: GPL-3.0-or-later
"""What the session finds: checks, and pictures of the window. Shared by all steps."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import robot

SHARED = Path("/mnt")
OUT = SHARED / "out"
MODULE = "bl_ext.user_default.likeness"
FACTS: dict = {"checks": [], "finished": False}


class StuckError(Exception):
    """What the rest of the session builds on is not there."""


def check(name: str, ok: object, detail: object = "") -> None:
    """Record one fact; the file is complete after each."""
    FACTS["checks"].append({"name": name, "ok": bool(ok), "detail": str(detail)[:400]})
    save()


def require(name: str, fact: object) -> None:
    """Record a fact without which the session cannot go on."""
    check(name, fact)
    if not fact:
        raise StuckError(name)


def save() -> None:
    """Write what is known so far."""
    (OUT / "facts.json").write_text(json.dumps(FACTS, indent=1))


def shot(name: str) -> robot.Wait:
    """A picture, after the window had time to draw."""
    yield 1.5
    robot.picture(str(OUT / f"{name}.png"))


def part(name: str) -> Any:
    """A module of the extension."""
    return importlib.import_module(f"{MODULE}.{name}")


def census() -> dict[str, int]:
    """How many data-blocks of each kind the file has."""
    kinds = (
        "collections",
        "objects",
        "meshes",
        "armatures",
        "actions",
        "materials",
        "lights",
        "images",
        "sounds",
    )
    return {kind: len(getattr(bpy.data, kind)) for kind in kinds}


def wait_until(over: Callable[[], bool], limit: float, pauses: list[float] | None = None) -> robot.Wait:
    """Look five times a second; gaps between two looks, when the window was frozen, go to `pauses`."""
    began = last = time.monotonic()
    while not over() and last - began < limit:
        yield 0.2
        now = time.monotonic()
        if pauses is not None:
            pauses.append(now - last)
        last = now


def choose_file(folder: Path, name: str, picture: str) -> robot.Wait:
    """Choose a file in the browser that a click opened, point at the browser's button and press it."""
    yield 2.0
    browser = robot.area("FILE_BROWSER")
    require("a click opens the file browser", browser)
    browser.spaces.active.params.directory = str(folder).encode()
    yield 1.5
    browser.spaces.active.params.filename = name
    browser.tag_redraw()
    yield from shot(picture)
    buttons = robot.region(browser, "EXECUTE")
    spot = yield from robot.find(buttons, "bpy.ops.file.execute", (0.95, 0.88), 10)
    require("the browser's button is found", spot)
    robot.xdotool("click", 1)
