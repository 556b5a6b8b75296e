# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts beside a Live Link Face recording: take.json, the metadata of its movie and sound, and the frame
log.
"""

from __future__ import annotations

import json
from typing import Any

from ..errors import CaptureError
from . import timecode
from .limits import MAX_JSON_BYTES
from .member import Member
from .sniff import decoded

_LOG_BYTES = 64 << 10
_TEXT_LENGTH = 200


def read_json(member: Member) -> Any:
    """The content of a JSON member; CaptureError when it is too large, too deep or no JSON."""
    text = decoded(member.read_bytes(MAX_JSON_BYTES))
    try:
        return json.loads((text or "").lstrip("\ufeff"))
    except (ValueError, RecursionError) as problem:
        raise CaptureError(
            f"{member.name} is not readable JSON.", "Copy the take again from the phone."
        ) from problem


def take_facts(members: list[Member], warnings: list[str]) -> dict[str, Any]:
    """Plain facts of a take by name, from the files that have them; unreadable ones give a warning."""
    facts: dict[str, Any] = {}
    for basename, prefix in (
        ("take.json", ""),
        ("video_metadata.json", "video."),
        ("audio_metadata.json", "audio."),
    ):
        member = _named(members, basename)
        if member is None:
            continue
        try:
            content = read_json(member)
        except CaptureError as problem:
            warnings.append(f"{problem.message} It was left out.")
            continue
        if isinstance(content, dict):
            facts.update(_plain(content, prefix))
    log = _named(members, "frame_log.csv")
    if log is not None and "startTimecode" not in facts:
        start = _first_picture(log)
        if start is not None:
            facts["startTimecode"] = start
    return facts


def movie_start(facts: dict[str, Any]) -> float | None:
    """Time of day in s at which the take's movie begins, where take.json or the frame log says it."""
    start = facts.get("startTimecode")
    return timecode.parse_timecode(start) if isinstance(start, str) else None


def movie_end(facts: dict[str, Any]) -> float | None:
    """Time of day in s at which the take's movie ends, where take.json says it."""
    end = facts.get("endTimecode")
    return timecode.parse_timecode(end) if isinstance(end, str) else None


def _named(members: list[Member], basename: str) -> Member | None:
    return next((member for member in members if member.basename.lower() == basename), None)


def _plain(content: dict[Any, Any], prefix: str) -> dict[str, Any]:
    """The scalar entries, bounded, as nothing else is used."""
    facts: dict[str, Any] = {}
    for key, value in list(content.items())[:100]:
        if isinstance(value, str):
            facts[prefix + str(key)[:_TEXT_LENGTH]] = value[:_TEXT_LENGTH]
        elif isinstance(value, bool | int | float) and abs(value) < 1e18:
            facts[prefix + str(key)[:_TEXT_LENGTH]] = value
    return facts


def _first_picture(log: Member) -> str | None:
    """The time code of the first video row (`V`) of the frame log."""
    try:
        text = decoded(log.head(_LOG_BYTES)) or ""
    except CaptureError:
        return None
    for line in text.splitlines():
        cells = [cell.strip().strip('"') for cell in line.split(",")]
        if cells[0].upper() == "V":
            return next((cell for cell in cells[1:] if timecode.parse_timecode(cell) is not None), None)
    return None
