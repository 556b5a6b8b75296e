# SPDX-License-Identifier: GPL-3.0-or-later
"""The light of a take or a photo, as what a matte white surface sends back by the direction it faces.

Nine numbers per colour say it within one per cent for any distant light (Ramamoorthi and Hanrahan 2001, "An
efficient representation for irradiance environment maps"). Directions are in the view frame: camera and lamps
stand still while the head turns. How the light is told from the face's own colours is in `light_fit`.

Footage gives only products: linear picture = gain * shade * albedo. Here shade is 1 on average over the face,
in each of red, green and blue, so it has no level and no colour cast of its own: both stay in the gain and
the albedo, and what fixes them is decided by who knows something about skin (`still`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray

COUNT = 9
"""Coefficients of order 2."""
LOWEST, HIGHEST = 0.25, 2.5
"""Shade stays between them: dividing by less would make noise of shadows, and half of all directions are
never seen."""
BOUNCE, DOWN = 0.5, (0.3, 0.75)
"""What faces down by more than the last (sine) is never darker than the first: under nose, lips and chin,
light comes back from the skin and the clothes below. Cheeks face down less."""
_HIGH_KNEE = 1.7
"""Between this and twice the lower bound shade is as fitted; beyond, it bends towards the bounds."""


@dataclass(frozen=True)
class Lighting:
    """Light by direction."""

    coefficients: Array
    """(9, 3) float32: the light's spherical harmonics for linear red, green and blue, in the order of
    `irradiance_basis`; (1, 0, 0, ...) is light of strength 1 from everywhere."""

    def shade(self, normals: Array) -> Array:
        """(..., 3) float32 linear light sent back by matte white that faces `normals` ((..., 3) unit, view
        frame), between LOWEST and HIGHEST.
        """
        normals = np.asarray(normals, np.float32)
        return bounded(irradiance_basis(normals) @ self.coefficients, lowest(normals)[..., None])

    def to_dict(self) -> dict[str, list[list[float]]]:
        """Plain values, for JSON."""
        return {"coefficients": [[round(float(v), 5) for v in row] for row in self.coefficients]}

    @staticmethod
    def even() -> Lighting:
        """White light from everywhere."""
        coefficients = np.zeros((COUNT, 3), np.float32)
        coefficients[0] = 1.0
        return Lighting(coefficients)


def irradiance_basis(normals: Array) -> Array:
    """(..., 9) float32 of unit normals (..., 3): real spherical harmonics of order 2 times what is left of
    each order when a matte surface gathers the light (1, 2/3, 1/4), relative to the constant one.
    """
    x, y, z = np.moveaxis(np.asarray(normals, np.float32), -1, 0)
    first, second = 2 / 3 * np.sqrt(3.0), 1 / 4 * np.sqrt(15.0)
    basis = np.empty((*x.shape, COUNT), np.float32)
    basis[..., 0] = 1.0
    for column, value in enumerate((y, z, x), 1):
        basis[..., column] = first * value
    waves = (x * y, y * z, (3 * z * z - 1) / np.sqrt(12.0), x * z, (x * x - y * y) / 2)
    for column, value in enumerate(waves, 4):
        basis[..., column] = second * value
    return basis


def lowest(normals: Array) -> Array:
    """(...) float32 the darkest that unit normals (..., 3) can be."""
    start, end = DOWN
    down = np.clip((-normals[..., 1] - np.float32(start)) / np.float32(end - start), 0, 1)
    return LOWEST + np.float32(BOUNCE - LOWEST) * down * down * (3 - 2 * down)


def bounded(shade: Array, low: Array | float = LOWEST) -> Array:
    """Shade as it is between the knees, bent beyond so that it never leaves `low`..HIGHEST; smooth."""
    knee, room = 2 * low, HIGHEST - _HIGH_KNEE
    over = room * np.tanh(np.maximum(shade - _HIGH_KNEE, 0) / room)
    under = low * np.tanh(np.maximum(knee - shade, 0) / low)
    return (np.clip(shade, knee, _HIGH_KNEE) + over - under).astype(np.float32)


def estimate_lighting(
    normals: Array, colours: Array, weights: Array, *, albedo: Array | None = None
) -> Lighting:
    """The light in one picture, from samples of skin.

    normals: (n, 3) unit, view frame. colours: (n, 3) linear, 0..1. weights: (n,) 0..1, 0 for what is no plain
    skin. albedo: (n, 3) linear of the samples where it is known; else skin counts as of one colour, give or
    take. Few or no usable samples give even light.
    """
    from .light_fit import fit_lighting

    known = colours if albedo is None else colours / np.maximum(albedo, 1e-3)
    scale = 1.0 if albedo is None else 1.0 / max(float(known.max(initial=1e-6)), 1e-6)
    return fit_lighting(scale * known[None], np.asarray(normals)[None], np.asarray(weights)[None]).lighting


def frame_gain(colours: Array, expected: Array, weights: Array) -> Array:
    """(3,) float32 by how much a frame's `colours` ((n, 3) linear) are brighter than `expected` ((n, 3),
    shade times albedo): the weighted median of the ratio, so that what moved or glints does not count. 1
    where nothing can be said.
    """
    usable = (weights > 0) & np.all(colours > 0.002, axis=1) & np.all(expected > 0.002, axis=1)
    usable &= np.all(colours < CLIPPED, axis=1)
    if not np.any(usable):
        return np.ones(3, np.float32)
    ratio = np.log(colours[usable] / expected[usable])
    return np.exp(weighted_median(ratio, weights[usable, None])).astype(np.float32)


CLIPPED = 0.955
"""Linear light from which on a picture may be burnt out (sRGB 250)."""


def weighted_median(values: Array, weights: Array) -> Array:
    """(...) of values (n, ...) along the first axis; weights of the same or a broadcastable shape, not
    negative.
    """
    weights = np.broadcast_to(weights, values.shape)
    order = np.argsort(values, axis=0)
    sums = np.cumsum(np.take_along_axis(weights, order, axis=0), axis=0)
    at = np.argmax(sums >= 0.5 * sums[-1:], axis=0)[None]
    return np.take_along_axis(np.take_along_axis(values, order, axis=0), at, axis=0)[0]
