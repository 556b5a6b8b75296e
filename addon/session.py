# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators, sliders and the command line do to doubles, in one place.

Sliders call `request`: a moment after the last change the shape follows, and when it has been still for longer the rest
(keys, hair, clothes). Without a window there are no timers and everything happens at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy

from ..core.arkit import ARKIT_NAMES
from ..core.avatar import Avatar
from ..core.errors import AvatarError, LikenessError, SettingsError
from ..core.performance import Performance
from . import preferences
from .looks import change_look, note_look
from .person import (
    LOOK_FIELDS,
    PHENOTYPES,
    fill_identity,
    fill_look,
    filters_from,
    identity_from,
    load_avatar,
    look_from,
    model_of,
    personified,
    token,
)
from .runtime import SESSION
from .scene import action, lights, sound
from .scene.build import apply_performance, build
from .scene.double import Double, find_double, find_doubles, role_of
from .scene.light_sets import items as light_items
from .scene.looks import material_mode, set_material_mode
from .scene.mesh import update_body
from .scene.person import rest_of
from .scene.settings import BuildSettings
from .scene.timing import rate_of

QUICK, SETTLED = 0.12, 0.7
"""Seconds after the last change of a slider until the shape, and until everything follows."""


@dataclass(frozen=True)
class BuildChoice:
    """What an import may leave out."""

    sound: bool = True
    camera: bool = True
    lights: bool = True
    keep_rate: bool = False


# --- finding ---------------------------------------------------------------------------------------------------------


def is_root(candidate: bpy.types.Object) -> bool:
    """Whether this object is the root of a double."""
    return role_of(candidate) == "root"


def roots() -> list[bpy.types.Object]:
    """The roots of all doubles of all scenes."""
    return [obj for obj in bpy.data.objects if is_root(obj)]


def active_root(context: bpy.types.Context) -> bpy.types.Object | None:
    """The root of the chosen double, None when there is none. Cheap enough for `poll` and `draw`."""
    scene = context.scene
    chosen = scene.likeness.active if scene is not None else None
    if chosen is None or not is_root(chosen) or scene.objects.get(chosen.name) is not chosen:
        return None
    return chosen


def require_root(context: bpy.types.Context) -> bpy.types.Object:
    """The same, or a SettingsError."""
    root = active_root(context)
    if root is None:
        raise SettingsError("There is no double in this scene.", "Import a capture first.")
    return root


def double_of(scene: bpy.types.Scene, root: bpy.types.Object) -> Double:
    """The double of a root; AvatarError when its parts were deleted."""
    double = find_double(scene, str(root.get("likeness_id", "")))
    if double is None:
        raise AvatarError(f"Parts of {root.name} were deleted.", "Rebuild the double.")
    return double


def avatar_of(root: bpy.types.Object) -> Avatar:
    """The avatar of a double as it lies on disk; AvatarError when it is gone."""
    return load_avatar(bpy.path.abspath(root.likeness.folder))


# --- building --------------------------------------------------------------------------------------------------------


def add_double(context: bpy.types.Context, folder: Path, choice: BuildChoice) -> bpy.types.Object:
    """Bring an avatar with its first performance into the scene, or update its double; returns the root."""
    avatar = load_avatar(folder)
    scene = context.scene
    earlier = find_double(scene, avatar.id)
    performance = avatar.load_performance() if avatar.performances else None
    settings = _placed(
        BuildSettings(
            lights="NEUTRAL" if choice.lights else None,
            camera=choice.camera,
            sound=choice.sound,
            fps=rate_of(scene) if choice.keep_rate else None,
            filters=filters_from(earlier.root.likeness.filters) if earlier else BuildSettings().filters,
        )
    )
    double = build(context, avatar, performance, settings)
    with quietly():
        _remember(scene, double, avatar, performance)
    note_look(double, look_from(double.root.likeness.look, avatar))
    scene.likeness.active = double.root
    return double.root


def _placed(settings: BuildSettings) -> BuildSettings:
    chosen = preferences.get()
    return replace(
        settings, location=tuple(chosen.placement_location), rotation=tuple(chosen.placement_rotation)
    )


def _remember(scene: bpy.types.Scene, double: Double, avatar: Avatar, performance: Performance | None) -> None:
    """Write onto the root what panels show and rebuilding needs."""
    note = double.root.likeness
    note.folder = str(avatar.folder)
    capture = avatar.provenance.get("capture", {})
    note.source = str(capture.get("path", "")) if isinstance(capture, dict) else ""
    movie = avatar.media_path("movie")
    note.movie = str(movie) if movie is not None else ""
    note.silent = note.dismissed = ""
    note.warnings.clear()
    for warning in avatar.warnings:
        note.warnings.add().name = warning
    fill_identity(note.identity, model_of(avatar), avatar)
    fill_look(note.look, avatar)
    list_performances(note, avatar, performance)
    note.performance = performance.name if performance is not None else ""
    note.keyed_rate = rate_of(scene) if performance is not None else 0.0
    note.applied = _token_of(double.root)


def list_performances(note: Any, avatar: Avatar, loaded: Performance | None = None) -> None:
    """List the avatar's performances with the facts that panels show. Reads each file that is not at hand."""
    note.performances.clear()
    for name in avatar.performances:
        performance = loaded if loaded is not None and loaded.name == name else avatar.load_performance(name)
        item = note.performances.add()
        item.name, item.frame_count = name, performance.frame_count
        item.duration, item.rate = performance.duration, performance.rate
        item.has_head, item.has_gaze = performance.head_rotation is not None, performance.gaze is not None


def rebuild(context: bpy.types.Context, root: bpy.types.Object, keep_rate: bool = True) -> None:
    """Build a double again from its avatar and its sliders; the user's own changes to materials and lights stay."""
    avatar, scene, note = avatar_of(root), context.scene, root.likeness
    model = model_of(avatar)
    person = personified(model, avatar, identity_from(note.identity))
    performance = avatar.load_performance(note.performance) if note.performance else None
    settings = replace(
        _placed(BuildSettings()),
        lights=None,
        camera=False,
        look=look_from(note.look, person),
        materials=note.look.materials,
        filters=filters_from(note.filters),
        decimate_error=note.filters.decimate_error if note.filters.decimate else None,
        fps=rate_of(scene) if keep_rate else None,
    )
    double = build(context, person, performance, settings, model)
    change_look(double, model, rest_of(model, person), person, look_from(note.look, person))
    action.use_filtered(double, note.filters.enabled)
    note.keyed_rate = rate_of(scene) if performance is not None else 0.0
    note.applied = _token_of(root)


def remove(context: bpy.types.Context, root: bpy.types.Object) -> None:
    """Take a double with all its objects, data and actions out of the file; the avatar on disk stays."""
    id = str(root.get("likeness_id", ""))
    scene = context.scene
    double = find_double(scene, id)
    if double is not None:
        sound.update_sound(scene, double, None, 0)
    forget_requests()
    collections = [c for c in bpy.data.collections if c.get("likeness_id") == id]
    objects = [obj for obj in bpy.data.objects if obj.get("likeness_id") == id]
    data = [obj.data for obj in objects if obj.data is not None]
    actions = [a for a in bpy.data.actions if a.get("likeness_id") == id]
    bpy.data.batch_remove([*objects, *collections, *actions])
    bpy.data.batch_remove([block for block in data if not block.users])
    others = find_doubles(scene)
    scene.likeness.active = others[0].root if others else None


# --- performances ----------------------------------------------------------------------------------------------------


def play(context: bpy.types.Context, root: bpy.types.Object, name: str = "", fps: float | None = None) -> None:
    """Key a performance of the avatar with the double's filters; without a name the one that plays.

    fps: rate of the scene; None takes that of a performance for the scene's only double when it is another one than
    before, and else leaves the scene's.
    """
    avatar, note, scene = avatar_of(root), root.likeness, context.scene
    chosen = name or note.performance
    performance = avatar.load_performance(chosen)
    if fps is None and chosen == note.performance:
        fps = rate_of(scene)
    person = personified(model_of(avatar), avatar, identity_from(note.identity))
    error = note.filters.decimate_error if note.filters.decimate else None
    settings = BuildSettings(fps=fps, filters=filters_from(note.filters), decimate_error=error)
    double = double_of(scene, root)
    apply_performance(scene, double, person, performance, settings)
    action.use_filtered(double, note.filters.enabled)
    note.performance, note.keyed_rate = chosen, rate_of(scene)
    if chosen not in note.performances:
        list_performances(note, avatar, performance)


def add_performance(context: bpy.types.Context, root: bpy.types.Object, performance: Performance) -> None:
    """Put a performance into the avatar on disk and play it."""
    avatar = Avatar.load(bpy.path.abspath(root.likeness.folder))
    avatar.add_performance(performance)
    list_performances(root.likeness, avatar, performance)
    play(context, root, performance.name)


def current(root: bpy.types.Object) -> Performance:
    """The recorded performance that a double plays; SettingsError when it has none."""
    if not root.likeness.performance:
        raise SettingsError(f"{root.name} has no performance.", "Add one from a capture with recorded weights.")
    return avatar_of(root).load_performance(root.likeness.performance)


def add_sound(context: bpy.types.Context, root: bpy.types.Object, path: Path | None = None) -> bool:
    """Put sound into the sequencer, from the capture's movie or another file; False where the file has none."""
    source = path or Path(bpy.path.abspath(root.likeness.movie))
    done = sound.update_sound(context.scene, double_of(context.scene, root), source.resolve(), 0)
    root.likeness.silent = not done and path is None
    return done


def summary(root: bpy.types.Object) -> str:
    """One sentence on what stands in the scene now."""
    note = root.likeness
    if not note.performance:
        return f"{root['likeness_name']} stands in the scene, without a performance"
    fact = note.performances[note.performance]
    return f"{root['likeness_name']} plays {fact.name}: {fact.frame_count} samples, {fact.duration:.2f} s"


# --- sliders ---------------------------------------------------------------------------------------------------------

_quiet = [0]
_requests: dict[tuple[str, str], float] = {}
"""(name of the datablock, what) -> time on the monotonic clock when it is due."""


@contextmanager
def quietly() -> Iterator[None]:
    """Set sliders without anything following."""
    _quiet[0] += 1
    try:
        yield
    finally:
        _quiet[0] -= 1


def request(owner: bpy.types.ID, what: str) -> None:
    """Let the scene follow a changed slider of `owner`, a double's root or a scene."""
    if _quiet[0] or (isinstance(owner, bpy.types.Object) and not owner.likeness.folder):
        return
    if bpy.app.background:
        _follow(bpy.context, owner.name, "settle" if what in {"identity", "look"} else what)
        return
    now = time.monotonic()
    _requests[owner.name, what] = now + QUICK
    if what == "identity":
        _requests[owner.name, "settle"] = now + SETTLED
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=QUICK)


def request_if_stale(root: bpy.types.Object) -> None:
    """After undo: remake the shape and look where the sliders say something else than what was made of them."""
    note = root.likeness
    if note.folder and note.applied and note.applied != _token_of(root):
        request(root, "identity")
        request(root, "look")


def forget_requests() -> None:
    """Drop what is pending, and its timer."""
    _requests.clear()
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)


def flush(context: bpy.types.Context) -> None:
    """Do at once all that is pending."""
    for name, what in list(_requests):
        _requests.pop((name, what), None)
        _follow(context, name, what)


def _tick() -> float | None:
    """The timer: what is due is done, in the first window's context; runs only while something is pending."""
    now = time.monotonic()
    due = [key for key, when in _requests.items() if when <= now]
    window = bpy.context.window_manager.windows[0] if bpy.context.window_manager.windows else None
    for key in due:
        _requests.pop(key, None)
        with bpy.context.temp_override(window=window):
            _follow(bpy.context, *key)
    return max(0.02, min(_requests.values()) - time.monotonic()) if _requests else None


def _follow(context: bpy.types.Context, name: str, what: str) -> None:
    try:
        _FOLLOW[what](context, name)
    except LikenessError as error:
        # There is no operator to report through: the panel shows it.
        SESSION.log[:], SESSION.log_is_error = [str(error)], True


def _shape(context: bpy.types.Context, name: str) -> None:
    """The body only, for a slider that is being dragged: about 0.1 s."""
    root = bpy.data.objects.get(name)
    if root is None or not is_root(root):
        return
    avatar = avatar_of(root)
    model = model_of(avatar)
    person = personified(model, avatar, identity_from(root.likeness.identity))
    update_body(double_of(context.scene, root).body, model, rest_of(model, person))


def _settle(context: bpy.types.Context, name: str) -> None:
    root = bpy.data.objects.get(name)
    if root is not None and is_root(root):
        rebuild(context, root)


def _look(context: bpy.types.Context, name: str) -> None:
    root = bpy.data.objects.get(name)
    if root is None or not is_root(root):
        return
    avatar = avatar_of(root)
    model = model_of(avatar)
    person = personified(model, avatar, identity_from(root.likeness.identity))
    double = double_of(context.scene, root)
    change_look(double, model, rest_of(model, person), person, look_from(root.likeness.look, person))
    root.likeness.applied = _token_of(root)


def _materials(context: bpy.types.Context, name: str) -> None:
    root = bpy.data.objects.get(name)
    if root is not None and is_root(root):
        set_material_mode(double_of(context.scene, root), root.likeness.look.materials)


def _switch(context: bpy.types.Context, name: str) -> None:
    root = bpy.data.objects.get(name)
    if root is not None and is_root(root):
        action.use_filtered(double_of(context.scene, root), root.likeness.filters.enabled)


def _lighting(_context: bpy.types.Context, name: str) -> None:
    scene = bpy.data.scenes.get(name)
    if scene is not None:
        root = scene.likeness.active
        target = double_of(scene, root).focus if root is not None else None
        lights.apply_lights(scene, scene.likeness.lighting, target)


_FOLLOW: dict[str, Callable[[bpy.types.Context, str], None]] = {
    "identity": _shape,
    "settle": _settle,
    "look": _look,
    "materials": _materials,
    "switch": _switch,
    "lighting": _lighting,
}


def _token_of(root: bpy.types.Object) -> str:
    note = root.likeness
    identity = {name: round(getattr(note.identity, name), 5) for name in PHENOTYPES}
    identity |= {change.name: round(change.value, 5) for change in note.identity.changes if change.value}
    look = [round(v, 5) if isinstance(v, float) else v for v in _look_values(note.look)]
    return token(identity, look)


def _look_values(group: Any) -> list[Any]:
    values: list[Any] = []
    for name in LOOK_FIELDS:
        value = getattr(group, name)
        values += [value] if isinstance(value, str | float) else [float(part) for part in value]
    return values


def has_sound(scene: bpy.types.Scene, root: bpy.types.Object) -> bool:
    """Whether the double's sound strip is in the sequencer. Cheap."""
    editor: Any = scene.sequence_editor
    return editor is not None and f"Likeness {root.get('likeness_name', '')} Sound" in editor.strips


def parts_missing(scene: bpy.types.Scene, root: bpy.types.Object) -> bool:
    """Whether the body or the armature of a double was deleted. Looks at the double's own collection only."""
    held = next((c for c in root.users_collection if c.get("likeness_id") == root.get("likeness_id")), None)
    if held is None:
        return True
    roles = {role_of(obj) for obj in held.objects}
    return not {"armature", "body"} <= roles


def set_materials(context: bpy.types.Context, root: bpy.types.Object, mode: str) -> None:
    """Switch the set of materials of a double."""
    with quietly():
        root.likeness.look.materials = mode
    set_material_mode(double_of(context.scene, root), mode)


def note_materials(scene: bpy.types.Scene) -> None:
    """Let the panels say which materials the doubles wear, after a render preset changed them."""
    with quietly():
        for double in find_doubles(scene):
            double.root.likeness.look.materials = material_mode(double)


def set_lighting(context: bpy.types.Context, key: str) -> None:
    """Switch the lighting set of the scene."""
    with quietly():
        context.scene.likeness.lighting = key
    _lighting(context, context.scene.name)


def reset_look(context: bpy.types.Context, root: bpy.types.Object) -> None:
    """Set the look to what suits the person."""
    avatar = avatar_of(root)
    with quietly():
        fill_look(root.likeness.look, personified(model_of(avatar), avatar, identity_from(root.likeness.identity)))
    _look(context, root.name)


def reset_identity(context: bpy.types.Context, root: bpy.types.Object) -> None:
    """Set the shape to that of the avatar on disk."""
    avatar = avatar_of(root)
    with quietly():
        fill_identity(root.likeness.identity, model_of(avatar), avatar)
    rebuild(context, root)


def save_identity(root: bpy.types.Object) -> Avatar:
    """Write the sliders into the avatar on disk."""
    avatar = avatar_of(root)
    changed = personified(model_of(avatar), avatar, identity_from(root.likeness.identity))
    changed.save()
    return changed


SHAPE_ITEMS = tuple((name, name, f"The ARKit shape {name}") for name in ARKIT_NAMES)
"""Enum items of the 52 shapes."""


def lighting_items() -> tuple[tuple[str, str, str], ...]:
    """Enum items of the lighting sets."""
    return light_items()
