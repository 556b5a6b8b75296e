# SPDX-License-Identifier: GPL-3.0-or-later
"""One person on disk: the folder `NAME.avatar/`.

    avatar.json          schema version, head model and its sha256, gender, identity, media, provenance, ...
    head.npz             identity coefficients (K,) and rest vertices (V, 3) in metres, where they are known
    performances/*.npz   `core.performance.Performance`
    tracks/*.npz         `core.track.Track` of each performance that was tracked in footage
    textures/            head-UV pictures, what `textures` and `face_tracks` name
    media/               files taken out of an archive; others are referenced where they lie
    splats.npz           `core.splat.splat_avatar.SplatAvatar`, where Gaussians were trained
    report.json          `core.report.Report`

Every file is written beside its target and renamed, avatar.json last: it is what makes the folder an avatar.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .errors import AvatarError
from .files import read_json, read_npz, write_json, write_npz
from .performance import Performance
from .series import checked

SCHEMA_VERSION = 1
SUFFIX = ".avatar"
GENDERS = ("", "female", "male")
"""What an avatar can say of gender; empty is not specified."""

_JSON, _HEAD, _PERFORMANCES, _MEDIA = "avatar.json", "head.npz", "performances", "media"
_TRACKS, _TEXTURES, _SPLATS = "tracks", "textures", "splats.npz"
TEXTURE_ROLES = ("albedo", "coverage", "normal", "scalp", "predicted")
"""What `Avatar.textures` may name. Pictures are in the head atlas (see `core.head.atlas`).

albedo: sRGB, complete. coverage: 255 measured .. 0 invented. normal: tangent space, OpenGL's +Y. scalp: RGBA,
alpha is how far the still stays on top of the face track. predicted: `core.texture.predicted`, an .npz.
"""
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


class Storable(Protocol):
    """What can be written to a file; a `core.track.Track`, which needs more than this module may know."""

    def save(self, path: Path | str) -> None:
        """Write it."""
        ...


@dataclass
class Avatar:
    """A person: which head model, which identity, which performances and media. Change fields, then
    `save()`.
    """

    folder: Path
    """The folder `NAME.avatar`."""
    name: str
    """Name shown to the user."""
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    """Stays the same for the life of the avatar; scenes refer to it."""
    model: str = "anny"
    """Head model id."""
    model_sha256: str = ""
    """Of the head model's file that `coefficients` and `vertices` belong to; empty where there are none."""
    gender: str = ""
    """One of GENDERS."""
    identity: dict[str, float] = field(default_factory=dict)
    """Named identity parameters of the model that differ from its defaults."""
    appearance: dict[str, float] = field(default_factory=dict)
    """What the footage shows besides shape: "melanin", 0 very light .. 1 very dark skin; "iris_radius" as a
    share of the eyeball's, "pupil" as a share of the iris.
    """
    colours: dict[str, list[float]] = field(default_factory=dict)
    """Measured albedo, linear RGB, by "skin", "lip", "hair", "brow", "iris", "white", as far as they were
    seen.
    """
    coefficients: np.ndarray | None = None
    """(K,) float32 identity coefficients of the model."""
    vertices: np.ndarray | None = None
    """(V, 3) float32 rest vertices, metres, head frame."""
    media: dict[str, str] = field(default_factory=dict)
    """Role ("movie", "photo", "mesh", "weights", "opaque", then "photo_2" ...) to path: absolute, or in the
    folder.
    """
    provenance: dict[str, Any] = field(default_factory=dict)
    """Where each part came from."""
    warnings: list[str] = field(default_factory=list)
    """What the user should know, one sentence each."""
    performance_files: dict[str, str] = field(default_factory=dict)
    """Performance name to file name in performances/."""
    textures: dict[str, str] = field(default_factory=dict)
    """One of `TEXTURE_ROLES` to file name in textures/."""
    face_tracks: dict[str, str] = field(default_factory=dict)
    """Performance name to a movie in textures/: picture n, counted from 0, is the face at its sample n."""

    @staticmethod
    def create(folder: Path | str, name: str = "", **values: Any) -> Avatar:
        """A new avatar in a folder that is absent or empty; AvatarError when there is something. Saved at
        once.
        """
        folder = Path(folder)
        refuse_other_folder(folder)
        if (folder / _JSON).exists():
            raise AvatarError(f"{folder} is an avatar already.", "Choose another name, or open that one.")
        avatar = Avatar(folder, name or folder.name.removesuffix(SUFFIX), **values)
        avatar.save()
        return avatar

    @staticmethod
    def load(folder: Path | str) -> Avatar:
        """Open an avatar folder; AvatarError names what is missing, damaged or from a newer version."""
        folder = Path(folder)
        if not folder.is_dir():
            raise AvatarError(
                f"There is no avatar folder {folder}.", f"Choose a folder that ends in {SUFFIX}."
            )
        avatar = _from_json(folder, read_json(folder / _JSON, AvatarError))
        for performance in avatar.performances:
            file = avatar.performance_path(performance)
            if not file.is_file():
                message = f"The performance {performance!r} of {folder.name} is missing: {file}."
                raise AvatarError(message, "Restore the file, or build the avatar again.")
        return avatar

    @property
    def performances(self) -> tuple[str, ...]:
        """Names of the performances, in the order they were added."""
        return tuple(self.performance_files)

    def save(self) -> None:
        """Write head.npz, then avatar.json. An unwritable place or an unusable value raises AvatarError."""
        arrays = {"coefficients": self.coefficients, "vertices": self.vertices}
        arrays = {name: np.asarray(array, np.float32) for name, array in arrays.items() if array is not None}
        value: dict[str, Any] = {"schema": SCHEMA_VERSION, "head": _HEAD if arrays else None}
        value |= {key: getattr(self, key) for key in _FIELDS}
        try:
            _check_fields(value)
            self.folder.mkdir(parents=True, exist_ok=True)
            if arrays:
                write_npz(self.folder / _HEAD, arrays)
            write_json(self.folder / _JSON, value)
        except OSError as problem:
            reason = problem.strerror or problem
            raise AvatarError(f"The avatar cannot be written to {self.folder}: {reason}.") from problem
        except (ValueError, TypeError) as problem:
            raise AvatarError(f"The avatar {self.name!r} cannot be saved: {problem}.") from problem

    def performance_path(self, name: str) -> Path:
        """The file of a performance; AvatarError for an unknown name."""
        if name not in self.performance_files:
            known = ", ".join(self.performances) or "none"
            raise AvatarError(f"{self.folder.name} has no performance {name!r}.", f"It has: {known}.")
        return self.folder / _PERFORMANCES / self.performance_files[name]

    def load_performance(self, name: str = "") -> Performance:
        """A performance by name, by default the first; AvatarError when it is missing or damaged."""
        if not name and not self.performance_files:
            raise AvatarError(
                f"{self.folder.name} has no performance.", "Import a capture with recorded weights."
            )
        return Performance.load(self.performance_path(name or self.performances[0]))

    def add_performance(self, performance: Performance) -> str:
        """Write a performance and save the avatar; one of the same name is replaced. Returns the name."""
        taken = {file for name, file in self.performance_files.items() if name != performance.name}
        file = self.performance_files.get(performance.name) or _free_file(performance.name, taken)
        folder = self.folder / _PERFORMANCES
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise AvatarError(f"{folder} cannot be made: {problem.strerror or problem}.") from problem
        performance.save(folder / file)
        self.performance_files[performance.name] = file
        self.save()
        return performance.name

    def track_path(self, name: str) -> Path:
        """Where the track that a performance was solved from is kept, whether or not there is one."""
        self.performance_path(name)
        return self.folder / _TRACKS / self.performance_files[name]

    def add_track(self, name: str, track: Storable) -> None:
        """Keep the track of a performance that was added before, so that it can be solved again."""
        path = self.track_path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            track.save(path)
        except OSError as problem:
            raise AvatarError(f"{path} cannot be written: {problem.strerror or problem}.") from problem

    def texture_path(self, role: str) -> Path | None:
        """Where the texture of one of `TEXTURE_ROLES` lies, whether or not it is still there."""
        return self.folder / _TEXTURES / self.textures[role] if role in self.textures else None

    def face_track_path(self, performance: str) -> Path | None:
        """Where the face track of a performance lies, whether or not it is still there."""
        file = self.face_tracks.get(performance)
        return self.folder / _TEXTURES / file if file else None

    @property
    def splats_path(self) -> Path:
        """Where the Gaussians of this person lie, whether or not there are any."""
        return self.folder / _SPLATS

    @property
    def texture_folder(self) -> Path:
        """Where textures and face tracks lie."""
        return self.folder / _TEXTURES

    def media_path(self, role: str) -> Path | None:
        """Where the medium of this role lies, whether or not it is still there; None where the avatar has
        none.
        """
        return self.folder / self.media[role] if role in self.media else None

    def missing_media(self) -> tuple[str, ...]:
        """Roles whose file has been moved or deleted since."""
        return tuple(role for role in self.media if not (self.folder / self.media[role]).is_file())

    def add_media(self, role: str, path: Path) -> str:
        """Note a medium; inside the folder by relative path, else by absolute path. Returns the role,
        numbered if taken.
        """
        numbered, n = role, 1
        while numbered in self.media:
            n += 1
            numbered = f"{role}_{n}"
        path = path.resolve()
        inside = path.is_relative_to(self.folder.resolve())
        self.media[numbered] = path.relative_to(self.folder.resolve()).as_posix() if inside else str(path)
        return numbered


_HEAD_SHAPES: dict[str, tuple[int | None, ...]] = {"coefficients": (None,), "vertices": (None, 3)}
_FIELDS: dict[str, type] = {
    "name": str,
    "id": str,
    "model": str,
    "model_sha256": str,
    "gender": str,
    "identity": dict,
    "appearance": dict,
    "media": dict,
    "provenance": dict,
    "warnings": list,
    "performance_files": dict,
    "colours": dict,
    "textures": dict,
    "face_tracks": dict,
}


def refuse_other_folder(folder: Path) -> None:
    """AvatarError when `folder` is a file or holds things that are not an avatar: it must not be written
    over.
    """
    if folder.is_dir() and ((folder / _JSON).is_file() or not any(folder.iterdir())):
        return
    if folder.exists():
        raise AvatarError(
            f"{folder} exists and is not an avatar.", f"Choose a new name that ends in {SUFFIX}."
        )


def safe_file_name(name: str) -> str:
    """A file name for any text, valid on every system: letters, digits, `-`, `_`, space and dots inside."""
    plain = re.sub(r"[^\w\- .]+", "_", name).strip(" ._")[:80].strip(" ._")
    return f"_{plain}" if not plain or plain.split(".")[0].lower() in _RESERVED else plain


def _free_file(name: str, taken: set[str]) -> str:
    """A file name that no other performance has, also where the file system ignores case."""
    stem, lower = safe_file_name(name), {file.lower() for file in taken}
    n, file = 1, f"{stem}.npz"
    while file.lower() in lower:
        n += 1
        file = f"{stem}_{n}.npz"
    return file


def _from_json(folder: Path, value: Any) -> Avatar:
    if not isinstance(value, dict) or not isinstance(value.get("schema"), int):
        raise AvatarError(f"{folder / _JSON} is not an avatar of Likeness.")
    if value["schema"] > SCHEMA_VERSION:
        message = f"{folder.name} was made by a newer version of Likeness."
        raise AvatarError(message, "Update the extension to open it.")
    before: dict[str, Any] = {"appearance": {}, "colours": {}, "textures": {}, "face_tracks": {}}
    value = {**before, **value}  # avatars made before these existed have none
    try:
        _check_fields(value)
        fields: dict[str, Any] = {key: value[key] for key in _FIELDS} | _read_head(folder, value.get("head"))
    except ValueError as problem:
        message = f"{folder / _JSON} is damaged: {problem}."
        raise AvatarError(message, "Restore it, or build the avatar again.") from problem
    return Avatar(folder, **fields)


def _read_head(folder: Path, file: Any) -> dict[str, np.ndarray]:
    """`coefficients` and `vertices` as far as they are stored."""
    if file is None:
        return {}
    if file != _HEAD:
        raise ValueError(f"its head is {file!r} and not {_HEAD}")
    stored = read_npz(folder / _HEAD, AvatarError)
    shapes = {"coefficients": (None,), "vertices": (None, 3)}
    try:
        return {
            name: checked(name, stored[name], np.float32, shape)
            for name, shape in shapes.items()
            if name in stored
        }
    except ValueError as problem:
        hint = "Restore it, or build the avatar again."
        raise AvatarError(f"{folder / _HEAD} is not usable: {problem}.", hint) from problem


def _check_fields(value: Mapping[str, Any]) -> None:
    """ValueError for a field that is missing or of the wrong kind, and for a path that leaves the folder."""
    for key, kind in _FIELDS.items():
        if not isinstance(value.get(key), kind):
            raise ValueError(f"{key} must be a {kind.__name__}")
    if value["gender"] not in GENDERS:
        raise ValueError(f"gender is {value['gender']!r} and not one of {GENDERS}")
    for key, number in (*value["identity"].items(), *value["appearance"].items()):
        if not _is_finite(number):
            raise ValueError(f"the parameter {key!r} is {number!r} and not a finite number")
    for key, colour in value["colours"].items():
        if not isinstance(colour, list) or len(colour) != 3 or not all(map(_is_finite, colour)):
            raise ValueError(f"the colour {key!r} is {colour!r} and not three finite numbers")
    for key, file in (*value["textures"].items(), *value["face_tracks"].items()):
        if not isinstance(file, str) or not _is_plain(file):
            raise ValueError(f"the texture {key!r} is {file!r} and not a plain file name")
    for text in (*value["media"].values(), *value["performance_files"].values(), *value["warnings"]):
        if not isinstance(text, str):
            raise ValueError(f"{text!r} must be text")
    for file in value["performance_files"].values():
        if file != f"{safe_file_name(file.removesuffix('.npz'))}.npz":
            raise ValueError(f"performance file {file!r} is not a plain file name")
    for path in value["media"].values():
        if not Path(path).is_absolute() and ".." in Path(path).parts:
            raise ValueError(f"media path {path!r} leaves the folder")


def _is_finite(number: Any) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)


def _is_plain(file: str) -> bool:
    """Whether this is a file name on every system, and no path."""
    return file not in ("", ".", "..") and not set(file) & set("/\\:")
