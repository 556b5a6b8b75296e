# SPDX-License-Identifier: GPL-3.0-or-later
"""Which face a double shows: what was asked for, or the nearest to it that there is, as numbers on nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy

from ...core.avatar import Avatar
from .double import Double
from .face_flaws import flaws_of, has_flaws
from .face_pictures import file_of, find_again, is_lost
from .face_track_image import follow_frames
from .hair_brows import show_brows
from .materials import Look
from .materials.assign import slot_material
from .materials.face import PICTURES, WIRES, connect, find_face_group, picture_node, set_value
from .materials.paint import paint
from .materials.pigment import Colour, tone
from .materials.skin import body_colour

BORDER = "likeness_border"
"""On the face's group: mean colour of the still where it ends, linear RGB."""
_ON_ROOT = "likeness_face_"
"""Begins what is noted on the root: what of `materials.look.FACES` is `wanted` and `shown`, a `note` why
these differ, what the double `can` show, the `numbers` of the look, its `brows`, and the `body` tint.
"""
_LACKS = {
    "STILL": "There is no texture of the face: import a movie or photos, which are tracked.",
    "TRACK": "This performance has no face track: take the textures from its footage.",
    "PREDICTED": "There is no predicted texture: it is learnt from the face track of a movie.",
    "LOST": "Pictures of the face are missing: {names}. Put them back, or open the avatar again.",
}
_INSTEAD = {
    "TRACK": ("TRACK", "PREDICTED", "STILL", "NONE"),
    "PREDICTED": ("PREDICTED", "STILL", "NONE"),
    "STILL": ("STILL", "NONE"),
    "NONE": ("NONE",),
}
_PLAIN: Colour = (1.0, 1.0, 1.0)


def wear_face(double: Double, avatar: Avatar, look: Look) -> str:
    """Show the face as a look asks for it, or the nearest to it that there is; what is shown now.

    Sets numbers on nodes that are there; materials are plugged together where they are not.
    """
    tree = find_face_group(double.id)
    if tree is not None:
        for slot in WIRES:
            material = slot_material(double.body.data, slot)
            if material is not None:
                connect(material, tree)
    numbers = [look.face_strength, look.face_scalp, look.face_relief, look.face_eyes]
    _write(double.root, "wanted", look.face)
    _write(double.root, "numbers", numbers)
    _write(double.root, "brows", look.brow_hairs)
    _write(double.root, "body", list(_body_tint(tree, avatar, look)))
    skin = slot_material(double.body.data, "Skin")
    if skin is not None:
        paint(skin, {"Face Tint": _ratio(tone(look.melanin), tone(Look.of(avatar).melanin))})
    return choose_again(double)


def choose_again(double: Double) -> str:
    """Show what was asked for last, as far as it is there now that performance or files changed."""
    root, tree = double.root, find_face_group(double.id)
    wanted, can = str(_read(root, "wanted", "NONE")), faces_of(root)
    shown = next(face for face in _INSTEAD[wanted] if face in can)
    note = "" if shown == wanted else _reason(root, wanted)
    lost = lost_pictures(tree) if tree is not None else []
    if lost and wanted != "NONE":
        note = _LACKS["LOST"].format(names=", ".join(lost))
        shown = next(face for face in _INSTEAD[shown] if _is_there(tree, face))
    _write(root, "shown", shown)
    _write(root, "note", note)
    if tree is not None:
        _set_values(tree, shown, list(_read(root, "numbers", (1.0,) * 4)))
    skin = slot_material(double.body.data, "Skin")
    if skin is not None:
        body = list(_read(root, "body", _PLAIN)) if shown != "NONE" else _PLAIN
        paint(skin, {"Body Tint": body})
    show_brows(double, bool(_read(root, "brows", True)) or shown == "NONE")
    return shown


def _reason(root: bpy.types.Object, wanted: str) -> str:
    return flaws_of(root) if has_flaws(root, "STILL", wanted) else _LACKS[wanted]


def check_pictures(double: Double, folder: Path) -> None:
    """After a file was opened: pictures that have moved with the avatar's texture `folder` are found again; a
    face whose pictures are gone would be purple, and gives way to what there is.
    """
    tree = find_face_group(double.id)
    if tree is None or f"{_ON_ROOT}wanted" not in double.root:
        return
    for name in PICTURES:
        node = picture_node(tree, name)
        if node is not None and is_lost(node.image):
            find_again(node.image, folder)
    choose_again(double)


def _set_values(tree: Any, shown: str, numbers: Sequence[float]) -> None:
    strength, scalp, relief, eyes = numbers
    moving = shown in ("TRACK", "PREDICTED")
    values = {
        "Strength": strength if shown != "NONE" else 0.0,
        "Track Share": float(shown == "TRACK"),
        "Predicted Share": float(shown == "PREDICTED"),
        "Scalp Share": scalp if moving and has_picture(tree, "Scalp") else 0.0,
        "Relief Share": relief if shown != "NONE" and has_picture(tree, "Relief") else 0.0,
        "Eyes Share": eyes,
    }
    for name, value in values.items():
        set_value(tree, name, value)
    follow_frames(tree, shown == "TRACK")


def _is_there(tree: Any, face: str) -> bool:
    needed = {"NONE": (), "TRACK": ("Still", "Track")}.get(face, ("Still",))
    return all(has_picture(tree, name) for name in needed)


def has_picture(tree: Any, name: str) -> bool:
    """Whether a picture of the group is there, and its file too."""
    node = picture_node(tree, name)
    return node is not None and node.image is not None and not is_lost(node.image)


def lost_pictures(tree: Any) -> list[str]:
    """File names of the pictures of a group whose files are gone."""
    nodes = [picture_node(tree, name) for name in PICTURES]
    return [file_of(node.image).name for node in nodes if node is not None and is_lost(node.image)]


def _body_tint(tree: Any, avatar: Avatar, look: Look) -> Colour:
    """What brings the painted skin to the colour in which the texture ends on the neck."""
    border = list(tree.get(BORDER, ())) if tree is not None else []
    target = border or look.skin_colour
    return _ratio(target, body_colour(replace(look, melanin=Look.of(avatar).melanin))) if target else _PLAIN


def _ratio(target: Sequence[float], base: Sequence[float]) -> Colour:
    red, green, blue = (min(max(t / max(b, 1e-4), 0.2), 5.0) for t, b in zip(target, base, strict=True))
    return (red, green, blue)


def note_faces(root: bpy.types.Object, faces: Iterable[str]) -> None:
    """Note what of `materials.look.FACES` a double can show."""
    _write(root, "can", " ".join(faces))


def faces_of(root: bpy.types.Object) -> tuple[str, ...]:
    """What of `materials.look.FACES` a double can show now. Cheap."""
    return tuple(str(_read(root, "can", "NONE")).split())


def face_of(root: bpy.types.Object) -> tuple[str, str]:
    """What is shown, and why it is not what was asked for, a sentence or nothing. Cheap."""
    return str(_read(root, "shown", "NONE")), str(_read(root, "note", ""))


def coverage_of(root: bpy.types.Object) -> float | None:
    """Share of the head's skin that the footage showed, None without a texture. Cheap."""
    seen = _read(root, "seen", -1.0)
    return float(seen) if seen >= 0.0 and faces_of(root) != ("NONE",) else None


def note_coverage(root: bpy.types.Object, seen: float) -> None:
    """Note that share."""
    _write(root, "seen", seen)


def shows_invented(root: bpy.types.Object) -> bool:
    """Whether skin that was never seen is painted in blue. Cheap."""
    return bool(_read(root, "invented", False))


def show_invented(root: bpy.types.Object, show: bool) -> None:
    """Paint skin that was never seen in blue, or stop that."""
    tree = find_face_group(str(root.get("likeness_id", "")))
    show = show and tree is not None and has_picture(tree, "Coverage")
    if tree is not None:
        set_value(tree, "Invented", float(show))
    _write(root, "invented", show)


def lack_of(face: str) -> str:
    """Why a double may not show one of `materials.look.FACES`, a sentence."""
    return _LACKS.get(face, "")


def _read(root: Any, what: str, default: Any) -> Any:
    return root.get(_ON_ROOT + what, default)


def _write(root: Any, what: str, value: Any) -> None:
    root[_ON_ROOT + what] = value
