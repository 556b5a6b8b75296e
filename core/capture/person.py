# SPDX-License-Identifier: GPL-3.0-or-later
"""`likeness.json`: an open sidecar in a capture that says who the person is, as far as somebody told us.

    {"likeness": 1, "gender": "female", "identity": {"age": 0.6, "nose-hump-incr": 0.2}}

A phone archive says nothing of the kind; this one lets a studio keep the choice with the take.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import CaptureError
from .capture import Capture
from .take import read_json

NAME = "likeness.json"
VERSION = 1
_MOST = 1000
_FAR = 1e6


@dataclass(frozen=True)
class PersonHints:
    """What the sidecar says; empty where there is none."""

    gender: str = ""
    """female, male or empty."""
    identity: dict[str, float] = field(default_factory=dict)
    """Named identity parameters; whether the head model knows them is for its caller to check."""


def read_person(capture: Capture) -> PersonHints:
    """The person of a capture. A sidecar that is there and wrong raises CaptureError."""
    member = next((m for m in capture.members if m.basename.lower() == NAME), None)
    if member is None:
        return PersonHints()
    content = read_json(member)
    if not isinstance(content, dict) or not isinstance(content.get("likeness"), int):
        raise _wrong(member.name, 'a table with "likeness": 1 is needed')
    if content["likeness"] > VERSION:
        raise _wrong(member.name, "it was made by a newer Likeness")
    gender, identity = content.get("gender", ""), content.get("identity", {})
    if gender not in ("", "female", "male"):
        raise _wrong(member.name, f"gender is {str(gender)[:40]!r}, not female or male")
    if not isinstance(identity, dict) or len(identity) > _MOST:
        raise _wrong(member.name, f"identity must be a table of at most {_MOST} numbers")
    for name, value in identity.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _FAR:
            raise _wrong(member.name, f"identity {name[:40]!r} is not a finite number")
    return PersonHints(gender, {name: float(value) for name, value in identity.items()})


def _wrong(member: str, reason: str) -> CaptureError:
    return CaptureError(f"{member} does not describe a person: {reason}.", "Correct it, or remove it.")
