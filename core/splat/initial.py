# SPDX-License-Identifier: GPL-3.0-or-later
"""The first Gaussians of a person: on the skin in the texture's colours, and loosely where hair may be."""

from __future__ import annotations

import numpy as np

from ..avatar import Avatar
from ..errors import ModelError
from ..head import HeadModel, Rest
from ..head.atlas import EYE_LEFT, EYE_RIGHT, MOUTH, SKIN, TEETH, HeadAtlas, load_atlas
from ..person import rest_of
from .bound import BoundGaussians, ExpressionBasis
from .files.triangles import frames_of
from .gaussians import SH_C0
from .splat_avatar import SplatAvatar
from .surface import HeadSurface

Array = np.ndarray

HAIR_SHARE = 0.3
"""Of the Gaussians that start above the skin of the scalp."""
HAIR_HEIGHT = 0.045
"""Metres that they reach out."""
EAR = 0.035
"""Metres around the middle of an ear where none grows. The head frame's origin lies between the ears."""
HAIR_OPACITY = 0.2
SKIN_OPACITY = 0.97
"""Less, and the lit inside of the face shines through the back of a head that was filmed from the front."""
FLATNESS = 0.25
"""Thickness of a Gaussian on the skin by its width."""
WIDTH = 0.9
"""Of a Gaussian on the skin by the side of a square as large as its share of the triangle: without gaps."""
GREY = 0.45
"""sRGB where nothing is known of a colour."""
_GOLDEN = 0.7548776662466927, 0.5698402909980532
"""Steps of the R2 sequence (Roberts 2018): points that fill a square evenly, in any number."""


def initial(
    model: HeadModel,
    avatar: Avatar,
    count: int,
    *,
    degree: int = 0,
    basis: ExpressionBasis | None = None,
) -> SplatAvatar:
    """About `count` Gaussians (never fewer than triangles) for an avatar, untrained.

    Colours are the albedo's where the avatar has one, lit by nothing.
    """
    atlas, rest = load_atlas(model), rest_of(model, avatar)
    surface = HeadSurface.of(model, atlas, rest)
    importance = density(model, atlas, surface, rest)
    scalp = scalp_triangles(model, atlas, rest)
    hair = int(HAIR_SHARE * max(count - len(surface.triangles), 0)) if scalp.any() else 0
    skin_binding = shared_out(importance, count - hair)
    hair_binding = spread(scalp * areas(surface), hair)
    lifted = np.r_[np.zeros(len(skin_binding), bool), np.ones(len(hair_binding), bool)]
    binding = np.r_[skin_binding, hair_binding].astype(np.int32)
    order = np.argsort(binding, kind="stable")
    binding, lifted = binding[order], lifted[order]
    opacity = np.where(lifted, HAIR_OPACITY, SKIN_OPACITY) * fading(atlas)[binding]
    gaussians = _placed(
        surface, binding, lifted, opacity, _colours(avatar, atlas), _hair(avatar), degree, basis
    )
    return SplatAvatar(
        surface=surface,
        gaussians=gaussians,
        model=avatar.model,
        model_sha256=model.sha256,
        avatar_id=avatar.id,
        name=avatar.name,
        report={"trained": False},
    )


def areas(surface: HeadSurface) -> Array:
    """(F,) square metres of the triangles at rest."""
    a, b, c = (surface.rest[surface.triangles[:, k]].astype(np.float64) for k in range(3))
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


def fading(atlas: HeadAtlas) -> Array:
    """(F,) 1 on the head, nearly 0 where the neck ends: what no picture shows of it is not to be seen."""
    share = np.clip((atlas.blend[atlas.triangles].mean(axis=1) - 0.8) / 0.18, 0.0, 1.0)
    return np.maximum(share * share * (3.0 - 2.0 * share), 0.01)


def density(model: HeadModel, atlas: HeadAtlas, surface: HeadSurface, rest: Rest) -> Array:
    """(F,) how much each triangle deserves: by area, more where faces are looked at."""
    from ..texture.face_regions import BODY, BROWS, EYES, LIPS, triangle_regions

    factor = np.ones(len(surface.triangles))
    try:
        region = triangle_regions(model, atlas)
    except ModelError:
        region = np.full(len(factor), BODY, np.uint8)
    skin = surface.chart == SKIN
    for part, value in ((EYES, 6.0), (LIPS, 5.0), (BROWS, 4.0)):
        factor[skin & (region == part)] = value
    factor[skin & (region > BODY) & (factor == 1.0)] = 3.0
    factor[np.isin(surface.chart, (EYE_LEFT, EYE_RIGHT))] = 3.0
    factor[np.isin(surface.chart, (TEETH, MOUTH))] = 1.0
    return factor * areas(surface)


def scalp_triangles(model: HeadModel, atlas: HeadAtlas, rest: Rest) -> Array:
    """(F,) bool: where hair may grow or hang: skin outside the face, not under the chin."""
    from ..texture.face_regions import BODY, FOREHEAD, triangle_regions

    middle = rest.vertices[atlas.triangles].mean(axis=1)
    try:
        region = triangle_regions(model, atlas)
    except ModelError:
        region = np.full(len(middle), BODY, np.uint8)
    x, y, z = middle.T
    behind = (y > -0.02) | ((y > -0.06) & (z < 0.0))
    behind &= (np.abs(x) < 0.055) | (np.hypot(y, z) > EAR)
    top = (region == FOREHEAD) & (y > 0.06)
    return (atlas.triangle_chart == SKIN) & (((region == BODY) & behind) | top)


def shared_out(weights: Array, count: int) -> Array:
    """(m,) triangle numbers, rising: one for each triangle, the rest by weight (largest remainders)."""
    return np.sort(np.r_[np.arange(len(weights)), spread(weights, max(count - len(weights), 0))])


def spread(weights: Array, count: int) -> Array:
    """(count,) numbers of what deserves them by weight, rising; none is promised one."""
    if count <= 0 or not np.any(weights > 0):
        return np.zeros(0, np.int64)
    ends = np.cumsum(weights) / np.sum(weights)
    return np.minimum(np.searchsorted(ends, (np.arange(count) + 0.5) / count), len(weights) - 1)


def _placed(
    surface: HeadSurface,
    binding: Array,
    lifted: Array,
    opacity: Array,
    colours: Array | None,
    hair: Array | None,
    degree: int,
    basis: ExpressionBasis | None,
) -> BoundGaussians:
    """Gaussians evenly over their triangles, as wide as their share of them."""
    crowd = np.bincount(binding, minlength=len(surface.triangles))[binding]
    number = np.arange(len(binding))
    own = number - np.searchsorted(binding, binding)
    u, v = ((own * step + 1 / 3) % 1.0 for step in _GOLDEN)  # the first is in the middle
    flip = u + v > 1.0
    u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
    corners = surface.rest[surface.triangles[binding]].astype(np.float64)
    bary = np.stack([1 - u - v, u, v], axis=1)
    points = np.einsum("nk,nkd->nd", bary, corners)
    frames = frames_of(surface.rest, surface.triangles)
    turn, scale = frames.axes[binding], frames.scales[binding]
    local = np.einsum("nij,ni->nj", turn, points - frames.middles[binding]) / scale[:, None]
    heights = HAIR_HEIGHT * ((number * 0.6180339887498949) % 1.0)
    local[lifted, 1] += (heights / scale)[lifted]
    width = WIDTH * np.sqrt(areas(surface)[binding] / crowd) / scale
    width = np.where(lifted, np.maximum(width, 0.004 / scale), width)
    flat = np.where(lifted, 1.0, FLATNESS)
    shape = (len(binding), (degree + 1) ** 2, 3)
    sh = np.zeros(shape, np.float32)
    colour = np.full((len(binding), 3), GREY) if colours is None else np.asarray(colours)[binding]
    if hair is not None:
        colour[lifted] = hair
    sh[:, 0] = (colour - 0.5) / SH_C0
    basis = basis if basis is not None else ExpressionBasis.none()
    return BoundGaussians(
        binding=binding,
        means=local,
        log_scales=np.log(np.maximum(np.stack([width, width * flat, width], axis=1), 1e-6)),
        rotations=np.tile([1.0, 0.0, 0.0, 0.0], (len(binding), 1)),
        opacity_logits=np.log(opacity / (1 - opacity)),
        sh=sh,
        basis=basis,
    )


def _hair(avatar: Avatar) -> Array | None:
    """(3,) sRGB 0..1 of the person's hair, where it was measured."""
    from ..texture.colour import encode

    linear = avatar.colours.get("hair")
    return None if linear is None else encode(np.array(linear, np.float32))


def _colours(avatar: Avatar, atlas: HeadAtlas) -> Array | None:
    """(F, 3) sRGB 0..1 in the middle of each triangle of the person's albedo; None without one."""
    path = avatar.texture_path("albedo")
    if path is None or not path.is_file():
        return None
    import cv2

    stored = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if stored is None:
        return None
    picture = stored[..., ::-1]
    place = atlas.uv.mean(axis=1)
    side = np.array(picture.shape[1::-1])
    pixel = np.clip((np.stack([place[:, 0], 1 - place[:, 1]], axis=1) * side).astype(int), 0, side - 1)
    return picture[pixel[:, 1], pixel[:, 0]] / 255.0
