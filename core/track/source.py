# SPDX-License-Identifier: GPL-3.0-or-later
"""Which part of a capture is looked at: its movie, its numbered frames or its photos."""

from __future__ import annotations

from dataclasses import dataclass

from ..capture import Capture, Member
from ..errors import CaptureError, SettingsError
from .movie import Movie
from .pictures import DETECT_SIDE, PHOTO_SIDE, Region, Stills, Wanted

MEDIA = ("auto", "movie", "photos")


@dataclass(frozen=True)
class Source:
    """Footage that can be opened as often as needed."""

    name: str
    """For the user."""
    members: tuple[Member, ...]
    """The movie, or the pictures in their order."""
    movie: bool
    ordered: bool
    """Whether its pictures follow each other in time."""

    @staticmethod
    def of(capture: Capture, media: str = "auto") -> Source:
        """The movie of a capture, or its pictures where it has none; `media` insists on one of `MEDIA`.

        CaptureError when the capture has none, SettingsError for an unknown `media`.
        """
        if media not in MEDIA:
            raise SettingsError(f"There is no media {media!r}.", f"Choose one of {', '.join(MEDIA)}.")
        if capture.movie is not None and media != "photos":
            return Source(capture.movie.basename, (capture.movie,), movie=True, ordered=True)
        if capture.photos and media != "movie":
            name = capture.photos[0].basename if len(capture.photos) == 1 else capture.path.name
            return Source(name, capture.photos, movie=False, ordered=capture.kind == "frames")
        wanted = {"auto": "movie and no photo", "movie": "movie", "photos": "photo"}[media]
        raise CaptureError(f"{capture.path.name} has no {wanted} to track a face in.", "Add the footage.")

    def open(
        self,
        *,
        most: int = 0,
        region: Region | None = None,
        wanted: Wanted | None = None,
        plain: bool = False,
    ) -> Movie | Stills:
        """Its pictures for one pass, as a context manager: longest side `most` px (by default what suits
        a detector), or only a region of each. `wanted`: only those; `plain`: not made square.
        """
        most = most or (DETECT_SIDE if self.ordered else PHOTO_SIDE)
        if self.movie:
            return Movie(self.members[0], most=most, region=region, wanted=wanted, plain=plain)
        return Stills(
            self.members, ordered=self.ordered, most=most, region=region, wanted=wanted, plain=plain
        )
