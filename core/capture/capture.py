# SPDX-License-Identifier: GPL-3.0-or-later
"""An opened source: its media, meshes and recorded weights by reference. Nothing in it is interpreted yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .member import Member

KINDS = ("leap", "live_link", "video", "photos", "frames")


@dataclass(frozen=True)
class Capture:
    """What `open_capture` found. All members are read on demand from the user's own file or folder."""

    kind: str
    """`leap`, `live_link`, `video`, `photos` or `frames`."""
    path: Path
    """The file or folder that was opened."""
    name: str
    """A name for the person or take, from the file name."""
    members: tuple[Member, ...]
    """Every file, used or not."""
    movie: Member | None = None
    """The recording of the face."""
    photos: tuple[Member, ...] = ()
    """Portraits, or the frames of a sequence in their order."""
    face_meshes: tuple[Member, ...] = ()
    """OBJ meshes of the face, the first frame's first."""
    weights_csv: Member | None = None
    """The table of recorded ARKit weights."""
    flame_fit: Member | None = None
    """CAP4D's `fit.npz`: FLAME parameters and cameras that a tracker found for these pictures."""
    opaque: tuple[Member, ...] = ()
    """Undocumented parts, kept byte-exact and not decoded."""
    metadata: Any = field(default_factory=lambda: MappingProxyType({}))
    """Facts of the take by name (subject, slate, device, start time code ...), read-only."""
    warnings: tuple[str, ...] = ()
    """What the user should know, one sentence each."""
