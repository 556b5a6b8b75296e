# SPDX-License-Identifier: GPL-3.0-or-later
"""Between a double's sliders and the avatar on disk: what a slider says wins, what a fit found is kept
under it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..core.avatar import Avatar
from ..core.filters import FilterSettings, per_shape
from ..core.head import HeadModel, load_model
from ..core.person import identity_of
from .kinds import Root
from .scene.materials import Look
from .scene.materials.fibre import hair_shade

PHENOTYPES = (
    "gender", "age", "muscle", "weight", "height", "proportions", "cupsize", "firmness", "african", "asian",
    "caucasian",
)  # fmt: skip
"""Names of the phenotype sliders, which are those of the head model."""

LOOK_FIELDS = (
    "melanin", "redness", "freckles", "lip_amount", "eye_colour", "hair_melanin", "hair_redness",
    "hair_style", "stubble", "top", "top_colour", "bottom_colour", "skin_tint", "face", "face_strength",
    "face_relief", "face_scalp", "face_eyes", "brow_hairs",
)  # fmt: skip
"""Fields of `Look` that are sliders."""


def identity_from(group: Any) -> dict[str, float]:
    """Every identity parameter as the sliders of a double have it; local changes only where they are not
    zero.
    """
    identity = {name: float(getattr(group, name)) for name in PHENOTYPES}
    return identity | {change.name: float(change.value) for change in group.changes if change.value}


def fill_identity(group: Any, model: HeadModel, avatar: Avatar) -> None:
    """Set the sliders to the avatar's person."""
    values = {name: model.identity_default.get(name, 0.0) for name in model.identity_names}
    values |= identity_of(model, avatar)
    for name in PHENOTYPES:
        if name in values:
            setattr(group, name, values[name])
    group.changes.clear()
    for name in sorted(set(model.identity_names) - set(PHENOTYPES)):
        change = group.changes.add()
        change.name, change.value = name, values[name]


def personified(model: HeadModel, avatar: Avatar, identity: dict[str, float]) -> Avatar:
    """The avatar with another identity, in memory only.

    Coefficients (K,) and vertices (V, 3) that a fit found keep their difference from what the parameters
    alone give.
    """
    before = model.identity_coefficients(identity_of(model, avatar))
    after = model.identity_coefficients(identity)
    coefficients = after if avatar.coefficients is None else after + (avatar.coefficients - before)
    coefficients = np.asarray(coefficients, np.float32)
    vertices = None
    if avatar.vertices is not None:
        own = before if avatar.coefficients is None else avatar.coefficients
        plain = model.rest(np.asarray(own, np.float32)).vertices
        detail = model.template_rows(avatar.vertices) - model.template_rows(plain)
        vertices = model.rest(coefficients, detail=detail).vertices
    gender = "female" if identity.get("gender", 0.5) >= 0.5 else "male"
    return replace(avatar, identity=identity, gender=gender, coefficients=coefficients, vertices=vertices)


def look_from(group: Any, avatar: Avatar) -> Look:
    """The look that the sliders of a double describe, over that which suits the person."""
    known = {field.name for field in fields(Look)}
    values: dict[str, Any] = {}
    for name in (name for name in LOOK_FIELDS if name in known):
        value = getattr(group, name)
        values[name] = value if isinstance(value, str | float | bool) else tuple(value)
    dye = tuple(group.hair_colour) if group.use_hair_colour else None
    return replace(Look.of(avatar), **values, hair_dye=dye)


def fill_look(group: Any, avatar: Avatar) -> None:
    """Set the look's sliders to what suits the person."""
    look = Look.of(avatar)
    for name in LOOK_FIELDS:
        if hasattr(look, name):
            setattr(group, name, getattr(look, name))
    group.use_hair_colour = look.hair_dye is not None
    group.hair_colour = look.hair_dye or hair_shade(look)


def filters_from(group: Any) -> FilterSettings:
    """The filters that the settings of a double describe; SettingsError for a value that cannot be."""
    shapes = {shape.name: shape for shape in group.shapes}

    def values(name: str, default: float) -> tuple[float, ...]:
        return per_shape({key: float(getattr(shape, name)) for key, shape in shapes.items()}, default)

    return FilterSettings(
        smoothing=group.smoothing,
        cutoff=group.cutoff,
        beta=group.beta,
        two_way=group.two_way,
        window=group.window | 1,
        order=group.order,
        gain=tuple(value * group.gain for value in values("gain", 1.0)),
        offset=values("offset", 0.0),
        minimum=values("minimum", -np.inf),
        maximum=values("maximum", np.inf),
        swap_mouth=group.swap_mouth,
        mirror=group.mirror,
        limit_mouth_close=group.limit_mouth_close,
    )


def token(*values: object) -> str:
    """A short text that changes when one of the values does."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def token_of(root: Root) -> str:
    """What identity and look sliders say, as one short text."""
    note = root.likeness
    identity = {name: round(getattr(note.identity, name), 5) for name in PHENOTYPES}
    identity |= {change.name: round(change.value, 5) for change in note.identity.changes if change.value}
    look = [round(v, 5) if isinstance(v, float) else v for v in _look_values(note.look)]
    return token(identity, look)


def _look_values(group: Any) -> list[Any]:
    values: list[Any] = []
    for name in LOOK_FIELDS:
        value = getattr(group, name)
        values += [value] if isinstance(value, str | float | bool) else [float(part) for part in value]
    return [*values, bool(group.use_hair_colour), *map(float, group.hair_colour)]


@lru_cache(maxsize=4)
def _load(folder: str, _stamp: int) -> Avatar:
    return Avatar.load(folder)


def load_avatar(folder: Path | str) -> Avatar:
    """An avatar, read again only when it changed on disk; AvatarError when it is not there."""
    marker = Path(folder) / "avatar.json"
    return _load(str(folder), marker.stat().st_mtime_ns if marker.is_file() else 0)


def model_of(avatar: Avatar) -> HeadModel:
    """The head model that an avatar is made with."""
    return load_model(avatar.model)
