# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Leap result holds and what each part will serve for, as data and as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import CaptureError
from .images import image_facts
from .inspection import inspect
from .media import MediaFacts, media_facts
from .member import Member
from .opening import open_capture
from .report import Part
from .results import Results, find_results

_FIRST_NAMES = 6


def inspect_path(path: Path) -> tuple[dict[str, Any], list[str]]:
    """What is in a capture, or in a Leap result and in the capture that it was made of."""
    results = find_results(path)
    if results is None:
        inspection = inspect(open_capture(path))
        return inspection.to_dict(), inspection.lines()
    value, lines = describe_results(results)
    try:
        inspection = inspect(open_capture(path))
    except CaptureError:
        return value, lines
    return {**value, "capture": inspection.to_dict()}, [*lines, "", "The capture:", *inspection.lines()]


def describe_results(results: Results) -> tuple[dict[str, Any], list[str]]:
    """Plain values for JSON, and lines for a person. Damaged parts are listed as problems."""
    problems: list[str] = []
    parts = [_model_part(results), *_movie_parts(results, problems)]
    missing = _missing(results)
    value = {
        "kind": "leap_results",
        "name": results.name,
        "path": str(results.path),
        "usable": True,
        "customised": results.customised,
        "eyes": "meshes" if results.has_eyes else "painted",
        "parts": [vars(part) for part in parts],
        "clips": [vars(clip) for clip in results.facts.clips],
        "missing": missing,
        "problems": problems,
        "warnings": list(results.warnings),
    }
    return value, _lines(results, parts, missing, problems)


def _model_part(results: Results) -> Part:
    facts = results.facts
    named = ", ".join(facts.materials[:_FIRST_NAMES]) + (
        " ..." if len(facts.materials) > _FIRST_NAMES else ""
    )
    clips = [f"{clip.seconds:.2f} s at {clip.rate:.4g} keys/s" for clip in facts.clips]
    known = f"{facts.vertices} vertices, {len(facts.joints)} bones, {len(facts.shapes)} shapes"
    known += f", {len(clips)} clip{'' if len(clips) == 1 else 's'}"
    known += f" ({', '.join(clips[:3])})" if clips else ""
    eyes = "eyes are meshes" if results.has_eyes else "eyes are painted into the head's texture"
    return Part("model", results.model.name, results.model.size, f"{known}; {named}; {eyes}", "the person")


def _movie_parts(results: Results, problems: list[str]) -> list[Part]:
    parts: list[Part] = []
    for role, member, use in (
        ("textures", results.textures, "texture of the head, picture by picture, in step with the clip"),
        ("scalp", results.scalp, "stays on top of the movie where it is opaque"),
        ("footage", results.footage, "sound, and the recording beside the double"),
    ):
        if member is None:
            continue
        try:
            known = _picture_words(member) if role == "scalp" else _movie_words(media_facts(member))
            parts.append(Part(role, member.name, member.size, known, use))
        except CaptureError as problem:
            problems.append(str(problem))
    if results.clip_model is not None:
        use = "its clip plays on the model"
        parts.append(
            Part("clip", results.clip_model.name, results.clip_model.size, "the original model", use)
        )
    return parts


def _picture_words(member: Member) -> str:
    facts = image_facts(member)
    return f"{facts.format}, {facts.width} x {facts.height} px"


def _movie_words(facts: MediaFacts) -> str:
    width, height = facts.display_size
    sound = "with sound" if facts.audio else "without sound"
    return f"{facts.duration:.2f} s, {facts.fps:.4g} frames/s, {width} x {height} px, {facts.codec}, {sound}"


def _missing(results: Results) -> list[str]:
    missing = []
    if results.textures is None:
        missing.append("There is no textures.mp4, so the head keeps the still texture of the model.")
    if not results.facts.clips and results.clip_model is None:
        missing.append("The model has no clip, so the double does not move.")
    if results.footage is None:
        missing.append("There is no ARVideo.mp4, so there is no sound.")
    return missing


def _lines(results: Results, parts: list[Part], missing: list[str], problems: list[str]) -> list[str]:
    text = [f"{results.path.name}: Leap result", ""]
    width = min(40, max(len(part.name) for part in parts))
    for part in parts:
        text += [f"  {part.name:<{width}}  {part.facts}", f"  {'':<{width}}  -> {part.use}"]
    if results.has_customised and not results.customised:
        text += ["", "There is also the model that was dressed in MetaPerson Creator."]
    for title, sentences in (("Missing", missing), ("Problems", problems), ("Notes", results.warnings)):
        if sentences:
            text += ["", title, *(f"  {sentence}" for sentence in sentences)]
    return text
