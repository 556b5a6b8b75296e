# SPDX-License-Identifier: GPL-3.0-or-later
"""The recording in a corner of an imported person's camera view, in step with the clip."""

from __future__ import annotations

from typing import Any

import bpy

from .double import ID_KEY, ROLE_KEY, Double, tag
from .movie_clock import keep_in_step
from .vendor_movie import Film

ROLE = "leap_footage"
_SCALE = 0.25
_CORNER = (-0.36, 0.36)
"""Of the view's width and height, from its middle."""


def show_in_corner(scene: bpy.types.Scene, double: Double, film: Film, first_frame: int) -> None:
    """Show a movie in the upper left of the camera's view, in place of what was there from us."""
    data: Any = double.camera.data  # type: ignore[union-attr]
    _take_out(data)
    image: Any = bpy.data.images.load(str(film.path), check_existing=False)
    image.name = f"{double.name} {film.path.name}"
    tag(image, double.id, ROLE)
    background = data.background_images.new()
    background.image, background.alpha, background.display_depth = image, 1.0, "FRONT"
    background.scale, background.offset = _SCALE, _CORNER
    background.show_expanded = False
    data.show_background_images = True
    path = f"background_images[{len(data.background_images) - 1}].image_user"
    clock = f"{double.name} Footage Clock"
    keep_in_step(scene, data, path, film.begins, film.rate, id=double.id, name=clock, first_frame=first_frame)


def _take_out(data: Any) -> None:
    """Remove our earlier background; one whose image was removed with an earlier import is empty."""
    for background in list(data.background_images):
        image = background.image
        if image is None or (image.get(ROLE_KEY) == ROLE and ID_KEY in image):
            background.image = None
            data.background_images.remove(background)
