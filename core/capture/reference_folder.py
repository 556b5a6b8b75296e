# SPDX-License-Identifier: GPL-3.0-or-later
"""CAP4D's reference folder inside a capture: pictures by camera, mattes, and which pictures are references.

Layout (formats-cap4d 1.4): `fit.npz`, `reference_images.json`, `images/cam0/*.png` or `images/cam0.mp4`,
`bg/cam0/*.png`. A picture's number is its place among the sorted names; names are free.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..errors import CaptureError
from .capture import Capture
from .member import Member
from .sniff import IMAGES, MOVIES, kind_of_bytes
from .take import read_json

_CAMERA = re.compile(r"(?:^|/)(images|bg)/([^/]+)(?:/[^/]+)?$")
_MOST_REFERENCES = 100_000


@dataclass(frozen=True)
class ReferenceFolder:
    """The parts of a reference folder, by the names of its cameras."""

    fit: Member
    """`fit.npz`; read it with `core.fit.fit_npz.read_fit`."""
    images: Mapping[str, tuple[Member, ...]]
    """Pictures of each camera in the order of their names: the order of the fit's frames."""
    movies: Mapping[str, Member]
    """The movie of each camera that has one instead of pictures."""
    mattes: Mapping[str, tuple[Member, ...]]
    """Grey pictures, white where the person is, in the order of `images`."""
    references: tuple[tuple[str, int], ...]
    """Camera and frame of each reference picture. The first one defines the person's shape and the view."""


def reference_folder(capture: Capture) -> ReferenceFolder | None:
    """The reference folder that a capture is, or None where it has no fit.

    CaptureError where `reference_images.json` is damaged or names a picture that is not there.
    """
    fit = capture.flame_fit
    if fit is None:
        return None
    top = fit.name[: -len(fit.basename)]
    found: dict[str, dict[str, list[Member]]] = {"images": {}, "bg": {}}
    movies: dict[str, Member] = {}
    for member in sorted(capture.members, key=lambda m: m.name):
        match = _CAMERA.search(member.name)
        if match is None or not member.name.startswith(top):
            continue
        kind, camera = match[1], match[2]
        if member.folder.endswith(f"{kind}/{camera}"):
            if kind_of_bytes(member.head(64)) in IMAGES:
                found[kind].setdefault(camera, []).append(member)
        elif kind == "images" and kind_of_bytes(member.head(64)) in MOVIES:
            movies[member.stem] = member
    images = {camera: tuple(members) for camera, members in found["images"].items()}
    return ReferenceFolder(
        fit=fit,
        images=MappingProxyType(images),
        movies=MappingProxyType(movies),
        mattes=MappingProxyType({camera: tuple(members) for camera, members in found["bg"].items()}),
        references=_references(capture, top, images, movies),
    )


def _references(
    capture: Capture, top: str, images: Mapping[str, tuple[Member, ...]], movies: Mapping[str, Member]
) -> tuple[tuple[str, int], ...]:
    table = next((m for m in capture.members if m.name == f"{top}reference_images.json"), None)
    if table is None:
        return tuple((camera, frame) for camera, members in images.items() for frame in range(len(members)))
    content = read_json(table)
    if not isinstance(content, list) or not 0 < len(content) <= _MOST_REFERENCES:
        raise CaptureError(f"{table.name} is no list of references.", 'Write it as [["cam0", 0], ...].')
    return tuple(_reference(table, entry, images, movies) for entry in content)


def _reference(
    table: Member, entry: Any, images: Mapping[str, tuple[Member, ...]], movies: Mapping[str, Member]
) -> tuple[str, int]:
    if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)):
        raise CaptureError(f"{table.name} has an entry that is no pair of camera and number.")
    camera, frame = entry
    if isinstance(frame, bool) or not isinstance(frame, int) or frame < 0:
        raise CaptureError(f"{table.name} has an entry that is no pair of camera and number.")
    if camera not in movies and frame >= len(images.get(camera, ())):
        raise CaptureError(f"{table.name} names picture {frame} of {camera[:40]}, which is not there.")
    return camera, frame
