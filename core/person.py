# SPDX-License-Identifier: GPL-3.0-or-later
"""From an avatar to the shape of a person."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .avatar import Avatar
from .errors import AvatarError
from .head import HeadModel, Rest

_GENDER = {"male": 0.0, "female": 1.0}


def rest_of(model: HeadModel, avatar: Avatar) -> Rest:
    """The person without expression: what was fitted where the avatar has that, else its named parameters.

    An avatar of another model, or of another version of it, is an AvatarError.
    """
    coefficients = _coefficients(model, avatar)
    rest = model.rest(coefficients)
    if avatar.vertices is None:
        return rest
    _check_shape(model, avatar, "vertices", np.shape(avatar.vertices), rest.vertices.shape)
    detail = model.template_rows(avatar.vertices) - model.template_rows(rest.vertices)
    if not np.any(detail):
        return rest
    # Through the model again, so that eye sockets and joints follow the fitted surface.
    fitted = model.rest(coefficients, detail=detail)
    return replace(fitted, vertices=np.asarray(avatar.vertices, np.float32))


def identity_of(model: HeadModel, avatar: Avatar) -> dict[str, float]:
    """Named identity parameters of an avatar; what it says of gender counts where no parameter does."""
    identity = dict(avatar.identity)
    if avatar.gender in _GENDER and "gender" in model.identity_names:
        identity.setdefault("gender", _GENDER[avatar.gender])
    return identity


def _coefficients(model: HeadModel, avatar: Avatar) -> np.ndarray:
    if avatar.coefficients is None:
        return model.identity_coefficients(identity_of(model, avatar))
    _check_shape(
        model, avatar, "identity coefficients", np.shape(avatar.coefficients), (model.identity.count,)
    )
    return np.asarray(avatar.coefficients, np.float32)


def _check_shape(model: HeadModel, avatar: Avatar, what: str, found: tuple, expected: tuple) -> None:
    if found != expected:
        raise AvatarError(
            f"The avatar {avatar.name!r} has {found[0]} {what}, its head model {model.name!r} {expected[0]}.",
            "Make the avatar again from its capture.",
        )
