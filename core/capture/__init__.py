# SPDX-License-Identifier: GPL-3.0-or-later
"""Open captures: Leap archives, Live Link Face takes, movies, photos and folders of frames.

`open_capture` finds the media and interprets nothing; `read_performance` reads recorded weights,
`read_face_mesh` a face mesh, and `inspect` says what is there, what is missing and how good it is.
Needs numpy only.
"""

from __future__ import annotations

from .capture import Capture
from .face_mesh import FaceMesh, read_face_mesh
from .images import ImageFacts, image_facts
from .inspection import inspect
from .media import MediaFacts, media_facts
from .member import Member, extract_all
from .opaque import OpaqueFacts, describe_opaque
from .opening import open_capture
from .quality import Quality, measure
from .recorded import read_performance, read_recording
from .report import Inspection, Part

__all__ = [
    "Capture",
    "FaceMesh",
    "ImageFacts",
    "Inspection",
    "MediaFacts",
    "Member",
    "OpaqueFacts",
    "Part",
    "Quality",
    "describe_opaque",
    "extract_all",
    "image_facts",
    "inspect",
    "measure",
    "media_facts",
    "open_capture",
    "read_face_mesh",
    "read_performance",
    "read_recording",
]
