# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what Avatar SDK Leap made of a capture: an animated model and the movie of its head's texture.

An avatar's folder has `data/textures.mp4`, `export/avatar/model.glb` with `scalp.png` beside it where there
is one, `cloud_export/model.glb` when the person was dressed in MetaPerson Creator, and `source/` with the
capture. The same files in one folder, or any of these folders, will do. (Layout: the open code of
avatarsdk/leap-unity-hdrp-sample.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import CaptureError
from .container import is_zip, list_members
from .glb import ModelFacts, read_model
from .member import Member, reason
from .naming import capture_name
from .sniff import MOVIES, kind_of_bytes

HEAD = "AvatarHead"
"""Name of the head's material, and of the object that carries it: the movie belongs there."""
EYES = ("Eyeball", "Cornea", "EyeLeft", "EyeRight", "LeftEye", "RightEye")
"""What the name of an eye's own material has in it; without any, the eyes are painted into the head."""
_CLOUD = "cloud_export"
_PARTS_OF_AVATAR = ("export", "data", "source", _CLOUD)
_MOVIE_SUFFIXES = (".mp4", ".mov", ".m4v", ".avi", ".mkv")
_MOST_LOOKS = 200
"""Files of a kind that are looked into; a result has one or two."""
_NEEDS = "A Leap result is an avatar's folder with model.glb and textures.mp4 in it."


@dataclass(frozen=True)
class Results:
    """A finished Leap avatar on disk, by reference. Nothing is read but what says what it is."""

    path: Path
    """The avatar's folder."""
    name: str
    model: Member
    """The GLB to import."""
    facts: ModelFacts
    clip_model: Member | None = None
    """The GLB whose clip to play, where the one to import has none."""
    textures: Member | None = None
    """Movie of the head's texture; its first picture belongs to time zero of the clip."""
    scalp: Member | None = None
    """Picture that stays on top of the movie where it is opaque."""
    footage: Member | None = None
    """The recording, with its sound."""
    customised: bool = False
    """Whether the model is the one that was dressed in MetaPerson Creator."""
    has_customised: bool = False
    has_original: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def has_eyes(self) -> bool:
        """Whether the eyes are meshes of their own; otherwise they are painted into the head's texture."""
        return any(has_eye_name(name) for name in self.facts.materials)


def has_eye_name(name: str) -> bool:
    """Whether a material of this name is that of an eye."""
    return any(word.lower() in name.lower() for word in EYES)


def open_results(path: Path | str, customised: bool | None = None) -> Results:
    """The Leap result that a folder holds, or that a file in it belongs to.

    `customised`: the model that was dressed in MetaPerson Creator, or the one made on the computer; None
    takes the latter where it is there. CaptureError for what is no Leap result, or a damaged one.
    """
    found = find_results(path, customised)
    if found is None:
        raise CaptureError(f"{Path(path).name} holds no Leap result: there is no model.glb.", _NEEDS)
    return found


def find_results(path: Path | str, customised: bool | None = None) -> Results | None:
    """The same, but None where there is no model at all."""
    path = Path(path).expanduser()
    try:
        path = path.resolve()
        if not path.exists():
            raise CaptureError(f"{path.name or path} does not exist.", "Check the path.")
        if path.is_file() and (path.suffix.lower() == ".zip" or not path.stat().st_size or is_zip(path)):
            return None
        folder = avatar_folder(path)
    except (OSError, ValueError, RuntimeError) as problem:
        raise CaptureError(f"The path cannot be used: {reason(problem)}.", "Check the path.") from problem
    found = _found(folder, path)
    return None if found is None else found.choose(path, customised)


def holds_results(members: list[Member] | tuple[Member, ...]) -> bool:
    """Whether these are the files of a Leap result, by their names alone: for readers of other things."""
    names = {member.basename.lower() for member in members}
    return "model.glb" in names and ("textures.mp4" in names or "scalp.png" in names)


def avatar_folder(path: Path) -> Path:
    """The avatar's folder when `path` is a part of one that is laid out as Leap does, else the folder
    itself.
    """
    folder = path if path.is_dir() else path.parent
    inside = folder
    if folder.name.lower() == "avatar" and folder.parent.name.lower() == "export":
        inside = folder.parent
    if inside.name.lower() not in _PARTS_OF_AVATAR:
        return folder
    beside = {item.name.lower() for item in inside.parent.iterdir() if item.is_dir()}
    # One folder of such a name says nothing: many things lie in a folder "data".
    return inside.parent if len(beside & set(_PARTS_OF_AVATAR)) > 1 else folder


@dataclass(frozen=True)
class _Found:
    """The members of an avatar's folder by their roles."""

    folder: Path
    original: Member | None
    cloud: Member | None
    textures: Member | None
    scalps: tuple[Member, ...]
    footage: Member | None
    warnings: tuple[str, ...]

    def choose(self, path: Path, customised: bool | None) -> Results:
        """The result with the model that is wanted; a chosen model file is what is wanted."""
        if customised is None and self.cloud is not None and path == self.cloud.file:
            customised = True
        model = self.cloud if customised else self.original or self.cloud
        if model is None or (customised is False and self.original is None):
            which = f"{_CLOUD}/model.glb" if customised else "export/avatar/model.glb"
            raise CaptureError(f"{self.folder.name} has no {which}.", "Choose the other model.")
        facts = read_model(model)
        if HEAD not in (*facts.materials, *facts.objects):
            raise CaptureError(f"{model.name} is a model without a part named {HEAD}.", _NEEDS)
        return self._results(model, facts)

    def _results(self, model: Member, facts: ModelFacts) -> Results:
        results = Results(
            path=self.folder,
            name=_name_of(self.folder),
            model=model,
            facts=facts,
            textures=self.textures,
            scalp=_beside(self.scalps, model),
            footage=self.footage,
            customised=model == self.cloud,
            has_customised=self.cloud is not None,
            has_original=self.original is not None,
            warnings=self.warnings,
        )
        other = self.original if model == self.cloud else self.cloud
        if not facts.clips and other is not None:
            try:
                donor = read_model(other)
            except CaptureError as problem:
                return replace(results, warnings=(*self.warnings, str(problem)))
            if donor.clips:
                return replace(results, clip_model=other)
        return results


def _found(folder: Path, path: Path) -> _Found | None:
    """Sort the members; None when there is no model among them."""
    members, warnings = list_members(folder)
    models = list(_of_kind(members, (".glb",), {"model"}))
    models = [m for m in models if m.stem.lower() == "model" or m.file == path]
    if not models:
        return None
    models.sort(key=lambda m: m.file != path)
    clouds = [m for m in models if m.file.parent.name.lower() == _CLOUD]
    movies = list(_of_kind(members, _MOVIE_SUFFIXES, MOVIES))
    return _Found(
        folder=folder,
        original=next((m for m in models if m not in clouds), None),
        cloud=clouds[0] if clouds else None,
        textures=next((m for m in movies if m.stem.lower() == "textures"), None),
        scalps=tuple(m for m in _of_kind(members, (".png",), {"png"}) if m.stem.lower() == "scalp"),
        footage=next((m for m in movies if m.stem.lower() == "arvideo"), None),
        warnings=tuple(warnings),
    )


def _of_kind(
    members: list[Member], suffixes: tuple[str, ...], kinds: set[str] | frozenset[str]
) -> Iterator[Member]:
    """Members with one of these extensions that keep what it promises, the outer ones first."""
    likely = [m for m in members if m.suffix in suffixes and m.size]
    likely.sort(key=lambda m: (m.name.count("/"), m.name))
    return (m for m in likely[:_MOST_LOOKS] if kind_of_bytes(m.head(16)) in kinds)


def _beside(scalps: tuple[Member, ...], model: Member) -> Member | None:
    """The scalp in the model's own folder before any other."""
    return min(scalps, key=lambda m: (m.file.parent != model.file.parent, m.name), default=None)


_GUID = re.compile(r"\{?([0-9a-fA-F]{8})-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?")


def _name_of(folder: Path) -> str:
    """The folder's name; of the long numbers that Leap gives its avatars only the beginning."""
    name = capture_name(folder)
    guid = _GUID.fullmatch(name)
    return guid[1].lower() if guid else name
