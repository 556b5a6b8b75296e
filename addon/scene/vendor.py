# SPDX-License-Identifier: GPL-3.0-or-later
"""`import_results`: a finished Leap avatar in the scene, its clip playing, its texture movie on the head."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ...core.capture.results import Results
from ...core.errors import LikenessError
from . import (
    lights,
    sound,
    timing,
    vendor_clip,
    vendor_eyes,
    vendor_footage,
    vendor_gltf,
    vendor_movie,
    vendor_parts,
    vendor_stage,
)
from .double import ID_KEY, VENDOR_ROOT, Double, role_of, tag, tagged
from .settings import BuildSettings
from .vendor_movie import Film
from .vendor_parts import Parts
from .workspace import preserved, scene_and_layer

_KEPT = (VENDOR_ROOT, "collection", "focus", "camera")
"""What stays when the same result is imported again, as the user may have moved them."""


@dataclass(frozen=True)
class Imported:
    """A person who came finished."""

    double: Double
    notes: tuple[str, ...]
    """What to say of it, one sentence each."""


def import_results(
    context: bpy.types.Context, results: Results, settings: BuildSettings, name: str
) -> Imported:
    """Put a Leap result into the scene, or in place of what the same folder brought before.

    LikenessError when a part cannot be used, and then the file is as it was.
    """
    vendor_gltf.require_importer()
    scene, layer = scene_and_layer(context)
    before, kept = vendor_gltf.datablocks(), (scene.render.fps, scene.render.fps_base)
    with preserved(context):
        try:
            person = _person(scene, results, settings, name)
            film = vendor_movie.open_film(results.textures) if results.textures is not None else None
            timing.set_rate(scene, _rate(scene, results, film, settings))
            parts = _parts(scene, results, film, person, settings.first_frame)
        except LikenessError:
            vendor_gltf.discard(vendor_gltf.new_since(before))
            scene.render.fps, scene.render.fps_base = kept
            raise
        new = vendor_gltf.new_since(before)
        _remove_earlier(person, before)
        _mark(new, person)
        vendor_parts.adopt(parts, person.collection, person.root, person.id, person.title)
        double = _stage(scene, layer, parts, person, settings, new=person.root not in before)
        notes = [*_notes(parts, results), *_attach_footage(scene, results, double, settings)]
        timing.fit_span(scene, person.root, 0.0, _seconds(scene, parts, film, settings), settings.first_frame)
    return Imported(double, tuple(notes))


@dataclass(frozen=True)
class _Person:
    """Whom the parts are for."""

    id: str
    name: str
    title: str
    collection: bpy.types.Collection
    root: Any


def result_id(results: Results) -> str:
    """The same for the same folder: importing it again updates what is there."""
    return "leap-" + hashlib.sha256(str(results.path).encode()).hexdigest()[:16]


def _rate(scene: bpy.types.Scene, results: Results, film: Film | None, settings: BuildSettings) -> float:
    """Frames per second of the scene from now on: those of movie or clip, unless others play already."""
    if settings.fps is not None:
        return settings.fps
    playing = any("likeness_range" in o for o in scene.objects if o.get(ID_KEY) != result_id(results))
    clip = next((clip.rate for clip in results.facts.clips if clip.rate), 0.0)
    rate = (film.rate if film is not None else 0.0) or clip
    return timing.rate_of(scene) if playing or not 1.0 <= rate <= 240.0 else rate


def _person(scene: bpy.types.Scene, results: Results, settings: BuildSettings, name: str) -> _Person:
    id, title = result_id(results), f"Leap {name}"
    collection = tagged(scene.collection.children_recursive, id, "collection")
    if collection is None:
        collection = tag(bpy.data.collections.new(f"LeapSequence_{name}"), id, "collection")
        scene.collection.children.link(collection)
    root = vendor_stage.root_for(scene, collection, id, title, settings)
    return _Person(id, name, title, collection, root)


def _parts(
    scene: bpy.types.Scene, results: Results, film: Film | None, person: _Person, first_frame: int
) -> Parts:
    """Model, movie and clip, together; LikenessError when one of them cannot be used."""
    rate = timing.rate_of(scene)
    parts = vendor_parts.sort_parts(vendor_gltf.load_model(scene, results.model.file, rate))
    if film is not None:
        scalp = results.scalp.file if results.scalp is not None else None
        vendor_movie.play_on_head(
            scene, parts.head, film, scalp, id=person.id, title=person.title, first_frame=first_frame
        )
    clips = sorted(results.facts.clips, key=lambda clip: (clip.shapes, clip.bones, clip.seconds))
    vendor_clip.play_clip(parts, clips[-1].name if clips else None, person.id, person.title)
    if results.clip_model is not None:
        _borrow_clip(scene, results.clip_model.file, parts, person)
    vendor_clip.shift(parts, first_frame)
    return parts


def _borrow_clip(scene: bpy.types.Scene, path: Path, parts: Parts, person: _Person) -> None:
    """Let the model play the clip of another one, of which nothing else stays."""
    created = vendor_gltf.load_model(scene, path, timing.rate_of(scene))
    donor = vendor_parts.sort_parts(created)
    vendor_clip.play_clip(donor, None, person.id, person.title)
    vendor_clip.lend_clip(donor, parts)
    vendor_gltf.discard(block for block in created if not isinstance(block, bpy.types.Action))
    vendor_gltf.discard(block for block in created if isinstance(block, bpy.types.Action) and not block.users)


def _remove_earlier(person: _Person, before: set[Any]) -> None:
    """Take out what an earlier import of the same result brought, but for what the user may have placed."""
    vendor_gltf.discard(b for b in before if b.get(ID_KEY) == person.id and role_of(b) not in _KEPT)


def _mark(new: list[Any], person: _Person) -> None:
    """Tag what came with the model, so that it can be taken out again, and free names of their numbers."""
    for block in new:
        if role_of(block) in _KEPT:
            continue
        if ID_KEY not in block and not isinstance(block, bpy.types.Key):  # which go with their meshes
            tag(block, person.id, vendor_parts.PART)
        block.name = vendor_parts.plain(block.name)


def _stage(
    scene: bpy.types.Scene,
    layer: bpy.types.ViewLayer,
    parts: Parts,
    person: _Person,
    settings: BuildSettings,
    new: bool,
) -> Double:
    """Stand the person up before camera and lights."""
    vendor_eyes.glaze_corneas(parts)
    vendor_stage.stand_on_floor(parts)
    if settings.relaxed:
        vendor_stage.lower_arms(parts, vendor_clip.keyed_bones(parts.armature))
    focus = vendor_stage.focus_for(parts, person.collection, person.id, person.title)
    shot = tagged(person.collection.all_objects, person.id, "camera")
    if settings.camera or shot is not None:
        shot = vendor_stage.camera_for(
            scene, parts, person.root, focus, person.collection, person.id, person.title
        )
    layer.update()  # lights are put where the eyes are
    if new and settings.lights is not None and not lights.has_lights(scene):
        lights.apply_lights(scene, settings.lights, focus)
    return Double(
        person.id, person.title, person.collection, person.root, parts.armature, parts.head, focus, shot
    )


def _attach_footage(
    scene: bpy.types.Scene, results: Results, double: Double, settings: BuildSettings
) -> list[str]:
    """The recording's sound in the sequencer and its picture in a corner of the camera's view."""
    movie = results.footage
    if settings.sound:
        sound.update_sound(scene, double, movie.file if movie is not None else None, settings.first_frame)
    if movie is None or not settings.reference or double.camera is None:
        return []
    try:
        vendor_footage.show_in_corner(scene, double, vendor_movie.open_film(movie), settings.first_frame)
    except LikenessError as problem:
        return [str(problem)]
    return []


def _seconds(scene: bpy.types.Scene, parts: Parts, film: Film | None, settings: BuildSettings) -> float:
    """Until clip and movie have ended."""
    last = vendor_clip.last_frame(parts)
    clip = (last - settings.first_frame) / timing.rate_of(scene) if last is not None else 0.0
    return max(0.0, clip, float(film.begins[-1]) if film is not None else 0.0)


def _notes(parts: Parts, results: Results) -> list[str]:
    """What the user should know."""
    lost = vendor_eyes.hold_eyes(parts)
    if parts.eyes:
        notes = ["The eyes are meshes and follow their bones."]
    else:
        notes = ["The eyes are painted: they move in the texture movie."]
    notes += [f"{name} has no bone to follow." for name in lost]
    if results.textures is None:
        notes.append("There is no textures.mp4, so the head keeps its still texture.")
    if vendor_clip.last_frame(parts) is None:
        notes.append("The model has no clip, so the person does not move.")
    return [*notes, *results.warnings]
