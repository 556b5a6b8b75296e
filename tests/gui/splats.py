# SPDX-License-Identifier: GPL-3.0-or-later
"""A Gaussian head in the window: its colours on the screen against the rasteriser, playing, hiding, undo."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import robot
from facts import SHARED, check, part, require, shot, wait_until
from mathutils import Quaternion, Vector

COUNT = 20_000
ENOUGH = 35.0
"""dB of the picture on the screen against the rasteriser's, which have different arithmetic and 8 bits."""
MAKE = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from core.avatar import Avatar
from core.head import load_model
from core.splat.initial import initial
avatar = Avatar.load(Path(sys.argv[2]))
initial(load_model(avatar.model), avatar, int(sys.argv[4])).save(Path(sys.argv[3]))
"""
DRAW = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from core.splat import playback, raster
from core.splat.splat_avatar import SplatAvatar
from core.splat.view import View
held = np.load(sys.argv[3])
width, height = (int(n) for n in held["size"])
view = View(width, height, *(float(n) for n in held["lens"]), held["matrix"])
placed = playback.place(SplatAvatar.load(sys.argv[2]), held["vertices"], held["latent"], view.centre)
drawn = raster.render(placed, view)
np.savez(sys.argv[4], image=drawn.image, alpha=drawn.alpha)
"""


def worker(code: str, *words: object) -> None:
    """Run code in the worker's Python, which has what Blender's lacks; its first word is where core is."""
    folder = Path(part("core").__file__).parents[1]
    python = (SHARED / "worker.txt").read_text()
    done = subprocess.run(
        [python, "-c", code, str(folder), *map(str, words)], capture_output=True, text=True, timeout=300
    )
    require(f"the worker did its part {done.stderr[-300:] if done.returncode else ''}", not done.returncode)


def view() -> Any:
    """The 3D view's space."""
    return robot.area("VIEW_3D").spaces.active


def main() -> bpy.types.Region:
    """The 3D view's main region."""
    return robot.region(robot.area("VIEW_3D"), "WINDOW")


def heads() -> list[Any]:
    """The Gaussian heads of the scene."""
    return part("addon.scene.splat_state").heads(bpy.context.scene)


def state() -> Any:
    """Of the only head, as it is now."""
    return part("addon.scene.splat_state").state_of(bpy.context.view_layer.depsgraph, heads()[0])


def trouble() -> str:
    """Why nothing is drawn."""
    return part("addon.scene.splat_draw").STATUS.trouble


def screen() -> np.ndarray:
    """(h, w, 3) 0..1 what the 3D view's main region shows."""
    robot.picture("/tmp/now.png")
    region = main()
    x, y = robot.on_screen(region, 0, 0)
    size = f"{region.width}x{region.height}+{x}+{y}"
    command = ["convert", "/tmp/now.png", "-crop", size, "+repage", "-depth", "8", "rgb:-"]
    held = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    return np.frombuffer(held, np.uint8).reshape(region.height, region.width, 3) / 255.0


def add_head() -> robot.Wait:
    """Untrained splats of the double, on the double."""
    root = bpy.context.scene.likeness.active
    avatar = part("addon.session").avatar_of(root)
    path = SHARED / "splats.npz" if (SHARED / "splats.npz").is_file() else Path("/tmp/splats.npz")
    if not path.is_file():
        worker(MAKE, avatar.folder, path, COUNT)
    bpy.ops.likeness.add_splats("EXEC_DEFAULT", filepath=str(path))
    yield 1.0
    require("the double has a Gaussian head", heads())
    bpy.ops.ed.undo_push(message="Gaussian head")
    check("the head can be shown", not part("addon.scene.splat_state").problem_of(heads()[0]))


def face_the_head(lens: float = 70.0, distance: float = 0.85, turn: float = 0.35) -> None:
    """Look at the head from the front and a little from the side, nothing but it and the body in sight."""
    space, middle = view(), state().vertices.mean(axis=0)
    space.region_3d.view_perspective, space.lens = "PERSP", lens
    space.region_3d.view_rotation = Quaternion((1, 0, 0), np.pi / 2) @ Quaternion((0, 1, 0), turn)
    space.region_3d.view_location = Vector((middle[0], -middle[2], middle[1] + 0.06))
    space.region_3d.view_distance = distance
    space.shading.type, space.shading.background_type = "SOLID", "VIEWPORT"
    space.shading.background_color = (0.05, 0.055, 0.065)
    space.overlay.show_overlays = space.show_gizmo = False


def right_colours() -> robot.Wait:
    """The head on the screen is that of the rasteriser, in the colours of the footage."""
    for name in ("show_region_ui", "show_region_toolbar", "show_region_header", "show_region_tool_header"):
        setattr(view(), name, False)
    bpy.context.scene.frame_set(46)
    yield 1.0
    face_the_head()
    yield 3.0
    require(f"the splats are drawn {trouble()}", not trouble())
    found, region = screen(), main()
    held, projection = state(), np.array(view().region_3d.window_matrix)
    width, height = region.width, region.height
    lens = (
        projection[0, 0] * width / 2,
        projection[1, 1] * height / 2,
        (1 - projection[0, 2]) * width / 2,
        (1 + projection[1, 2]) * height / 2,
    )
    turn = np.eye(4)
    turn[:3, :3] = part("core.head").TO_BLENDER
    matrix = np.diag([1, -1, -1, 1]) @ np.array(view().region_3d.view_matrix, np.float64) @ turn
    facts = {"vertices": held.vertices, "latent": held.latent, "size": (width, height), "lens": lens}
    np.savez("/tmp/view.npz", matrix=matrix, **facts)
    head = part("addon.scene.splat_state").path_of(heads()[0])
    worker(DRAW, head, "/tmp/view.npz", "/tmp/drawn.npz")
    drawn = np.load("/tmp/drawn.npz")
    alpha = drawn["alpha"]
    wanted = drawn["image"] + (1 - alpha[..., None]) * found[height // 3, 20]
    # The upper half of the head: below are the body's own neck and clothes.
    rows = np.flatnonzero((alpha > 0.5).sum(axis=1) > 20)
    upper = np.arange(height)[:, None] < rows[0] + 0.5 * (rows[-1] - rows[0])
    seen = (alpha > 0.02) & upper
    apart = (found - np.clip(wanted, 0, 1))[seen]
    figure = float(-10 * np.log10(np.mean(apart**2)))
    offset = np.abs(apart.mean(axis=0)).max()
    check("the head on the screen is the rasteriser's", figure > ENOUGH, f"{figure:.1f} dB")
    check("its colours are the footage's", offset < 0.006, f"off by {offset:.4f}")
    yield from shot("21_splats")


def draws(action: Callable[[], object], seconds: float) -> robot.Wait:
    """Count what the handler draws while something goes on; the figures are in `DRAWN`."""
    draw = part("addon.scene.splat_draw")
    own, DRAWN[:] = draw._draw_view, []

    def counted(context: Any) -> None:
        began = time.perf_counter()
        own(context)
        DRAWN.append((began, time.perf_counter() - began, context.scene.frame_current))

    draw._draw_view = counted
    action()
    yield seconds
    draw._draw_view = own


DRAWN: list[tuple[float, float, int]] = []


def switch_playing() -> None:
    """Start or stop the animation."""
    with bpy.context.temp_override(window=robot.window(), area=robot.area("VIEW_3D"), region=main()):
        bpy.ops.screen.animation_play()


def play() -> robot.Wait:
    """Each frame that plays is drawn with the head as it is then."""
    first = state().vertices
    yield from draws(switch_playing, 8.0)
    switch_playing()
    yield 1.0
    frames = {frame for _, _, frame in DRAWN}
    spent = 1000 * np.median([seconds for _, seconds, _ in DRAWN]) if DRAWN else 0
    check(
        "it is drawn while playing",
        len(frames) > 1 and not trouble(),
        f"{len(frames)} frames, {spent:.0f} ms",
    )
    check("and it moves", np.abs(state().vertices - first).max() > 1e-4)
    bpy.context.scene.frame_set(46)
    yield 1.0


def viewport_picture() -> robot.Wait:
    """A picture of the viewport, which Blender's own viewport render makes without splats, has them."""
    blast, scene = part("addon.scene.splat_playblast"), bpy.context.scene
    words = scene, bpy.context.view_layer, view(), main(), 240, 300
    splats = blast.viewport_picture(*words)
    heads()[0].likeness.splat.use_viewport = False
    bpy.context.view_layer.update()
    mesh = blast.viewport_picture(*words)
    heads()[0].likeness.splat.use_viewport = True
    yield 1.0
    apart = np.abs(splats.astype(int) - mesh).max(axis=2) > 12
    check("a picture of the viewport has the splats", apart.sum() > 500 and not trouble(), apart.sum())


def every_view() -> robot.Wait:
    """Parallel, from four sides at once, through meshes and in other shadings."""
    space = view()
    space.region_3d.view_perspective = "ORTHO"
    yield from shot("22_parallel")
    space.region_3d.view_perspective = "PERSP"
    with bpy.context.temp_override(window=robot.window(), area=robot.area("VIEW_3D"), region=main()):
        yield from draws(bpy.ops.screen.region_quadview, 4.0)
    check("four views are drawn", len(DRAWN) >= 4 and not trouble(), len(DRAWN))
    yield from shot("23_four_views")
    with bpy.context.temp_override(window=robot.window(), area=robot.area("VIEW_3D"), region=main()):
        bpy.ops.screen.region_quadview()
    for name in ("WIREFRAME", "SOLID"):
        space.shading.type = name
        yield 2.0
        check(f"it is drawn in {name.lower()} views", not trouble(), trouble())


def hide_and_undo() -> robot.Wait:
    """The switch takes the splats away, undo brings a deleted head back."""
    face_the_head()
    yield 3.0
    shown = screen()
    heads()[0].likeness.splat.show = "MESH"
    yield 3.0
    mesh = screen()
    heads()[0].likeness.splat.show = "SPLATS"
    yield 3.0
    check("the mesh's head looks otherwise", np.abs(mesh - shown).mean() > 0.002)
    check("the splats come back as they were", np.abs(screen() - shown).mean() < 0.0005)
    bpy.ops.ed.undo_push(message="Before")
    bpy.data.objects.remove(heads()[0])
    bpy.ops.ed.undo_push(message="Delete")
    yield 2.0
    check("a deleted head is not drawn", not heads() and not trouble(), trouble())
    robot.xdotool("mousemove", *robot.on_screen(main(), main().width // 3, main().height // 2))
    yield from robot.press("ctrl+z")
    yield from wait_until(lambda: bool(heads()), 5.0)
    yield 3.0
    require("undo brings it back", heads())
    check("and it is drawn as before", np.abs(screen() - shown).mean() < 0.0005, trouble())


def tidy() -> robot.Wait:
    """The double with its own head, the view as it was."""
    bpy.data.objects.remove(heads()[0])
    for name in ("show_region_ui", "show_region_toolbar", "show_region_header", "show_region_tool_header"):
        setattr(view(), name, True)
    view().show_gizmo = True
    view().shading.background_type = "THEME"
    view().region_3d.view_perspective = "CAMERA"
    bpy.ops.ed.undo_push(message="Without Gaussian head")
    yield 1.0


STEPS = (add_head, right_colours, play, viewport_picture, every_view, hide_and_undo, tidy)
