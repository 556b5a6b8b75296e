# SPDX-License-Identifier: GPL-3.0-or-later
"""The footage behind or before the double, in step with the keys: backgrounds of the footage camera.

Blender counts a movie's pictures at the movie's own rate and shows one picture per scene frame. Where the
two rates differ, or the recording has no steady rate, a keyed offset keeps them together in time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil, floor, radians
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...core.avatar import Avatar
from ...core.capture.images import image_facts
from ...core.capture.member import Member
from ...core.performance import Performance
from . import bpy_compat
from .double import ID_KEY, ROLE_KEY, Double, tag
from .footage_camera import ROLE, footage_channels, frame_of, remove_channels
from .movie_clock import movie_rate, pictures_at
from .timing import rate_of

_CHANNELS = "background_images["
"""How the data paths of a camera's backgrounds begin."""
_LATEST_START = 1.0
"""Seconds by which a movie's pictures may begin after its sound."""


@dataclass(frozen=True)
class Footage:
    """What can be shown of a capture: a movie, a numbered row of pictures, or photos."""

    movie: Path | None = None
    first_picture: Path | None = None
    """Of a numbered row."""
    photos: tuple[Path, ...] = ()
    """In the order in which the capture has them."""


def footage_of(avatar: Avatar) -> Footage | None:
    """The footage of an avatar that is still there, None where there is none."""
    capture = avatar.provenance.get("capture", {})
    kind = capture.get("kind") if isinstance(capture, dict) else ""
    movie = avatar.media_path("movie")
    if movie is not None and movie.is_file():
        return Footage(movie=movie.resolve())
    roles = [role for role in avatar.media if role == "photo" or role.startswith("photo_")]
    photos = [path.resolve() for role in roles if (path := avatar.media_path(role)) and path.is_file()]
    if not photos:
        return None
    return Footage(first_picture=photos[0]) if kind == "frames" else Footage(photos=tuple(photos))


def attach(
    scene: bpy.types.Scene,
    double: Double,
    camera: bpy.types.Object,
    footage: Footage,
    performance: Performance,
    first_frame: int = 0,
) -> None:
    """Put the footage into the camera's view in place of what was attached before."""
    detach(camera)
    data: Any = camera.data
    if footage.photos:
        _attach_photos(scene, double, camera, footage.photos, performance, first_frame)
    else:
        _attach_row(scene, double, camera, footage, performance, first_frame)
    data.show_background_images = True


def detach(camera: bpy.types.Object) -> None:
    """Take our footage out of the camera's view, and out of the file where nobody else uses it."""
    data: Any = camera.data
    remove_channels(data, (_CHANNELS,))
    for background in list(data.background_images):
        image = background.image
        if image is None or image.get(ROLE_KEY) != ROLE or image.get(ID_KEY) != camera.get(ID_KEY):
            continue
        background.image = None  # removing the background alone would leave its use counted
        data.background_images.remove(background)
        if not image.users:
            bpy.data.images.remove(image)
    data.show_background_images = bool(len(data.background_images))


def set_appearance(camera: bpy.types.Object, alpha: float, in_front: bool) -> None:
    """How strongly the footage shows, and whether before or behind the double."""
    data: Any = camera.data
    for background in data.background_images:
        background.alpha = alpha
        background.display_depth = "FRONT" if in_front else "BACK"


def is_attached(camera: bpy.types.Object) -> bool:
    """Whether footage of ours is in the camera's view."""
    data: Any = camera.data
    return any(b.image is not None and b.image.get(ROLE_KEY) == ROLE for b in data.background_images)


def _load(path: Path, double: Double) -> Any:
    """A picture or movie of the double's own: the user's image of the same file keeps its settings."""
    image: Any = bpy.data.images.load(str(path), check_existing=False)
    image.name = f"Likeness {double.name} {path.name}"
    return tag(image, double.id, ROLE)


def _add(camera: bpy.types.Object, image: Any) -> Any:
    data: Any = camera.data
    background = data.background_images.new()
    background.image, background.frame_method = image, "FIT"
    background.show_expanded = False
    return background


def _attach_row(
    scene: bpy.types.Scene,
    double: Double,
    camera: bpy.types.Object,
    footage: Footage,
    performance: Performance,
    first_frame: int,
) -> None:
    """A movie or a numbered row of pictures."""
    path = footage.movie or footage.first_picture
    assert path is not None
    image = _load(path, double)
    if footage.movie is None:
        image.source, rate, first_number = "SEQUENCE", performance.rate, _number_of(path) - 1
    else:
        rate, first_number = movie_rate(path), 0
    user = _add(camera, image).image_user
    last = max(scene.frame_end, ceil(first_frame + float(performance.time[-1]) * rate_of(scene))) + 1
    user.frame_start, user.frame_duration = first_frame, last - first_frame + 1
    user.use_auto_refresh = True
    frames = np.arange(first_frame, last + 1)
    begin = _movie_start(performance)
    times = (frames - first_frame) / rate_of(scene) - begin
    shown = pictures_at(times, performance.time - begin, rate or rate_of(scene))
    offsets = shown + first_number - (frames - first_frame)
    changes = np.flatnonzero(np.diff(offsets, prepend=offsets[0] - 1))
    user.frame_offset = int(offsets[0])
    if len(changes) > 1:
        bag, path_of = footage_channels(camera.data, double), _last_path(camera)
        at = frames[changes]
        bpy_compat.write_fcurve(
            bag, f"{path_of}.image_user.frame_offset", 0, at, offsets[changes], "CONSTANT"
        )


def _number_of(path: Path) -> int:
    """The number at the end of a picture's name."""
    found = re.search(r"(\d{1,9})$", path.stem)
    return int(found[1]) if found else 1


def _last_path(camera: bpy.types.Object) -> str:
    """Data path of the background that was added last."""
    data: Any = camera.data
    return f"{_CHANNELS}{len(data.background_images) - 1}]"


def _movie_start(performance: Performance) -> float:
    """Seconds from the start of the media to its first picture: sound may begin before. Tracking gives every
    picture a sample, so it is the first sample's time, within the reason of a media file.
    """
    begin = float(performance.time[0])
    return begin if performance.camera is not None and 0.0 < begin < _LATEST_START else 0.0


def _attach_photos(
    scene: bpy.types.Scene,
    double: Double,
    camera: bpy.types.Object,
    photos: tuple[Path, ...],
    performance: Performance,
    first_frame: int,
) -> None:
    """One background per photo of the performance, each shown in its own frames."""
    frames = first_frame + performance.time * rate_of(scene)
    numbers = np.clip(np.rint(performance.time).astype(int), 0, len(photos) - 1)
    for index, number in enumerate(numbers.tolist()):
        background = _add(camera, _load(photos[number], double))
        _turn_upright(background, photos[number], frame_of(camera))
        if len(numbers) < 2:
            continue
        own = np.zeros(len(frames))
        own[index] = 1.0
        at, bag = np.array([floor(frame) for frame in frames]), footage_channels(camera.data, double)
        bpy_compat.write_fcurve(bag, f"{_last_path(camera)}.show_background_image", 0, at, own, "CONSTANT")


def _turn_upright(background: Any, path: Path, frame: tuple[int, int]) -> None:
    """Blender shows a photo as it is stored: turn it as its EXIF data says, and let it fill the frame then
    as an upright one would.
    """
    facts = image_facts(Member(path.name, path.stat().st_size, path))
    background.rotation = radians(facts.rotation)
    if facts.rotation in (90, 270) and facts.width and facts.height:
        stored = min(frame[0] / facts.width, frame[1] / facts.height)
        upright = min(frame[0] / facts.height, frame[1] / facts.width)
        background.scale = upright / stored
