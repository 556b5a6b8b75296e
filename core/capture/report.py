# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on a capture: its parts and their use, what is missing, and the quality, as data and as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .capture import Capture
from .media import MediaFacts
from .opaque import OpaqueFacts
from .quality import NORMAL_JITTER, Quality

_KIND_WORDS = {
    "leap": "Leap archive",
    "live_link": "Live Link Face take",
    "video": "movie",
    "photos": "photos",
    "frames": "sequence of frames",
}


@dataclass(frozen=True)
class Part:
    """One part of a capture and what it serves for."""

    role: str
    """`movie`, `photo`, `frames`, `face mesh`, `weights`, `flame`, `opaque` or `other`."""
    name: str
    size: int
    """Bytes."""
    facts: str
    """What it is, in a few words."""
    use: str
    """What it will be used for."""


@dataclass(frozen=True)
class Inspection:
    """Everything that can be said of a capture before work starts on it."""

    capture: Capture
    parts: tuple[Part, ...]
    missing: tuple[str, ...]
    """What is not there, and what that means, one sentence each."""
    problems: tuple[str, ...]
    """Parts that cannot be used, one sentence each."""
    warnings: tuple[str, ...]
    """What the user should know, one sentence each."""
    movie: MediaFacts | None = None
    quality: Quality | None = None
    opaque: tuple[OpaqueFacts, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether a double can be animated from what is there."""
        return bool(
            self.quality or self.movie or any(p.role in ("photo", "frames", "face mesh") for p in self.parts)
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        capture = self.capture
        return {
            "kind": capture.kind,
            "name": capture.name,
            "path": str(capture.path),
            "usable": self.usable,
            "parts": [vars(part) for part in self.parts],
            "missing": list(self.missing),
            "problems": list(self.problems),
            "warnings": list(self.warnings),
            "metadata": dict(capture.metadata),
            "movie": self.movie.to_dict() if self.movie else None,
            "quality": self.quality.to_dict() if self.quality else None,
            "opaque": [facts.to_dict() for facts in self.opaque],
        }

    def lines(self) -> list[str]:
        """The report as text, one line each, without a line end."""
        text = [f"{self.capture.path.name}: {_KIND_WORDS[self.capture.kind]}", ""]
        width = max((len(part.name) for part in self.parts), default=0)
        for part in self.parts:
            text.append(f"  {part.name:<{min(width, 40)}}  {part.facts}")
            text.append(f"  {'':<{min(width, 40)}}  -> {part.use}")
        if self.quality:
            text += ["", "Recorded weights"] + [f"  {line}" for line in _quality_lines(self.quality)]
        for title, sentences in (
            ("Missing", self.missing),
            ("Problems", self.problems),
            ("Notes", self.warnings),
        ):
            if sentences:
                text += ["", title] + [f"  {sentence}" for sentence in sentences]
        return text


def _quality_lines(quality: Quality) -> list[str]:
    drops = f"{quality.dropped} frames dropped ({quality.dropped_share:.1%})"
    lines = [
        f"{quality.seconds:.2f} s, {quality.rows} rows at {quality.rate:.4g} rows/s",
        f"{drops}, longest gap {1000 * quality.longest_gap:.0f} ms, {quality.repeated} rows repeated",
    ]
    if quality.drift is not None and quality.start_offset is not None and quality.end_offset is not None:
        lines.append(
            f"against the movie: starts {quality.start_offset:+.3f} s, ends {quality.end_offset:+.3f} s, "
            f"drifts {quality.drift_per_minute or 0.0:+.3f} s a minute"
        )
    head, gaze = ("recorded" if there else "missing" for there in (quality.head_rotation, quality.gaze))
    lines.append(f"head rotation: {head}; gaze: {gaze}")
    if quality.clipped:
        lines.append(
            "at full weight: "
            + ", ".join(f"{n} {share:.0%} of the time" for n, share in quality.clipped.items())
        )
    if quality.out_of_range:
        lines.append(
            "outside 0..1: " + ", ".join(f"{n} {value:.2f}" for n, value in quality.out_of_range.items())
        )
    if quality.dead:
        lines.append("without movement: " + ", ".join(quality.dead))
    noisy = [f"{name} {value:.4f}" for name, value in quality.worst_jitter]
    verdict = "steady" if quality.worst_jitter[0][1] < NORMAL_JITTER else "shaky: smoothing is advised"
    lines.append(f"jitter ({verdict}): {', '.join(noisy)}")
    if quality.head_jitter is not None:
        lines.append(f"head jitter: {quality.head_jitter:.3f} degrees")
    return lines
