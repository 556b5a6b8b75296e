# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's head as it stands before the camera in every sample of a performance, half a millisecond each.

Only the rows that the atlas shows are posed: the bases are cut down to them once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from .. import rotation
from ..avatar import Avatar
from ..camera import Camera
from ..errors import AvatarError
from ..head import HeadModel, Rest, load_model
from ..head.atlas import NONE, HeadAtlas, load_atlas
from ..head.expressed import ExpressedHead
from ..performance import Performance
from ..person import rest_of
from .normals import SurfaceNormals

Array = np.ndarray


class PosedHead:
    """One person, one performance with a camera: rows of the atlas in the view frame, by sample."""

    def __init__(self, model: HeadModel, rest: Rest, performance: Performance) -> None:
        """AvatarError for a performance without a camera: nothing tells where its head was seen."""
        if performance.camera is None:
            raise AvatarError(
                f"The performance {performance.name!r} was not tracked in footage: it has no camera.",
                "Choose one that was tracked.",
            )
        self.model, self.rest, self.performance = model, rest, performance
        self.camera: Camera = performance.camera
        self.atlas: HeadAtlas = load_atlas(model)
        self.rows = np.unique(self.atlas.triangles)
        """(n,) rows of the model that the atlas shows, sorted."""
        self.expressed = ExpressedHead(model, rest, self.rows)
        """The same rows in the head's own frame."""
        self._last: tuple[int, Array] | None = None

    @staticmethod
    def of_avatar(
        avatar: Avatar, performance: Performance | None = None, folders: Sequence[Path] = ()
    ) -> PosedHead:
        """The head of an avatar; by default in its first performance that has a camera.

        `folders`: where the user's head models are. AvatarError, ModelError.
        """
        model = load_model(avatar.model, folders)
        return PosedHead(model, rest_of(model, avatar), performance or _seen(avatar))

    @property
    def count(self) -> int:
        """T, the number of samples."""
        return self.performance.frame_count

    def vertices(self, index: int) -> Array:
        """(V, 3) float32 metres, view frame; rows that the atlas does not show are at the head's origin."""
        if self._last is None or self._last[0] != index:
            self._last = index, self._posed(index)
        return self._last[1]

    def normals(self, index: int) -> Array:
        """(V, 3) float32 unit normals, view frame, the mean of the polygons around by their area; 0 for rows
        that the atlas does not show.
        """
        found = np.zeros((self.model.row_count, 3), np.float32)
        found[self.rows] = self._surface.unit(self.vertices(index)[self.rows])
        return found

    def rotation(self, index: int) -> Array:
        """(3, 3) float64: the head frame's axes in the view frame."""
        turns = self.performance.head_rotation
        return np.eye(3) if turns is None else rotation.to_matrix(turns[index])

    def translation(self, index: int) -> Array:
        """(3,) float64 metres: the head frame's origin in the view frame."""
        moved = self.performance.head_translation
        return self.camera.head_position + (0.0 if moved is None else moved[index])

    def _posed(self, index: int) -> Array:
        """The head's pose carries the neck along: the tracker sees one rigid head."""
        points = self.expressed.points(self.performance.weights[index], self.gaze[index])
        place = self.translation(index).astype(np.float32)
        found = np.tile(place, (self.model.row_count, 1))
        found[self.rows] += points @ self.rotation(index).T.astype(np.float32)
        return found

    @cached_property
    def gaze(self) -> Array:
        """(T, 2, 2) radians: yaw and pitch of the left and the right eye."""
        return self.performance.gaze_or_from_weights()

    @cached_property
    def _surface(self) -> SurfaceNormals:
        return SurfaceNormals.of(local_polygons(self.model, self.atlas, self.rows), len(self.rows))


def local_polygons(model: HeadModel, atlas: HeadAtlas, rows: Array) -> Array:
    """(m, 4) int: the polygons of the atlas, counted in its sorted `rows`; -1 last in a triangle."""
    polygons = model.faces[atlas.chart != NONE]
    return np.where(polygons >= 0, np.searchsorted(rows, polygons), -1)


def _seen(avatar: Avatar) -> Performance:
    for name in avatar.performances:
        performance = avatar.load_performance(name)
        if performance.camera is not None:
            return performance
    raise AvatarError(
        f"The avatar {avatar.name!r} has no performance that was tracked in footage.",
        "Make it again from its capture.",
    )
