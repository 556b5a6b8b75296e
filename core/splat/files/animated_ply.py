# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians on a mesh that moves, as one PLY: `exported_animation.ply` of CAP4D, which its viewer plays.

Elements in this order (formats-cap4d 1.8): `faces` (uint index_0..2), `base_vertex` (float x y z, the first
frame), `vertex` (Gaussians local to their triangles, all float, `binding` too, no normals) and for each frame
i, of five digits, `meta_delta_min_i`, `meta_delta_max_i` (one row) and `delta_vertex_i`: what is added to
the base, min + q (max - min), q from 0 to 1 as float, uchar / 255 or ushort / 65535.

The file has OpenCV's axes (y down, the face looks to -z), in memory everything is in the frame of the head.
The viewer reads NaN, infinite and subnormal values as 0; it needs faces as uint and binding as float.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import SplatError
from ..gaussians import Gaussians
from .axes import HALF_TURN, turned_sh
from .ply import block_table, column, read_ply, write_ply
from .splat_ply import gaussians_of, vertex_rows
from .triangles import frames_of, localised, posed

Array = np.ndarray

FORMS = {"float": None, "uint8": np.uint8, "uint16": np.uint16}
"""How the motion is stored: 12, 3 or 6 bytes per vertex and frame. 8 bits are seen to jitter."""
MOST_FRAMES = 20_000
_SMALLEST_RANGE = 1e-10
_INDEX, _XYZ = ("index_0", "index_1", "index_2"), ("x", "y", "z")
_FRAME = re.compile(r"delta_vertex_(\d{5,6})")
_EXACT = 2**24
"""Largest whole number that a float holds; a binding is one."""


@dataclass(frozen=True, eq=False)
class AnimatedSplats:
    """Gaussians bound to the triangles of a mesh, and the mesh in every frame, in the frame of the head."""

    faces: Array
    """(F, 3) int32 vertices of each triangle."""
    base: Array
    """(V, 3) float32 metres."""
    local: Gaussians
    """Local to the triangles; colours in the frame of the head."""
    binding: Array
    """(n,) int32 triangle of each Gaussian."""
    offsets: Array
    """(T, V, 3) float32 metres, added to `base`."""

    def __post_init__(self) -> None:
        for name, kind in (("faces", np.int32), ("base", np.float32), ("binding", np.int32)):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), kind))
        object.__setattr__(self, "offsets", np.asarray(self.offsets, np.float32))
        _check(self)

    @property
    def frame_count(self) -> int:
        """Frames of the animation."""
        return len(self.offsets)

    @classmethod
    def of_world(
        cls, world: Gaussians, binding: Array, faces: Array, vertices: Array, track: Array
    ) -> AnimatedSplats:
        """From Gaussians in the frame of the head at the pose `vertices` (V, 3), and a track (T, V, 3) of the
        same mesh. What else changes them than their triangles is not kept.
        """
        vertices = np.asarray(vertices, np.float32)
        local = localised(world, binding, frames_of(vertices, faces))
        base = np.asarray(track[0] if len(track) else vertices, np.float32)
        return cls(faces, base, local, binding, np.asarray(track, np.float32) - base)

    def vertices(self, frame: int) -> Array:
        """(V, 3) float32 metres."""
        return self.base + self.offsets[frame]

    def posed(self, frame: int) -> Gaussians:
        """The Gaussians of one frame, in the frame of the head."""
        return posed(self.local, self.binding, frames_of(self.vertices(frame), self.faces))

    def frames(self) -> Iterator[Gaussians]:
        """All frames, one after the other."""
        return (self.posed(number) for number in range(self.frame_count))


def _check(splats: AnimatedSplats) -> None:
    faces, base, binding = splats.faces, splats.base, splats.binding
    if base.ndim != 2 or base.shape[1:] != (3,) or faces.ndim != 2 or faces.shape[1:] != (3,):
        raise SplatError(f"A mesh has the shapes {base.shape}, {faces.shape}; (V, 3), (F, 3) are expected.")
    if splats.offsets.ndim != 3 or splats.offsets.shape[1:] != base.shape:
        raise SplatError(f"The motion has the shape {splats.offsets.shape}; (T, {len(base)}, 3) is expected.")
    if binding.shape != (len(splats.local),):
        raise SplatError(f"{len(binding)} of {len(splats.local)} Gaussians are bound to triangles.")
    if faces.size and (faces.min() < 0 or faces.max() >= len(base)):
        raise SplatError("A triangle has a vertex that is not there.")
    if binding.size and (binding.min() < 0 or binding.max() >= len(faces)):
        raise SplatError("A Gaussian is bound to a triangle that is not there.")
    if not (np.isfinite(base).all() and np.isfinite(splats.offsets).all()):
        raise SplatError("A vertex of the animation is not finite.")


def write_animated_ply(path: Path, splats: AnimatedSplats, form: str = "uint16") -> None:
    """Write the animation, atomically; `form`: one of `FORMS`."""
    if form not in FORMS:
        raise SplatError(f"The form {form!r} is unknown.", f"Known are {', '.join(FORMS)}.")
    if len(splats.faces) > _EXACT:
        raise SplatError(f"{len(splats.faces)} triangles are too many: their numbers are kept as floats.")
    write_ply(path, _elements(splats, form))


def _elements(splats: AnimatedSplats, form: str) -> Iterator[tuple[str, Array]]:
    local = splats.local
    world = Gaussians(
        local.means,
        local.log_scales,
        local.rotations,
        local.opacity_logits,
        turned_sh(local.sh, HALF_TURN),
    )
    yield "faces", block_table(_INDEX, splats.faces.astype(np.uint32))
    yield "base_vertex", _points(splats.base @ HALF_TURN.T)
    yield "vertex", vertex_rows(world, normals=False, binding=splats.binding)
    for number, offset in enumerate(splats.offsets):
        low, high, values = _packed(offset * np.diag(HALF_TURN).astype(np.float32), FORMS[form])
        yield f"meta_delta_min_{number:05d}", _points(low[None])
        yield f"meta_delta_max_{number:05d}", _points(high[None])
        yield f"delta_vertex_{number:05d}", block_table(_XYZ, values)


def _points(values: Array) -> Array:
    return block_table(_XYZ, np.asarray(values, np.float32))


def _packed(offset: Array, kind: type | None) -> tuple[Array, Array, Array]:
    """Least, greatest and the fractions between them of (V, 3), rounded to the nearest."""
    if not len(offset):
        return np.zeros(3), np.zeros(3), offset.astype(kind or np.float32)
    low, high = offset.min(axis=0), offset.max(axis=0)
    fraction = (offset - low) / np.maximum(high - low, _SMALLEST_RANGE)
    if kind is None:
        return low, high, fraction.astype(np.float32)
    return low, high, np.rint(fraction.clip(0, 1) * np.iinfo(kind).max).astype(kind)


def read_animated_ply(path: Path) -> AnimatedSplats:
    """An animation as CAP4D and `write_animated_ply` write it; SplatError in one sentence for another
    file.
    """
    elements = read_ply(path)
    try:
        for name in ("faces", "base_vertex", "vertex"):
            if name not in elements:
                raise ValueError(f"it has no element {name!r}")
        faces = _whole(elements["faces"], _INDEX, "face")
        base = column(elements["base_vertex"], _XYZ, "vertex") @ HALF_TURN.T
        given = gaussians_of(elements["vertex"], path.name)
        binding = _whole(elements["vertex"], ("binding",), "Gaussian")[:, 0]
        offsets = _offsets(elements, len(base))
    except ValueError as problem:
        raise SplatError(f"{path.name} is no animation that can be used: {problem}.") from None
    local = Gaussians(
        given.means, given.log_scales, given.rotations, given.opacity_logits, turned_sh(given.sh, HALF_TURN)
    )
    try:
        return AnimatedSplats(faces, base, local, binding, offsets)
    except SplatError as problem:
        raise SplatError(f"{path.name} is no animation that can be used: {problem.message}") from None


def _whole(rows: Array, names: tuple[str, ...], what: str) -> Array:
    """(rows, names) whole numbers of at most 31 bits, whatever their type."""
    held = rows.dtype.names or ()
    missing = [name for name in names if name not in held]
    if missing:
        raise ValueError(f"it has no property {missing[0]!r}")
    with np.errstate(invalid="ignore"):  # some NaN complain when they are converted
        values = np.stack([rows[name].astype(np.float64) for name in names], axis=1)
    if not (np.isfinite(values).all() and (np.abs(values) < 2**31).all() and (values % 1 == 0).all()):
        raise ValueError(f"the {names[0]} of a {what} is no index")
    return values.astype(np.int32)


def _offsets(elements: dict[str, Array], vertices: int) -> Array:
    """(T, V, 3) metres in the frame of the head, decoded frame by frame."""
    numbers = sorted(int(found[1]) for name in elements if (found := _FRAME.fullmatch(name)))
    if numbers != list(range(len(numbers))) or len(numbers) > MOST_FRAMES:
        raise ValueError("its frames are not numbered from 0 on")
    offsets = np.empty((len(numbers), vertices, 3), np.float32)
    for number in numbers:
        rows = elements[f"delta_vertex_{number:05d}"]
        if len(rows) != vertices:
            raise ValueError(f"frame {number} has {len(rows)} vertices, expected {vertices}")
        low, high = (_bound(elements, f"meta_delta_{end}_{number:05d}") for end in ("min", "max"))
        kinds = {rows.dtype[name].newbyteorder("=").str[1:] for name in rows.dtype.names or ()}
        divisor = {("u1",): 255.0, ("u2",): 65535.0, ("f4",): 1.0, ("f8",): 1.0}.get(tuple(kinds))
        if divisor is None:
            raise ValueError(f"frame {number} has values of an unknown type")
        offsets[number] = low + column(rows, _XYZ, "vertex") / np.float32(divisor) * (high - low)
    offsets *= np.diag(HALF_TURN).astype(np.float32)
    return offsets


def _bound(elements: dict[str, Array], name: str) -> Array:
    if name not in elements or len(elements[name]) != 1:
        raise ValueError(f"it has no element {name!r} of one row")
    return column(elements[name], _XYZ, name)[0]
