# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress as a plain callable, so that no work knows who watches it."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str, str], None]
"""`progress(fraction, stage, text)`: 0..1, the stage's short name, a phrase for the user. May raise
Cancelled.
"""


def silent(_fraction: float, _stage: str, _text: str) -> None:
    """Watch nothing."""


class Previews:
    """Where work shows pictures of itself; nobody looks unless somebody set `show`."""

    show: Callable[[str], None] | None = None
    """Takes the path of a small picture, which may be written anew."""


def subrange(progress: Progress, start: float, end: float) -> Progress:
    """A progress whose 0..1 is `start`..`end` of `progress`."""

    def part(fraction: float, stage: str, text: str) -> None:
        progress(start + (end - start) * min(max(fraction, 0.0), 1.0), stage, text)

    return part
