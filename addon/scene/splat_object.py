# SPDX-License-Identifier: GPL-3.0-or-later
"""The object of a Gaussian head: "NAME Gaussian Head", on the head bone of its double.

Its mesh is a proxy (`splat_proxy`): seen as a box, clicked, and in renders not seen but casting the head's
shadow. What it shows, splats or the double's own head or both, is `apply_show`'s doing.

Blender's own renders know no splats: they show the mesh's head, or the cards of `splat_instances` in its
place. `splat_composite` takes it away for the frames that it lays the splats into (`stand_in_render`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...core.errors import SplatError
from ...core.splat.splat_avatar import SplatAvatar
from .double import Double, tag
from .mesh import BLEND_ATTRIBUTE, ROW_ATTRIBUTE
from .placement import parent_to_head
from .splat_hiding import hair_of, hide_head, hide_in_render, is_hidden, release, show_head
from .splat_instances import cards_of, remove_cards
from .splat_proxy import proxy_of, write_proxy
from .splat_state import ROLE, body_of, heads, is_head, path_of, problem_of, require_model, settings_of
from .splat_tie import Tie

TITLE = "Gaussian Head"
SPLATS, MESH, BOTH = "SPLATS", "MESH", "BOTH"
"""What is shown of a head."""
_STAMP = "likeness_splat_file"
"""On the proxy's mesh: of which file it was made."""
_SKIN = 0.99
"""Of the body's blend: the proxy ends above the neck, so that it shadows no skin that is seen."""


def head_of(double: Double) -> bpy.types.Object | None:
    """The Gaussian head of a double, None where there is none."""
    return next((obj for obj in double.objects if is_head(obj) and body_of(obj) == double.body), None)


def add_head(double: Double, path: Path, bone: str | None) -> bpy.types.Object:
    """Make the Gaussian head of a double from a splats.npz, or bring it up to date.

    bone: of the head, None for a model without. Raises SplatError or ModelError before anything is changed.
    """
    avatar = SplatAvatar.load(path)
    if not len(avatar.gaussians):
        raise SplatError(f"{path} holds no splats.", "Train them again.")
    require_model(double.body, avatar)
    Tie.of(double.body, avatar.surface.rows)
    head = head_of(double)
    if head is None:
        name = f"{double.name} {TITLE}"
        head = tag(bpy.data.objects.new(name, bpy.data.meshes.new(name)), double.id, ROLE)
        double.collection.objects.link(head)
        head.display_type, head.display_bounds_type = "BOUNDS", "BOX"
        head.hide_probe_volume = head.hide_probe_sphere = head.hide_probe_plane = True
    settings = settings_of(head)
    settings.body = double.body
    settings.path = str(path.absolute())  # Blender does not keep relative ones of ours up at Save As
    parent_to_head(head, double.armature, bone)
    _update_proxy(head, avatar)
    apply_show(head)
    return head


def remove_head(head: Any) -> None:
    """Take a Gaussian head out of the file; the double has its own back."""
    body, mesh = body_of(head), head.data
    remove_cards(head)
    if body is not None:
        show_head(body)
    bpy.data.objects.remove(head)
    if not mesh.users:
        bpy.data.meshes.remove(mesh)


def apply_show(head: Any) -> None:
    """Let the double be as the head's settings say; without splats that can be shown it keeps its own."""
    body, carded = body_of(head), renders_cards(head)
    alone = stands_alone(head)
    show_in_render(head, camera=False, shadow=alone and carded, indirect=False)
    if body is None:
        return
    if alone:
        hide_head(body, settings_of(head).use_viewport, in_render=carded)
    else:
        show_head(body)


def stands_alone(head: Any) -> bool:
    """Whether splats are shown in place of the mesh's head, and there are some to show."""
    return settings_of(head).show == SPLATS and not problem_of(head)


def stand_in_render(head: Any, standing: bool) -> None:
    """Let a head that stands alone take the mesh's place in renders, with its shadow, or give it back."""
    body = body_of(head)
    if body is None or not stands_alone(head):
        return
    hide_in_render(body, standing)
    if head.visible_shadow != standing:
        head.visible_shadow = standing


def follow_cards(head: Any) -> None:
    """After cards were made or removed: what renders show is theirs, or the mesh's again."""
    stand_in_render(head, renders_cards(head))


def renders_cards(head: Any) -> bool:
    """Whether Blender's own renders show cards of a head."""
    cards = cards_of(head)
    return cards is not None and not cards.hide_render


def shows_splats(head: Any) -> bool:
    """Whether the settings of a head ask for its splats."""
    return settings_of(head).show != MESH


def draws_in_viewport(head: Any, layer: Any, view: Any = None) -> bool:
    """Whether its splats are to be drawn in a viewport (`view`: its SpaceView3D), as far as switches go."""
    if not shows_splats(head) or not settings_of(head).use_viewport:
        return False
    return bool(head.visible_get(view_layer=layer, viewport=view))


def show_in_render(head: Any, camera: bool = False, shadow: bool = True, indirect: bool = False) -> None:
    """How renders see the proxy: by the camera, by its shadow, in reflections and by bounced light."""
    head.visible_camera, head.visible_shadow = camera, shadow
    head.visible_diffuse = head.visible_glossy = head.visible_transmission = indirect
    head.visible_volume_scatter = indirect


def refresh(double: Double) -> None:
    """After the double was built again: hang its head on the bone anew, and hide what came new."""
    head = head_of(double)
    if head is None:
        return
    if head.parent == double.armature and head.parent_bone in double.armature.data.bones:
        parent_to_head(head, double.armature, head.parent_bone)
    apply_show(head)


def refresh_all(scene: bpy.types.Scene) -> None:
    """After a file was opened: heads whose splats were moved or deleted leave the doubles their own."""
    for head in heads(scene):
        apply_show(head)
    tidy(scene)


def after_update(scene: bpy.types.Scene) -> None:
    """When objects came or went: what lost its Gaussian head, or was copied without it, has its own back."""
    count = len(scene.objects)
    if _counts.get(scene.session_uid) != count:
        _counts[scene.session_uid] = count
        tidy(scene)


def tidy(scene: bpy.types.Scene) -> None:
    """Give their own head to all objects of a scene that no Gaussian head stands for."""
    hidden = [obj for obj in scene.objects if is_hidden(obj)]
    if not hidden:
        return
    for head in heads(scene):
        follow_cards(head)
    alive = [head for head in bpy.data.objects if is_head(head) and head.users_scene]
    bodies = [body_of(head) for head in alive if settings_of(head).show == SPLATS]
    claimed = {obj for body in bodies if body is not None for obj in (body, *hair_of(body))}
    for obj in hidden:
        if obj not in claimed:
            release(obj)


_counts: dict[int, int] = {}
"""Of objects in each scene, when last looked."""


def _update_proxy(head: Any, avatar: SplatAvatar) -> None:
    facts = path_of(head).stat()
    stamp = f"{facts.st_mtime_ns} {facts.st_size}"
    if head.data.get(_STAMP) == stamp and len(head.data.polygons):
        return
    points, triangles = proxy_of(avatar, _above_neck(body_of(head).data, avatar.surface.rows))
    write_proxy(head.data, points, triangles)
    head.data[_STAMP] = stamp


def _above_neck(mesh: Any, rows: np.ndarray) -> np.ndarray | None:
    """(n,) bool of the surface's rows: those of the head without the neck's lower end."""
    blend, held = mesh.attributes.get(BLEND_ATTRIBUTE), mesh.attributes.get(ROW_ATTRIBUTE)
    if blend is None or held is None:
        return None
    amount, row = np.empty(len(mesh.vertices), np.float32), np.empty(len(mesh.vertices), np.int32)
    blend.data.foreach_get("value", amount)
    held.data.foreach_get("value", row)
    of_row = np.zeros(int(max(row.max(), rows.max())) + 1, np.float32)
    of_row[row] = amount
    kept = of_row[rows] >= _SKIN
    return kept if kept.any() else None
