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
from ..arkit import ARKIT_NAMES
from ..avatar import Avatar
from ..camera import Camera
from ..errors import AvatarError
from ..head import HeadModel, Rest, load_model
from ..head.atlas import NONE, HeadAtlas, load_atlas
from ..performance import Performance
from ..person import rest_of
from .normals import SurfaceNormals

Array = np.ndarray

_EYES = ("eye_left", "eye_right")


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
        self._neutral = rest.vertices[self.rows]
        self._columns, self._shapes = self._expression()
        self._turning = [self._ridden(role) for role in _EYES]
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
        points = self._neutral + (self.performance.weights[index, self._columns] @ self._shapes).reshape(
            -1, 3
        )
        yaw, pitch = self._gaze[index].T
        turns = rotation.to_matrix(rotation.from_angles(yaw, pitch, np.zeros(2)))
        for (places, share, centre), turn in zip(self._turning, turns, strict=True):
            arm = points[places] - centre
            points[places] += share * (arm @ turn.T.astype(np.float32) - arm)
        place = self.translation(index).astype(np.float32)
        found = np.tile(place, (self.model.row_count, 1))
        found[self.rows] += points @ self.rotation(index).T.astype(np.float32)
        return found

    @cached_property
    def _gaze(self) -> Array:
        return self.performance.gaze_or_from_weights()

    @cached_property
    def _surface(self) -> SurfaceNormals:
        return SurfaceNormals.of(local_polygons(self.model, self.atlas, self.rows), len(self.rows))

    def _expression(self) -> tuple[Array, Array]:
        """Columns of the weights that the model follows, and its shapes on the rows, (E, 3 n) float32."""
        known = self.model.expression_index
        columns = [i for i, name in enumerate(ARKIT_NAMES) if name in known]
        order = [known[ARKIT_NAMES[i]] for i in columns]
        shapes = self.model.expression.at(self.rows)[order].astype(np.float32)
        return np.array(columns, int), np.ascontiguousarray(shapes).reshape(len(columns), 3 * len(self.rows))

    def _ridden(self, role: str) -> tuple[Array, Array, Array]:
        """Which of the rows turn with an eye, by what share (k, 1), and about where (3,), all float32."""
        model, joint = self.model, self.model.roles.get(role)
        if not isinstance(joint, str) or joint not in model.joint_names:
            return np.zeros(0, int), np.zeros((0, 1), np.float32), np.zeros(3, np.float32)
        eye = model.joint_names.index(joint)
        below = _with_descendants(eye, model.joint_parents)
        turned = np.isin(model.skin_joints[self.rows], below)
        share = np.where(turned, model.skin_weights[self.rows], 0).sum(axis=1)
        places = np.flatnonzero(share > 1e-6)
        centre = self.rest.joint_heads[eye].astype(np.float32)
        return places, share[places, None].astype(np.float32), centre


def local_polygons(model: HeadModel, atlas: HeadAtlas, rows: Array) -> Array:
    """(m, 4) int: the polygons of the atlas, counted in its sorted `rows`; -1 last in a triangle."""
    polygons = model.faces[atlas.chart != NONE]
    return np.where(polygons >= 0, np.searchsorted(rows, polygons), -1)


def _with_descendants(joint: int, parents: Array) -> list[int]:
    found = [joint]
    for child in range(joint + 1, len(parents)):  # a parent comes before its children
        if parents[child] in found:
            found.append(child)
    return found


def _seen(avatar: Avatar) -> Performance:
    for name in avatar.performances:
        performance = avatar.load_performance(name)
        if performance.camera is not None:
            return performance
    raise AvatarError(
        f"The avatar {avatar.name!r} has no performance that was tracked in footage.",
        "Make it again from its capture.",
    )
