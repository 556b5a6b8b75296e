# SPDX-License-Identifier: GPL-3.0-or-later
"""Open captures: Leap archives, Live Link Face takes, movies, photos and folders of frames.

`open_capture` finds the media and interprets nothing; `read_performance` reads recorded weights, `read_face_mesh` a
face mesh, and `inspect` says what is there, what is missing and how good it is. Needs numpy only.
"""

from __future__ import annotations

from .capture import Capture
from .member import Member
from .opening import open_capture
from .recorded import read_performance, read_recording

__all__ = ["Capture", "Member", "open_capture", "read_performance", "read_recording"]
