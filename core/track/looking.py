# SPDX-License-Identifier: GPL-3.0-or-later
"""What every picture of the footage shows: one pass, and a closer look where that found too little."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from ..progress import Progress, silent, subrange
from .detector import Detector, open_detector
from .lanes import Seen, detect_all, look_at
from .pictures import PHOTO_SIDE, Region
from .search import SIDE, find_region
from .source import Source

STAGE = "track"
DARK = 12.0
"""Mean brightness (0..255) under which a picture shows nothing."""
_MOST_LANES = 8
_ENOUGH = 0.5
"""Share of the pictures with a face from which no closer look is taken."""
_PROBES = 8
"""Pictures of a take that are searched for a small face."""
_MOST_PHOTOS = 100
"""Photos that are searched for a small face."""


@dataclass(frozen=True)
class Options:
    """How the detectors are opened."""

    models: tuple[Path, ...]
    kind: str
    faces: int

    def open(self, *, video: bool) -> Detector:
        """A new one."""
        return open_detector(self.models, video=video, faces=self.faces, kind=self.kind)


@dataclass(frozen=True)
class Looked:
    """What was found."""

    found: list[Seen]
    """Of every readable picture, in order."""
    skipped: int
    """Unreadable ones."""
    problems: tuple[str, ...]
    """Sentences about those."""
    detector: str
    notes: tuple[str, ...]
    """What the user should know about the detector."""

    @property
    def count(self) -> int:
        """Pictures with a face."""
        return sum(bool(one.faces) for one in self.found)


def look(source: Source, options: Options, progress: Progress = silent) -> Looked:
    """Faces in all pictures. Errors as of `track_capture`; `progress` may raise Cancelled."""
    looked = _pass(source, options, subrange(progress, 0.0, 0.98), None)
    lit = [one for one in looked.found if not one.brightness < DARK]
    if looked.count >= _ENOUGH * len(looked.found) or not lit:
        return looked
    progress = subrange(progress, 0.98, 0.99)
    progress(0.0, STAGE, "Looking closer for a small face")
    if not source.ordered:
        return _photos_closer(source, options, looked)
    region = _region(source, options, max(1, len(looked.found) // _PROBES))
    if region is None:
        return looked
    closer = _pass(source, options, progress, region)
    return closer if closer.count > looked.count else looked


def lane_count(*, independent: bool) -> int:
    """Detectors at work at once: as many as there are cores, up to `_MOST_LANES`, if each looks at a picture
    afresh; else 2 on every machine, as the number shows in the result.
    """
    return max(2, min(_MOST_LANES, os.cpu_count() or 1)) if independent else 2


def _pass(source: Source, options: Options, progress: Progress, region: Region | None) -> Looked:
    with source.open(region=region) as pictures:
        first = options.open(video=source.ordered)
        waiting = [first]

        def tell(count: int) -> None:
            total = max(pictures.total, count, 1)
            progress(count / total, STAGE, f"Looked at {count} of {total} pictures")

        def lane() -> Detector:
            return waiting.pop() if waiting else options.open(video=source.ordered)

        found = detect_all(pictures, lane, lane_count(independent=first.independent), tell)
        return Looked(found, pictures.skipped, tuple(pictures.problems), first.name, first.notes)


def _region(source: Source, options: Options, step: int) -> Region | None:
    """Where the face of a take is, from every `step`th picture."""
    with source.open(most=SIDE) as pictures, closing(options.open(video=False)) as detector:
        return find_region(islice(iter(pictures), step // 2, None, step), detector)


def _photos_closer(source: Source, options: Options, looked: Looked) -> Looked:
    """Each photo without a face once more, by itself."""
    found = list(looked.found)
    empty = [row for row, one in enumerate(found) if not one.faces and not one.brightness < DARK]
    with closing(options.open(video=False)) as detector:
        for row in empty[:_MOST_PHOTOS]:
            photo = replace(source, members=(source.members[round(found[row].time)],))
            region = find_region(photo.open(most=SIDE), detector)
            for picture in photo.open(most=PHOTO_SIDE, region=region) if region else ():
                found[row] = replace(look_at(picture, detector), time=found[row].time)
    return replace(looked, found=found)
