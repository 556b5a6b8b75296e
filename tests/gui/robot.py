# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands and eyes inside Blender's window: mouse and keyboard by xdotool, pictures of the X screen.

Blender handles events only after a timer returns, so whatever touches the window is a generator that yields
seconds to wait. Widgets have no address in Blender's API: they are found as a person finds them, by pointing;
Ctrl-C over a button copies the Python command that it stands for.
"""

from __future__ import annotations

import subprocess
from collections.abc import Generator, Iterator

import bpy

Wait = Generator[float, None, None]
Spot = tuple[int, int]


def xdotool(*words: object) -> None:
    """One xdotool command."""
    subprocess.run(["xdotool", *map(str, words)], check=True, timeout=20)


def picture(path: str) -> None:
    """The whole screen as PNG; Blender's own screenshot operator is black under software GL."""
    subprocess.run(["import", "-window", "root", path], check=True, timeout=60)


def pixels(path: str) -> str:
    """A signature of a picture that changes with any pixel."""
    command = ["identify", "-format", "%#", path]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def contrast(path: str) -> float:
    """Standard deviation (0..1) of the middle of a picture: near 0 while a viewport shows nothing yet."""
    command = [
        "convert",
        path,
        "-gravity",
        "center",
        "-crop",
        "400x400-150+0",
        "+repage",
        "-colorspace",
        "Gray",
    ]
    command += ["-format", "%[fx:standard_deviation]", "info:"]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)


def crop(source: str, target: str, region: bpy.types.Region) -> None:
    """Cut a region of the window out of a picture of the screen."""
    x, y = on_screen(region, 0, 0)
    size = f"{region.width}x{region.height}+{x}+{y}"
    subprocess.run(["convert", source, "-crop", size, "+repage", target], check=True, timeout=60)


def window() -> bpy.types.Window:
    """The main window."""
    return bpy.context.window_manager.windows[0]


def area(kind: str) -> bpy.types.Area | None:
    """The largest area of a type in the main window."""
    found = [area for area in window().screen.areas if area.type == kind]
    return max(found, key=lambda area: area.width * area.height, default=None)


def region(area: bpy.types.Area, kind: str) -> bpy.types.Region:
    """A region of an area."""
    return next(region for region in area.regions if region.type == kind)


def on_screen(region: bpy.types.Region, x: int, from_top: int) -> Spot:
    """Screen pixel of a place in a region, given from its left and upper edges."""
    return region.x + x, window().height - (region.y + region.height) + from_top


def click(spot: Spot, button: int = 1) -> Wait:
    """Move there like a hand, then press and release."""
    xdotool("mousemove", *spot)
    yield 0.4
    xdotool("click", button)
    yield 0.8


def press(*keys: str) -> Wait:
    """Press keys one after the other ("ctrl+z")."""
    for key in keys:
        xdotool("key", key)
        yield 0.6


def command_at(spot: Spot) -> Generator[float, None, str]:
    """The Python command of the button at this place, or an empty string."""
    manager = bpy.context.window_manager
    manager.clipboard = "nothing"
    xdotool("mousemove", *spot)
    yield 0.25
    xdotool("key", "ctrl+c")
    yield 0.25
    text = manager.clipboard
    return text if text.startswith("bpy.ops.") else ""


def places(
    region: bpy.types.Region, columns: tuple[float, ...], step: int, within: tuple[int, int]
) -> Iterator[Spot]:
    """Where to point in a region, downwards in each column (columns as fractions of the width)."""
    for column in columns:
        for from_top in range(max(within[0], step // 2), min(within[1], region.height), step):
            yield on_screen(region, int(region.width * column), from_top)


def find(
    region: bpy.types.Region,
    command: str,
    columns: tuple[float, ...] = (0.5,),
    step: int = 14,
    within: tuple[int, int] = (0, 10_000),
) -> Generator[float, None, Spot | None]:
    """Point at one place after the other until a button with this command is found.

    within: pixels from the region's top between which it is sought.
    """
    for spot in places(region, columns, step, within):
        text = yield from command_at(spot)
        if text.startswith(command):
            return spot
    return None


def reports() -> list[str]:
    """What operators told the user so far, one line each, errors or not, as the Info editor lists it."""
    place = area("PROPERTIES")
    if place is None:
        raise LookupError("no area to list reports in")
    kind, place.type = place.type, "INFO"
    bpy.context.window_manager.clipboard = ""
    with bpy.context.temp_override(window=window(), area=place, region=region(place, "WINDOW")):
        bpy.ops.info.select_all(action="SELECT")
        bpy.ops.info.report_copy()
    place.type = kind
    lines = bpy.context.window_manager.clipboard.splitlines()
    return [line for line in lines if line.strip() and not line.startswith("bpy.")]
