# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures and mattes that a take was tracked in, for the reference folder of its fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..avatar import Avatar
from ..capture import Capture, open_capture
from ..capture.naming import is_matte, natural_key
from ..errors import CaptureError
from ..progress import Progress, silent
from ..track import Track
from ..track.pictures import FRAME_RATE, read_photo
from ..track.source import Source

Array = np.ndarray

_WHOLE = 65_535
"""Longest side of a picture in px: no picture is made smaller."""
_OFTEN = 25
"""Pictures between two reports of progress."""
_SAME = 1e-4
"""Seconds within which two times are of one picture."""


@dataclass(frozen=True)
class Footage:
    """What a track was made from, still there."""

    capture: Capture
    track: Track

    @staticmethod
    def of(avatar: Avatar, track: Track) -> Footage:
        """The capture that the avatar was made from, or the media that it keeps. CaptureError where neither
        is there any more.
        """
        noted = avatar.provenance.get("capture", {})
        places = [Path(str(noted["path"]))] if isinstance(noted, dict) and "path" in noted else []
        places += [path for path in (avatar.media_path(role) for role in ("movie", "photo")) if path]
        for path in places:
            if path.exists():
                return Footage(open_capture(path), track)
        raise CaptureError(
            f"The footage of {avatar.name} is not where it was.",
            "Put it back, or export without --images.",
        )

    def pictures(self, frames: Array, progress: Progress = silent) -> Iterator[Array]:
        """(H, W, 3) uint8 RGB of frames ((n,) rising numbers) of the track, in full size.

        CaptureError where the footage is another than the track's.
        """
        wanted = list(frames)
        done = 0
        with Source.of(self.capture).open(most=_WHOLE) as source:
            for picture in source:
                if done == len(wanted):
                    return
                frame = wanted[done]
                if abs(picture.time - self.track.time[frame]) > _SAME:
                    continue
                if tuple(picture.size) != tuple(self.track.size[frame].tolist()):
                    break
                if done % _OFTEN == 0:
                    progress(done / len(wanted), "pictures", f"Writing {len(wanted)} pictures")
                done += 1
                yield picture.inside
        if done < len(wanted):
            raise CaptureError(
                f"{self.capture.name} is not the footage that was tracked: picture {done + 1} is missing.",
                "Import it again, or export without --images.",
            )

    def mattes(self, frames: Array) -> Iterator[Array]:
        """(H, W) uint8, 255 for the person, where the capture has a matte for every photo; else nothing."""
        if self.capture.movie is not None:
            return
        found = [member for member in self.capture.members if is_matte(member)]
        if len(found) != len(self.capture.photos):
            return
        found.sort(key=natural_key)
        for frame in frames:
            rgb, _ = read_photo(found[self._photo(int(frame))])
            yield np.ascontiguousarray(rgb[..., 0])

    def _photo(self, frame: int) -> int:
        """Place of a frame of the track among the photos, or frames, of the capture."""
        return round(float(self.track.time[frame]) * (FRAME_RATE if self.track.ordered else 1.0))
