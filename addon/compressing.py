# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressed meshes as operators and panels see them: which one is meant, made, brought up to date."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bpy

from ..core.errors import ModelError, SettingsError
from ..core.skin.compressed import CompressedSkin
from . import roots
from .kinds import Context
from .scene.compressed import BakeReport, CompressOptions, bake, build_compressed
from .scene.compressed_check import require_even
from .scene.compressed_companions import left_to_compress, release_companions
from .scene.compressed_state import (
    action_of,
    armature_modifier,
    bones_of,
    compressed_objects,
    is_compressed,
    rig_of,
    source_of,
)
from .scene.corrective_fit import add_correctives
from .scene.double import role_of
from .scene.error_view import error_scale, show_error, shows_error
from .scene.shape_source import ShapeSource, read_shapes

__all__ = [
    "all_or_nothing",
    "build",
    "compressed_of",
    "error_scale",
    "find_by_session",
    "has_shapes",
    "keep_sentence",
    "require_compressed",
    "require_target",
    "sentence_of",
    "show_error",
    "shows_error",
    "target_of",
    "update",
]

_SENTENCE = "likeness_skin_sentence"


def has_shapes(obj: Any) -> bool:
    """Whether an object is a mesh with shape keys beside its Basis. Cheap."""
    if obj is None or obj.type != "MESH" or obj.data.shape_keys is None:
        return False
    return len(obj.data.shape_keys.key_blocks) > 1


def target_of(context: Context) -> Any:
    """The mesh that would be compressed: the active one if it has shape keys, the original of a compressed
    one, else the body of the chosen double, None when there is neither. Cheap.
    """
    made = _active_compressed(context)
    if made is not None:
        return source_of(made)
    active = _active(context)
    if has_shapes(active):
        return active
    root = roots.active_root(context)
    if root is None:
        return None
    held = (obj for group in root.users_collection for obj in group.objects if role_of(obj) == "body")
    mine = (obj for obj in held if obj.get("likeness_id") == root.get("likeness_id"))
    return next((body for body in mine if has_shapes(body)), None)


def compressed_of(context: Context) -> Any:
    """The compressed mesh that is meant: the active one or the active armature's, else the last one made of
    the target, None when there is none. Cheap.
    """
    made, target = _active_compressed(context), target_of(context)
    if made is not None or target is None:
        return made
    return next(
        (obj for obj in reversed(compressed_objects(context.scene)) if source_of(obj) == target), None
    )


def _active(context: Context) -> Any:
    return context.view_layer.objects.active if context.view_layer is not None else None


def _active_compressed(context: Context) -> Any:
    active = _active(context)
    if is_compressed(active):
        return active
    if active is None or active.type != "ARMATURE":
        return None
    bound = ((obj, armature_modifier(obj)) for obj in compressed_objects(context.scene))
    return next((obj for obj, modifier in bound if modifier is not None and modifier.object == active), None)


def require_target(context: Context) -> Any:
    """The same as `target_of`, or a SettingsError."""
    target = target_of(context)
    if target is None:
        raise SettingsError(
            "There is no mesh with shape keys to compress.", "Select one, or import a capture first."
        )
    if target.library is not None:
        raise SettingsError(
            f"{target.name} is linked from another file.", "Make it local or override it, then compress it."
        )
    context.view_layer.update()
    require_even(target)
    return target


def require_compressed(context: Context) -> Any:
    """The same as `compressed_of`, or a SettingsError."""
    made = compressed_of(context)
    if made is None:
        raise SettingsError("There is no compressed mesh.", "Compress a mesh to bones first.")
    return made


def find_by_session(uid: int) -> Any:
    """The object that had this `session_uid`, whatever it is called by now; None when it is gone."""
    return next((obj for obj in bpy.data.objects if obj.session_uid == uid), None)


def build(context: Context, target: Any, shapes: ShapeSource, skin: CompressedSkin, options: Any) -> str:
    """Build a compressed copy of a mesh whose shapes were these when the fit began, and bake it.

    `options` are `CompressOptions` of the properties. Raises LikenessError, and leaves nothing then.
    """
    now = read_shapes(target)
    if now.names != shapes.names or now.rest.shape != shapes.rest.shape:
        raise ModelError(f"{target.name} was changed while it was compressed.", "Compress it again.")
    earlier = [obj for obj in compressed_objects(context.scene) if source_of(obj) == target]
    with all_or_nothing():
        made = build_compressed(context, target, skin, CompressOptions(two_bone=options.two_bones))
        report = bake(context, made)
        said = _said(report)
        if options.correctives:
            count = len(add_correctives(context, made, options.correctives))
            before, report = said, bake(context, made)
            said = f"{_said(report)}. Without {count} corrective shapes: {before}"
    if options.replace and earlier:
        _take_place(made, earlier)
    return keep_sentence(made, report, said)


def update(context: Context, made: Any) -> str:
    """Bake anew what the original plays now."""
    return keep_sentence(made, bake(context, made))


def _said(report: BakeReport) -> str:
    return "" if report.error is None else report.error.sentence


def keep_sentence(made: Any, report: BakeReport, said: str = "") -> str:
    """What came out, in a sentence that the file remembers."""
    said = said or _said(report)
    kinds = ("pair of face bones", "pairs of face bones") if bones_of(made).two_bone else ("face bone", "")
    text = f"{_counted(report.bones, *kinds)}, {_counted(len(report.frames), 'frame')}"
    made[_SENTENCE] = f"{text}. {said}" if said else text
    return f"{made.name}: {sentence_of(made)}"


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def sentence_of(made: Any) -> str:
    """The sentence of the last compression or update, without the name, and what is left to compress."""
    kept, left = str(made.get(_SENTENCE, "")), left_to_compress(made)
    if not kept or not left:
        return kept
    if len(left) == 1:
        return f"{kept}. {left[0]} has shape keys of its own: compress it too"
    return f"{kept}. {', '.join(left[:-1])} and {left[-1]} have shape keys of their own: compress them too"


def _take_place(made: Any, earlier: list[Any]) -> None:
    """Stand where an earlier one of the same original stands, under its name, and remove that."""
    last, name = earlier[-1], earlier[-1].name
    for new, old in ((rig_of(made), armature_modifier(last)), (made, None)):
        place = last if old is None else old.object
        new.delta_location = place.delta_location
    for old in earlier:
        _remove(old)
    made.name = name


def _remove(made: Any) -> None:
    """Remove a compressed mesh with its armature and action, unless others use them."""
    bound, action, mesh = armature_modifier(made), action_of(made), made.data
    rig = bound.object if bound is not None else None
    bpy.data.objects.remove(made)
    if mesh.users == 0:
        bpy.data.meshes.remove(mesh)
    if rig is not None:
        release_companions(rig)
        _remove_rig(rig)
    if action is not None and action.users == 0:
        bpy.data.actions.remove(action)


def _remove_rig(rig: Any) -> None:
    """Remove an armature that nothing hangs on."""
    bound = (m.object for obj in bpy.data.objects for m in obj.modifiers if m.type == "ARMATURE")
    if rig.children or rig in bound:
        return
    armature = rig.data
    bpy.data.objects.remove(rig)
    if armature.users == 0:
        bpy.data.armatures.remove(armature)


_KINDS = ("objects", "meshes", "armatures", "hair_curves", "actions")


@contextmanager
def all_or_nothing() -> Iterator[None]:
    """Remove what was added to the file when an error ends the block."""
    before = {kind: {item.session_uid for item in getattr(bpy.data, kind)} for kind in _KINDS}
    try:
        yield
    except BaseException:
        new = [i for kind in _KINDS for i in getattr(bpy.data, kind) if i.session_uid not in before[kind]]
        bpy.data.batch_remove(new)
        raise
