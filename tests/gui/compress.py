# SPDX-License-Identifier: GPL-3.0-or-later
"""Compress to Bones in the window: lacking packages, Esc, Stop, the whole, Update, Show Error, Export."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import robot
from facts import SHARED, census, check, choose_file, part, require, shot, wait_until
from mathutils import Vector

LIMIT = 150.0
PANELS = ("Capture", "Double", "Performance", "Look", "Compress to Bones", "Render")
"""In the order of the sidebar."""
OPEN = {"Capture", "Double", "Performance", "Look", "Render"}
"""Those that are open."""
SEEN: dict[str, int] = {}
"""How far below the sidebar's top each button was seen last."""
HEADER, PITCH = 14, 27
"""Pixels from the sidebar's top to the middle of the first header, and from one closed panel to the next."""
COMPRESS, STOP = "bpy.ops.likeness.compress_to_bones", "bpy.ops.likeness.stop_job"
UPDATE, SHOW = "bpy.ops.likeness.update_compressed", "bpy.ops.likeness.show_compression_error"
EXPORT, SET_UP = "bpy.ops.likeness.export_skin", "bpy.ops.likeness.show_preferences"


def sidebar() -> bpy.types.Region:
    """Of the 3D view."""
    return robot.region(robot.area("VIEW_3D"), "UI")


def body() -> Any:
    """The mesh that is compressed."""
    return part("addon.compressing").target_of(bpy.context)


def made() -> Any:
    """What was made of it, or None."""
    return part("addon.compressing").compressed_of(bpy.context)


def working() -> bool:
    """Whether a job runs."""
    return part("addon.runtime").SESSION.job.active


def header(title: str) -> robot.Spot:
    """Where a panel's header is while all above it are closed."""
    return robot.on_screen(sidebar(), 60, HEADER + PITCH * PANELS.index(title))


def open_only(title: str) -> robot.Wait:
    """Close the panels that are open, from the top down, then open one."""
    for name in [name for name in PANELS if name in OPEN]:
        yield from robot.click(header(name))
    yield from robot.click(header(title))
    OPEN.clear()
    OPEN.add(title)
    yield 0.6


def seek(command: str, column: float = 0.75) -> Generator[float, None, robot.Spot | None]:
    """Where a button of the panel is: first where it was, or a little lower, then everywhere."""
    top, region = HEADER + PITCH * PANELS.index("Compress to Bones"), sidebar()
    near = SEEN.get(command)
    if near is not None:
        spot = yield from robot.find(region, command, (column,), 12, (near - 40, near + 60))
        if spot is not None:
            return spot
    spot = yield from robot.find(region, command, (column,), 14, (top, top + 460))
    if spot is not None:
        SEEN[command] = spot[1] - robot.on_screen(region, 0, 0)[1]
    return spot


def press(command: str, column: float = 0.75) -> robot.Wait:
    """Click a button of the panel."""
    spot = yield from seek(command, column)
    require(f"the button {command.rpartition('.')[2]} is in the panel", spot)
    yield from robot.click(spot)


def look_at_faces() -> None:
    """Turn the view to the front of the original's face and of the compressed one's."""
    space: Any = robot.area("VIEW_3D").spaces.active
    heads = [obj.matrix_world @ highest(obj) for obj in (body(), made())]
    space.region_3d.view_perspective = "ORTHO"
    space.region_3d.view_rotation = (0.70710678, 0.70710678, 0.0, 0.0)
    apart = (heads[1] - heads[0]).length
    # The sidebar covers the right, so the middle is left of the region's.
    space.region_3d.view_location = (heads[0] + heads[1]) / 2 + Vector((0.2 * apart, 0.0, -0.3 * apart))
    space.region_3d.view_distance = 1.7 * apart
    space.overlay.show_overlays = False
    bpy.context.scene.frame_set(46)


def highest(obj: Any) -> Any:
    """The top of a mesh at rest, in its own coordinates."""
    return max((vertex.co for vertex in obj.data.vertices), key=lambda co: co.z).copy()


def open_panel() -> robot.Wait:
    """The panel is there for the sample's double, with its button."""
    part("addon.preferences").get().property_unset("worker_python")
    yield from open_only("Compress to Bones")
    yield from shot("12_compress")
    check("the compress button is in the panel", (yield from seek(COMPRESS)))


def say_what_is_lacking() -> robot.Wait:
    """Blender's own Python has no numba: the panel says so in one sentence, with the way to mend it."""
    environment, needed = part("addon.environment"), part("addon.skin_job").PACKAGES
    if not environment.check(Path(sys.executable), names=needed).missing:
        return
    before = census()
    yield from press(COMPRESS)
    yield from shot("13_lacking")
    yield from robot.press("Escape")
    said = part("addon.runtime").SESSION.lacking.get("compressing", "")
    check("one sentence says what the worker lacks", "lacks numba" in said and "compressing" in said, said)
    check("and a button leads to the preferences", (yield from seek(SET_UP)))
    check("nothing was made", census() == before)


def stop_compressing() -> robot.Wait:
    """Esc ends it, and so does Stop; both times the file is as it was."""
    part("addon.preferences").get().worker_python = (SHARED / "worker.txt").read_text()
    before = census()
    for key in ("Escape", "Stop"):
        yield from press(COMPRESS)
        yield 1.2
        check(f"it runs when {key} is pressed", working())
        if key == "Stop":
            yield from press(STOP)
        else:
            yield from robot.press(key)
        yield from wait_until(lambda: not working(), 10.0)
        yield 1.0
        check(f"{key} leaves the file as it was", census() == before, f"{before} became {census()}")
        check(f"{key} leaves no compressed mesh", made() is None)
    left = list(Path("/tmp").glob("likeness-skin-*"))
    check("nothing is left of them on the disk", not left, left)


def compress_to_the_end() -> robot.Wait:
    """The whole, while the frame is changed by a key: the window stays usable."""
    scene, pauses = bpy.context.scene, []
    frame = scene.frame_current
    yield from press(COMPRESS)
    began = time.monotonic()
    yield 2.0
    main = robot.region(robot.area("VIEW_3D"), "WINDOW")
    robot.xdotool("mousemove", *robot.on_screen(main, main.width // 3, main.height // 2))
    yield from robot.press("Right", "Right")
    check("the frame can be changed while it works", working() and scene.frame_current == frame + 2)
    yield from wait_until(lambda: not working() or sum(pauses) > 4.0, LIMIT, pauses)
    yield from shot("14_compressing")
    yield from wait_until(lambda: not working(), LIMIT, pauses)
    require(f"a compressed double is there after {time.monotonic() - began:.1f} s", made())
    check("the window never froze for 15 s", max(pauses) < 15, f"longest pause {max(pauses):.1f} s")
    yield 1.0
    sentence = part("addon.compressing").sentence_of(made())
    worst = float(sentence.split("worst ")[1].split()[0])
    check("it says how close it is, and that is under 5 mm", worst < 5.0, sentence)
    look_at_faces()
    yield from shot("15_compressed")


def undo_compressing() -> robot.Wait:
    """One Ctrl-Z takes it away, one Ctrl-Shift-Z brings it back."""
    main = robot.region(robot.area("VIEW_3D"), "WINDOW")
    robot.xdotool("mousemove", *robot.on_screen(main, main.width // 3, main.height // 2))
    yield from robot.press("ctrl+z")
    yield 3.0
    check("one undo takes the compressed double away", made() is None and body() is not None)
    yield from robot.press("ctrl+shift+z")
    yield 4.0
    require("one redo brings it back", made())


def update() -> robot.Wait:
    """Another value in the original's action reaches the bones when Update is pressed."""
    before = deformed(made())
    curve = jaw_curve()
    for key in curve.keyframe_points:
        key.co.y = key.handle_left.y = key.handle_right.y = 1.0
    yield 1.0
    check("the copy waits for Update", np.allclose(before, deformed(made()), atol=1e-6))
    yield from press(UPDATE, 0.3)
    yield 3.0
    moved = 1000.0 * np.linalg.norm(deformed(made()) - before, axis=1).max()
    check("Update brings the new keys to the bones", moved > 5.0, f"{moved:.1f} mm at frame 46")
    yield from shot("16_updated")


def jaw_curve() -> Any:
    """The curve of the shape that opens the jaw."""
    holder = body().data.shape_keys.animation_data
    curves = holder.action.layers[0].strips[0].channelbag(holder.action_slot).fcurves
    return next(curve for curve in curves if "jawOpen" in curve.data_path)


def deformed(obj: Any) -> np.ndarray:
    """(N, 3) vertices as they are drawn at frame 46, in the object's own coordinates."""
    bpy.context.scene.frame_set(46)
    mesh = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", points)
    return points.reshape(-1, 3)


def show_error() -> robot.Wait:
    """The colours of the error on, seen, and off again."""
    wears = part("addon.compressing").shows_error
    yield from press(SHOW)
    yield from shot("17_error")
    check("the copy wears the colours of its error", wears(made()))
    check("the view shows them", robot.area("VIEW_3D").spaces.active.shading.color_type == "VERTEX")
    yield from press(SHOW)
    yield 1.0
    check("another click takes them off", not wears(made()))


def export() -> robot.Wait:
    """Export through the file browser; the file is there with its sidecar, the scene as it was."""
    before, folder = census(), Path("/tmp/exported")
    folder.mkdir(exist_ok=True)
    yield from press(EXPORT)
    yield from choose_file(folder, "double.glb", "18_export")
    pauses: list[float] = []
    yield from wait_until((folder / "double.skin.json").is_file, 60.0, pauses)
    yield 3.0
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    check("the file and its sidecar are written", {"double.glb", "double.skin.json"} <= set(sizes), sizes)
    check("exporting leaves the file as it was", census() == before, f"{before} became {census()}")
    yield from shot("19_exported")


STEPS = (
    open_panel, say_what_is_lacking, stop_compressing, compress_to_the_end, undo_compressing, update,
    show_error, export,
)  # fmt: skip


def tidy() -> robot.Wait:
    """The window as it was before: the first panel open, no worker chosen, through the camera."""
    part("addon.preferences").get().property_unset("worker_python")
    space: Any = robot.area("VIEW_3D").spaces.active
    space.region_3d.view_perspective = "CAMERA"
    yield from open_only("Capture")
