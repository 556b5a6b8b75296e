# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling light from skin: a robust fit of spherical harmonics over several frames of a turning head.

The logarithm of a sample is log gain(frame) + log shade(normal) + log albedo(texel). A texel's albedo is an
unknown near the skin's mean (a random effect of some spread), the same for a texel and its mirror image; how
a texel and its partner differ, from side to side and from frame to frame as the head turns, tells of light
alone. Generalised least squares weighs the two kinds of evidence by their spreads, which are found along with
the rest: with one frame skin is taken as even, and the more a head turns, the more its own colours stay its
own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .colour import luminance
from .lighting import CLIPPED, COUNT, Lighting, irradiance_basis, weighted_median

Array = np.ndarray

ROUNDS = 14
SETTLED = 2e-3
"""Steps that are smaller end the rounds."""
PRIOR = np.array([0.1, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
"""What is believed before a picture is seen, order 1 and 2: light from the front and a little from above."""
SPREAD = np.array([0.5, 0.5, 0.5, 0.35, 0.35, 0.35, 0.35, 0.35])
"""Standard deviations of that belief: unseen directions stay near it."""
TINGE = 0.1
"""The same of how the light's colour may vary with direction."""
STEADY = 0.15
"""Standard deviation of the log of a frame's gain: exposure drifts little within a take."""
PATCHES = 60
"""However many texels there are, no more than this are independent witnesses: what the model lacks (shadows,
gloss, blood and pigment in patches) reaches over many."""
NOISE = 0.02, 0.15
TEXTURE = 0.03, 0.3
"""Lowest and highest believed spread (log) within a texel over time, and between texels of skin."""
DARK = 0.006
"""Linear light below which there is more noise than colour."""


@dataclass(frozen=True)
class TakeLighting:
    """What explains the samples of a take: colours = gains * shade * albedo."""

    lighting: Lighting
    gains: Array
    """(N, 3) float32 per frame; their median is 1."""
    albedo: Array
    """(M, 3) float32 linear, at the level of the footage; 0 where no frame shows the texel."""
    spread: float
    """How much the explained colours differ from those seen, as a share: robust standard deviation."""


def estimate_take_lighting(
    colours: Array,
    normals: Array,
    weights: Array,
    plain: Array | None = None,
    places: Array | None = None,
) -> TakeLighting:
    """One light for a take, a gain per frame and the albedo of each texel, from samples of skin.

    colours: (N, M, 3) linear 0..1 of M texels in N frames. normals: (N, M, 3) unit, view frame. weights:
    (N, M) 0..1, 0 where a texel is not seen. plain: (M,) 0..1, how surely a texel is bare skin
    (`plain_skin`); others may be of any colour. places: (M, 3) metres where they are on a symmetric head, X
    to its left (the model's default person); then texels that mirror each other count as of one colour. A
    thousand texels of 5 to 15 frames in which the head is turned differently are plenty.
    """
    partner = np.arange(colours.shape[1]) if places is None else mirrored(places)
    return fit_lighting(colours, normals, weights, plain, partner)


def mirrored(places: Array) -> Array:
    """(M,) the place that mirrors each of `places` ((M, 3), X to the left), itself where none is near."""
    from scipy.spatial import KDTree

    own = np.arange(len(places))
    tree = KDTree(places)
    step = np.median(np.asarray(tree.query(places, 2)[0])[:, 1])
    off, partner = (np.asarray(found) for found in tree.query(places * (-1.0, 1.0, 1.0)))
    return np.where((partner[partner] == own) & (off < 1.5 * step), partner, own)


def fit_lighting(
    colours: Array,
    normals: Array,
    weights: Array,
    plain: Array | None = None,
    partner: Array | None = None,
) -> TakeLighting:
    """As `estimate_take_lighting`, and one frame will do. partner: (M,) as `mirrored` gives it."""
    colours = np.asarray(colours, np.float64)
    plain = np.ones(colours.shape[1]) if plain is None else np.asarray(plain, np.float64)
    weights = np.asarray(weights, np.float64) * _usable(colours)
    frames = len(colours)
    if np.count_nonzero(weights * plain > 0) < 4 * COUNT:
        return TakeLighting(
            Lighting.even(), np.ones((frames, 3), np.float32), _plain_albedo(colours, weights), 0.0
        )
    basis = irradiance_basis(normals).astype(np.float64)
    texels = _Texels(weights, plain, np.arange(len(plain)) if partner is None else partner)
    logs = np.log(np.maximum(colours, 1e-4))
    grey = _fit(np.log(np.maximum(luminance(colours), 1e-4)), basis, texels, PRIOR, SPREAD)
    parts = [_fit(logs[..., c], basis, texels, grey[0], np.full(COUNT - 1, TINGE)) for c in range(3)]
    coefficients = np.stack([np.concatenate([[1.0], part[0]]) for part in parts], axis=1)
    return _normalised(
        coefficients, np.stack([part[1] for part in parts], axis=1), logs, normals, weights, plain
    )


def _usable(colours: Array) -> Array:
    """(N, M) 0..1: neither burnt out nor lost in the dark."""
    dark = np.clip((luminance(colours) - DARK) / DARK, 0, 1)
    return dark * (np.max(colours, axis=-1) < CLIPPED) * (np.min(colours, axis=-1) > 0.1 * DARK)


@dataclass(frozen=True)
class _Texels:
    """Which samples are worth what."""

    weights: Array
    """(N, M)."""
    plain: Array
    """(M,)."""
    partner: Array
    """(M,) of one colour with each."""

    def total(self, values: Array) -> Array:
        """(M, ...) sums of values (N, M, ...) over the frames, of each texel and its partner."""
        own = values.sum(axis=0)
        alone = self.partner == np.arange(len(self.partner))
        other = own[self.partner]
        other[alone] = 0.0
        return own + other

    def mean(self, values: Array, trust: Array) -> Array:
        """(M,) of values (N, M) weighted by trust (N, M)."""
        return self.total(trust * values) / np.maximum(self.total(trust), 1e-9)


def _fit(log: Array, basis: Array, texels: _Texels, prior: Array, spread: Array) -> tuple[Array, Array]:
    """Coefficients (8,) of order 1 and 2 relative to the constant, and (N,) log level of each frame, for one
    channel `log` ((N, M)). Gauss-Newton with Geman-McClure weights.
    """
    frames, share = len(log), texels.weights * texels.plain
    levels = np.array([_median(log[i], share[i]) for i in range(frames)])
    state = np.concatenate([prior, levels])
    believed = np.concatenate([prior, np.zeros(frames)])
    precision = np.diag(np.concatenate([1 / spread**2, np.full(frames, 1e-9)]))
    precision[COUNT - 1 :, COUNT - 1 :] += (np.eye(frames) - 1 / frames) / STEADY**2
    scale = min(1.0, PATCHES / np.count_nonzero(share.max(axis=0) > 0))
    for _ in range(ROUNDS):
        shade = np.maximum(1 + basis[..., 1:] @ state[: COUNT - 1], 0.15)
        residual = log - np.log(shade) - state[COUNT - 1 :, None]
        rows, rest, trust = _told_apart(basis[..., 1:] / shade[..., None], residual, texels)
        flat = rows.reshape(-1, rows.shape[-1])
        weighted = scale * (flat * trust.reshape(-1, 1)).T
        system, right = weighted @ flat + precision, weighted @ rest.reshape(-1)
        step = np.linalg.solve(system, right + precision @ (believed - state))
        largest = float(np.abs(step).max())
        state = state + step / max(1.0, largest / 0.3)
        if largest < SETTLED:
            break
    return state[: COUNT - 1], state[COUNT - 1 :]


def _told_apart(slopes: Array, residual: Array, texels: _Texels) -> tuple[Array, Array, Array]:
    """Rows of the equations ((N, M, 8 + N)), right sides and weights, less the part of each texel's mean that
    its own albedo explains (the random effect's quasi-demeaning).
    """
    frames, weights, plain = len(residual), texels.weights, texels.plain
    levels = np.zeros((*residual.shape, frames))
    levels[np.arange(frames), :, np.arange(frames)] = 1.0
    rows = np.concatenate([slopes, levels], axis=-1)
    own = texels.mean(residual, weights)
    apart = residual - own
    several = texels.total(weights > 0) > 1
    noise = np.clip(_spread(apart, weights * several), *NOISE)
    trust = weights / (1 + (apart / (3 * noise)) ** 2) ** 2
    own = texels.mean(residual, trust)
    texture = np.clip(_spread(own, plain * (weights.max(axis=0) > 0)), *TEXTURE)
    sure = plain / (1 + (own / (3 * texture)) ** 2) ** 2
    total = texels.total(trust)
    kept = np.sqrt(noise**2 / (noise**2 + total * texture**2 / np.maximum(sure, 1e-6)))
    mean = texels.total(trust[..., None] * rows) / np.maximum(total, 1e-9)[:, None]
    rows -= (1 - kept)[:, None] * mean
    return rows, residual - (1 - kept) * own, trust / noise**2


def _normalised(
    coefficients: Array, levels: Array, logs: Array, normals: Array, weights: Array, plain: Array
) -> TakeLighting:
    """Shade 1 on average over the skin, gains 1 in the median; the albedo takes what is left."""
    share = weights * plain
    shade = Lighting(coefficients).shade(normals)
    mean = np.exp((np.log(shade) * share[..., None]).sum(axis=(0, 1)) / share.sum())
    lighting = Lighting((coefficients / mean).astype(np.float32))
    shade = np.log(lighting.shade(normals))
    seen = share.sum(axis=1) > 0
    gains = levels - np.median(levels[seen], axis=0)
    gains[~seen] = 0.0
    left = logs - shade - gains[:, None]
    albedo = weighted_median(left, weights[..., None])
    spread = _spread(left - albedo if len(logs) > 1 else left - np.median(left, axis=1), share[..., None])
    albedo = np.where(weights.max(axis=0)[:, None] > 0, np.exp(albedo), 0.0)
    gains, albedo = np.exp(gains).astype(np.float32), albedo.astype(np.float32)
    return TakeLighting(lighting, gains, albedo, float(spread))


def _plain_albedo(colours: Array, weights: Array) -> Array:
    total = np.maximum(weights.sum(axis=0), 1e-9)[:, None]
    return ((colours * weights[..., None]).sum(axis=0) / total).astype(np.float32)


def _median(values: Array, weights: Array) -> float:
    kept = weights > 0
    return float(weighted_median(values[kept], weights[kept])) if np.any(kept) else 0.0


def _spread(values: Array, weights: Array) -> float:
    """Standard deviation by the median of what has a weight."""
    kept = np.abs(values)[np.broadcast_to(weights > 0.05, values.shape)]
    return 1.4826 * float(np.median(kept)) if len(kept) else 0.0
