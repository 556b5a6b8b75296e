# SPDX-License-Identifier: GPL-3.0-or-later
"""`Look`: what a double looks like beyond its shape, as plain values that the material, hair and clothes
modules read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .pigment import Colour, pigment_of

_MELANIN = {"african": 0.82, "asian": 0.36, "caucasian": 0.2}
_HAIR_MELANIN = {"african": 0.99, "asian": 0.97, "caucasian": 0.8}
_EYES: dict[str, Colour] = {
    "african": (0.062, 0.027, 0.012),
    "asian": (0.085, 0.038, 0.015),
    "caucasian": (0.150, 0.190, 0.175),
}


@dataclass(frozen=True)
class Look:
    """Colours are linear RGB, 0..1. `Look.of(avatar)` gives one that suits the person; replace fields at
    will.
    """

    melanin: float = 0.3
    """Skin: 0 very light .. 1 very dark."""
    redness: float = 0.5
    """Skin: blood under it, most seen on cheeks, nose and ears."""
    freckles: float = 0.0
    """Skin: 0 none .. 1 many."""
    age: float = 0.6
    """0 child .. 1 old: strength of mottling and fine creases."""
    lip_colour: Colour = (0.42, 0.135, 0.115)
    lip_amount: float = 0.6
    """How much of the lips' own colour replaces the skin's."""
    eye_colour: Colour = (0.150, 0.190, 0.175)
    hair_melanin: float = 0.8
    """0 white .. 1 black."""
    hair_redness: float = 0.35
    """Share of red pigment in the hair."""
    hair_style: str = "SHORT"
    """One of `HAIR_STYLES`."""
    stubble: float = 0.0
    """Beard shadow and stubble, 0 none .. 1 three days."""
    top: str = "TEE"
    """One of `TOPS`."""
    top_colour: Colour = (0.045, 0.085, 0.13)
    bottom: str = "TROUSERS"
    bottom_colour: Colour = (0.035, 0.037, 0.045)
    skin_tint: Colour = (1.0, 1.0, 1.0)
    """Multiplies the colour of all skin, painted or from the footage."""
    skin_colour: Colour | None = None
    """Measured albedo of the skin; None where it was not."""
    eye_white: Colour | None = None
    """Colour of the white of the eye; None takes what suits the skin."""
    iris_radius: float = 0.3665
    """Share of the eyeball's radius."""
    pupil: float = 0.36
    """Share of the iris's radius."""
    brow_melanin: float | None = None
    """Of the eyebrows; None takes a little more than the hair's."""
    brow_hairs: bool = True
    """Whether hairs grow over the eyebrows of a texture too; a painted face always has them."""
    hair_dye: Colour | None = None
    """A plain colour of the hair of the head, instead of pigment."""
    face: str = "NONE"
    """Where the colour of the face comes from: one of `FACES`."""
    face_strength: float = 1.0
    """How much of the face's own colour shows, 0 none .. 1 all."""
    face_relief: float = 1.0
    """Strength of the relief from the footage."""
    face_scalp: float = 1.0
    """How much the still holds the scalp steady while the face moves."""
    face_eyes: float = 0.35
    """How much of the eyes' own picture shows over the painted eye."""

    @classmethod
    def of(cls, avatar: Any) -> Look:
        """The default look of an `Avatar` (or None), from its phenotype weights, age and gender, as far as
        somebody told them: shares that a fit found say what shape a face has, not what colour.
        """
        identity = told_identity(avatar)
        female = is_female(avatar)
        age = float(identity.get("age", 0.6))
        grey = min(max((age - 0.8) / 0.2, 0.0), 1.0)
        hair = _weighted(identity, _HAIR_MELANIN) * (1.0 - 0.7 * grey)
        eyes = _weighted_colour(identity, _EYES)
        invented = cls(
            melanin=_seen(avatar).get("melanin", _weighted(identity, _MELANIN)),
            age=age,
            lip_amount=0.75 if female else 0.5,
            eye_colour=eyes,
            hair_melanin=hair,
            hair_redness=0.35 * (1.0 - grey),
            hair_style=_haircut(identity, female),
            stubble=0.0 if female or age < 0.55 else 0.35,
            top="SCOOP" if female else "TEE",
            top_colour=(0.13, 0.035, 0.04) if female else (0.045, 0.085, 0.13),
            face=best_face(avatar),
        )
        return replace(invented, **_measured(avatar))


SURE = 0.7
"""From which fitted gender on clothes and hair follow it; nearer to the middle they suit anybody."""
HAIR_STYLES = ("SHORT", "BUZZ", "BOB", "TIED", "NONE")
TOPS = ("TEE", "SCOOP", "LONG_SLEEVE")


FACES = ("NONE", "STILL", "TRACK", "PREDICTED")
"""Painted, one texture, the movie of the take, or what was learnt from that."""


def best_face(avatar: Any) -> str:
    """The most lively of `FACES` that an avatar has."""
    textures = getattr(avatar, "textures", None) or {}
    if "albedo" not in textures:
        return "NONE"
    return "TRACK" if getattr(avatar, "face_tracks", None) else "STILL"


def _measured(avatar: Any) -> dict[str, Any]:
    """The fields of `Look` that the footage told."""
    colours: Mapping[str, Any] = getattr(avatar, "colours", None) or {}
    found: dict[str, Any] = {}
    for role, name in (("skin", "skin_colour"), ("lip", "lip_colour"), ("iris", "eye_colour")):
        if role in colours:
            found[name] = _colour(colours[role])
    if "white" in colours:
        found["eye_white"] = _colour(colours["white"])
    if "hair" in colours:
        found["hair_melanin"], found["hair_redness"] = pigment_of(_colour(colours["hair"]))
    if "brow" in colours:
        found["brow_melanin"] = pigment_of(_colour(colours["brow"]))[0]
        # Brows seen well enough to be measured are in the texture; hairs over them would make them thick.
        found["brow_hairs"] = best_face(avatar) == "NONE"
    seen = _seen(avatar)
    found |= {name: float(seen[name]) for name in ("iris_radius", "pupil") if name in seen}
    return found


def _colour(values: Any) -> Colour:
    red, green, blue = (min(max(float(value), 0.0), 1.0) for value in values)
    return (red, green, blue)


def is_female(avatar: Any) -> bool:
    """Whether the avatar's recorded gender, else its `gender` parameter (0 male .. 1 female), reads as
    female.
    """
    recorded = getattr(avatar, "gender", None)
    if isinstance(recorded, str) and recorded.strip():
        return recorded.strip().lower().startswith(("f", "w"))
    if isinstance(recorded, int | float):
        return recorded >= 0.5
    identity: Mapping[str, float] = getattr(avatar, "identity", None) or {}
    guessed = "gender" not in told_identity(avatar)
    return float(identity.get("gender", 0.0)) > (SURE if guessed else 0.5)


def _seen(avatar: Any) -> Mapping[str, float]:
    """What footage showed of the person's colours."""
    return getattr(avatar, "appearance", None) or {}


def told_identity(avatar: Any) -> Mapping[str, float]:
    """The identity parameters that were chosen and not fitted; the age of a fit counts too."""
    identity: Mapping[str, float] = getattr(avatar, "identity", None) or {}
    provenance = getattr(avatar, "provenance", None) or {}
    if "track" not in provenance:
        return identity
    told = provenance.get("told", {})
    known = dict(told) if isinstance(told, dict) else {}
    return {**known, **{key: identity[key] for key in ("age",) if key in identity}}


def _haircut(identity: Mapping[str, float], female: bool) -> str:
    """The cut whose fall suits the hair: straight cuts for straight hair, tied or cropped for tight curls."""
    curly = _shares(identity)["african"] > 0.6
    if female:
        return "TIED" if curly else "BOB"
    return "BUZZ" if curly else "SHORT"


def _shares(identity: Mapping[str, float]) -> dict[str, float]:
    # Only the ratio counts, and the head model's default is 0.5 each.
    weights = {name: max(float(identity.get(name, 0.5)), 0.0) for name in _MELANIN}
    total = sum(weights.values()) or 1.0
    return {name: weight / total for name, weight in weights.items()}


def _weighted(identity: Mapping[str, float], table: Mapping[str, float]) -> float:
    return sum(share * table[name] for name, share in _shares(identity).items())


def _weighted_colour(identity: Mapping[str, float], table: Mapping[str, Colour]) -> Colour:
    """Geometric mean: pigment adds up in optical density, so brown stays dominant as in life."""
    result = [1.0, 1.0, 1.0]
    for name, share in _shares(identity).items():
        for i in range(3):
            result[i] *= table[name][i] ** share
    return (result[0], result[1], result[2])
