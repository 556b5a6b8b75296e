# SPDX-License-Identifier: GPL-3.0-or-later
"""The session in the window, run by Blender: install, import by clicks, look, undo, preferences, disable."""

from __future__ import annotations

import os
import re
import sys
import time
import traceback
from pathlib import Path

import addon_utils
import bpy
import numpy as np

SHARED = Path("/mnt")
sys.path.insert(0, str(SHARED))

import compress  # noqa: E402
import robot  # noqa: E402
import splats  # noqa: E402
from facts import (  # noqa: E402
    FACTS,
    MODULE,
    OUT,
    StuckError,
    census,
    check,
    choose_file,
    part,
    require,
    save,
    shot,
)

IMPORT = "bpy.ops.likeness.import_capture"
BUILD_LIMIT = 240.0
TRACK_LIMIT = 240.0
# Reports of the stopped job, the import and its undo: anything else is an error that the user would see.
EXPECTED = re.compile(
    r"was stopped|^\S.* plays .* samples|^(Undo|Redo)|lacks numba.* compressing"
    r"|Compressed: \d+ (pairs of )?face bones?|re-imported"
)


def doubles() -> list[bpy.types.Collection]:
    return [collection for collection in bpy.data.collections if collection.name.startswith("Likeness ")]


def animated() -> bool:
    """Whether a mesh of a double has shape keys that are driven by an action."""
    return any(
        item.type == "MESH"
        and item.data.shape_keys is not None
        and item.data.shape_keys.animation_data is not None
        and item.data.shape_keys.animation_data.action is not None
        for collection in doubles()
        for item in collection.all_objects
    )


def install() -> robot.Wait:
    """The zip, as Install from Disk does it."""
    zip_path = str(SHARED / "likeness.zip")
    bpy.ops.extensions.package_install_files(filepath=zip_path, repo="user_default", enable_on_install=True)
    bpy.data.batch_remove(list(bpy.data.objects))
    bpy.ops.ed.undo_push(message="Empty scene")
    yield 1.0
    check("the zip is installed and enabled", addon_utils.check(MODULE) == (True, True))


def open_tab() -> robot.Wait:
    """The sidebar with the tab of the extension."""
    view = robot.area("VIEW_3D")
    view.spaces.active.show_region_ui = True
    yield 1.0
    robot.region(view, "UI").active_panel_category = "Likeness"
    yield from shot("1_tab")
    check("the sidebar has the tab", robot.region(view, "UI").active_panel_category == "Likeness")


def choose_capture(capture: Path) -> robot.Wait:
    """Click Import in the panel, choose a file in the browser, point at the browser's button and press it."""
    sidebar = robot.region(robot.area("VIEW_3D"), "UI")
    spot = yield from robot.find(sidebar, IMPORT)
    require("the import button is found in the panel", spot)
    yield from robot.click(spot)
    yield from choose_file(capture.parent, capture.name, "2_browser")


def long_take() -> Path:
    """A take of half an hour, so that there is time to stop the job."""
    performance = part("core.performance")
    count = 30 * 60 * 60
    weights = np.random.default_rng(0).random((count, 52), dtype=np.float32)
    take = performance.Performance(
        name="long",
        time=np.arange(count) / 60,
        weights=weights,
        head_rotation=None,
        head_translation=None,
        gaze=None,
        confidence=np.ones(count, np.float32),
        flame=None,
        source="gui-test",
        timecode=None,
    )
    path = Path("/tmp/long.csv")
    take.save_live_link_csv(path)
    return path


def stop_with_escape() -> robot.Wait:
    """Esc ends a running job, and the file is as it was."""
    before = census()
    yield from choose_capture(long_take())
    yield 0.7
    robot.picture(str(OUT / "3_working.png"))
    check("the job is still running when Esc is pressed", not doubles())
    yield from robot.press("Escape")
    yield 5.0
    yield from shot("3_stopped")
    check("Esc leaves the file as it was", census() == before, f"{before} became {census()}")


def import_capture() -> robot.Wait:
    """The capture, from click to double; the window may not freeze for long."""
    yield from choose_capture(next((SHARED / "capture").iterdir()))
    began = last = time.monotonic()
    pause = 0.0
    while not animated() and last - began < BUILD_LIMIT:
        yield 0.2
        now = time.monotonic()
        pause, last = max(pause, now - last), now
    require(f"a double with an action is there after {last - began:.1f} s", animated())
    check("the window never froze for 15 s", pause < 15, f"longest pause {pause:.1f} s")
    yield 3.0


def look() -> robot.Wait:
    """The viewport through the camera, plain and with materials, and the panel beside it."""
    view, scene = robot.area("VIEW_3D"), bpy.context.scene
    scene.frame_set((scene.frame_start + scene.frame_end) // 2)
    check("the scene has a camera", scene.camera)
    view.spaces.active.region_3d.view_perspective = "CAMERA"
    view.spaces.active.overlay.show_overlays = False
    with bpy.context.temp_override(window=robot.window(), area=view, region=robot.region(view, "WINDOW")):
        bpy.ops.view3d.view_center_camera()
    yield from shot("4_double")
    view.spaces.active.shading.type = "MATERIAL"
    yield from settle(view, "5_materials")
    view.spaces.active.shading.type = "SOLID"
    yield 1.0


def settle(view: bpy.types.Area, name: str) -> robot.Wait:
    """Pictures until the person is there and nothing changes: shaders are compiled while the view is
    empty.
    """
    seen, limit = "", time.monotonic() + 200
    while time.monotonic() < limit:
        view.tag_redraw()
        yield 6.0
        robot.picture(str(OUT / f"{name}.png"))
        now = robot.pixels(str(OUT / f"{name}.png"))
        if now == seen and robot.contrast(str(OUT / f"{name}.png")) > 0.03:
            break
        seen = now
    check("the materials are drawn", robot.contrast(str(OUT / f"{name}.png")) > 0.03)


def panels() -> robot.Wait:
    """Each panel of the tab, opened by a click on its header, and how far down the sidebar they go."""
    view = robot.area("VIEW_3D")
    sidebar = robot.region(view, "UI")
    yield from shot("6_panels")
    robot.crop(str(OUT / "6_panels.png"), str(OUT / "panel.png"), sidebar)


def undo_and_redo() -> robot.Wait:
    """One Ctrl-Z takes the whole double away, one Ctrl-Shift-Z brings it back."""
    main = robot.region(robot.area("VIEW_3D"), "WINDOW")
    robot.xdotool("mousemove", *robot.on_screen(main, main.width // 3, main.height // 2))
    yield from robot.press("ctrl+z")
    yield 3.0
    check("one undo takes the double away", not doubles(), [c.name for c in doubles()])
    yield from robot.press("ctrl+shift+z")
    yield 4.0
    check("one redo brings it back", animated())


def track_footage() -> robot.Wait:
    """A video alone: the worker tracks it while the window stays awake, and it becomes a second double."""
    before = len(doubles())
    chosen = bpy.context.preferences.addons[MODULE].preferences
    chosen.worker_python = (SHARED / "worker.txt").read_text()
    yield from choose_capture(next((SHARED / "footage").iterdir()))
    began, pictured = time.monotonic(), False
    while len(doubles()) == before and time.monotonic() - began < TRACK_LIMIT:
        yield 0.5
        if not pictured and time.monotonic() - began > 6.0:
            robot.picture(str(OUT / "8_tracking.png"))
            pictured = True
    seconds = time.monotonic() - began
    require(f"a video becomes a double in {seconds:.0f} s", len(doubles()) == before + 1)
    yield 4.0
    chosen.property_unset("worker_python")
    root = bpy.context.scene.likeness.active
    note = root.likeness
    check("a camera was fitted", note.performances[note.performance].has_camera)
    check("the figures of the tracking are there", note.tracking, note.tracking.replace("\n", "; "))
    check("the confidence is a curve", "confidence" in root and root.animation_data.action is not None)


def show_on_footage() -> robot.Wait:
    """The overlay by a click, and back by another; the button that refits is there."""
    view, scene = robot.area("VIEW_3D"), bpy.context.scene
    view.spaces.active.overlay.show_overlays = True
    sidebar = robot.region(view, "UI")
    before = scene.camera, scene.render.resolution_x
    scene.frame_set((scene.frame_start + scene.frame_end) // 2)
    spot = yield from robot.find(sidebar, "bpy.ops.likeness.show_on_footage")
    require("the button that shows the footage is found", spot)
    yield from robot.click(spot)
    yield 2.0
    check("the scene looks through the fitted camera", scene.camera.get("likeness_role") == "footage")
    check("the view does so too", view.spaces.active.region_3d.view_perspective == "CAMERA")
    with bpy.context.temp_override(window=robot.window(), area=view, region=robot.region(view, "WINDOW")):
        bpy.ops.view3d.view_center_camera()
    yield from settle(view, "9_footage")
    scene.likeness.footage.style = "WIRE"
    yield from shot("9_wire")
    scene.likeness.footage.style = "BLEND"
    refit = yield from robot.find(sidebar, "bpy.ops.likeness.refit_neutral")
    check("the button that refits is found", refit)
    spot = yield from robot.find(sidebar, "bpy.ops.likeness.show_on_footage")
    require("the button that shows the footage is still there", spot)
    yield from robot.click(spot)
    yield 1.5
    check(
        "another click brings the camera and the size back",
        (scene.camera, scene.render.resolution_x) == before,
    )


def face_panel() -> robot.Wait:
    """The panel of the face's texture, with the predicted one on."""
    root = bpy.context.scene.likeness.active
    yield from compress.open_only("Look")
    yield from shot("20_look")
    faces = part("addon.session").faces_of(root)
    check("the double has a texture of the face to choose", faces, faces)
    region = compress.sidebar()
    spot = yield from robot.find(region, "bpy.ops.likeness.make_textures", (0.83,), 8, (240, 400))
    check("the button that takes textures from the footage is found", spot)
    robot.crop(str(OUT / "20_look.png"), str(OUT / "face_panel.png"), region)
    yield from compress.open_only("Capture")


def preferences() -> robot.Wait:
    """The page of the extension in the preferences."""
    bpy.ops.preferences.addon_show(module=MODULE)
    yield 3.0
    check("the preferences open", len(bpy.context.window_manager.windows) == 2)
    yield from shot("10_preferences")
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[-1]):
        bpy.ops.wm.window_close()
    yield 1.0


def take_leave() -> robot.Wait:
    """No error was reported or printed, and the extension goes without a word."""
    unexpected = [line for line in robot.reports() if not EXPECTED.search(line)]
    check("nothing but what is expected was reported", not unexpected, "; ".join(unexpected))
    addon_utils.disable(MODULE, default_set=True)
    yield 2.0
    yield from shot("11_disabled")
    check("the extension is disabled", addon_utils.check(MODULE) == (False, False))
    sys.stdout.flush()
    sys.stderr.flush()
    log = (OUT / "blender.log").read_text(errors="replace")
    at = log.find("Traceback")
    check("no exception was printed", at < 0, log[at : at + 1500] if at >= 0 else "")


STEPS = (
    install, open_tab, stop_with_escape, import_capture, look, panels, undo_and_redo, *compress.STEPS,
    compress.tidy, *splats.STEPS, track_footage, show_on_footage, face_panel, preferences, take_leave,
)  # fmt: skip


def session() -> robot.Wait:
    """Everything, in order; a failed check does not hide the later ones."""
    for step in STEPS:
        try:
            yield from step()
        except StuckError:
            robot.picture(str(OUT / f"stuck_{step.__name__}.png"))
            return
        except Exception as problem:  # noqa: BLE001 - a defect in one step is a failed check, the rest still runs
            traceback.print_exc()
            check(f"{step.__name__} runs to its end", False, f"{type(problem).__name__}: {problem}")
            robot.picture(str(OUT / f"failed_{step.__name__}.png"))
    FACTS["finished"] = True


def tick(running: robot.Wait) -> float:
    """One step per timer call; ends the process with an honest status."""
    try:
        return next(running)
    except StopIteration:
        save()
    except BaseException:  # noqa: BLE001 - the window would stay open for ever
        traceback.print_exc()
        save()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if FACTS["finished"] and all(item["ok"] for item in FACTS["checks"]) else 1)


bpy.context.preferences.view.show_splash = False
bpy.context.preferences.view.filebrowser_display_type = "SCREEN"
RUNNING = session()
bpy.app.timers.register(lambda: tick(RUNNING), first_interval=2.5, persistent=True)
