# SPDX-License-Identifier: GPL-3.0-or-later
"""Find a face in footage: exact times, 478 landmarks, blendshape scores where the detector has them.

`track_capture` makes a `Track` of a capture; `open_detector` gives the detector itself, for pictures that are
at hand. mediapipe, av, cv2 and pillow are needed only while that runs; `Track` itself needs numpy alone.
"""

from __future__ import annotations

from .bridge import Bridged, bridged
from .detector import Detector, Face, open_detector
from .jitter import jitter_px, still_frames
from .mediapipe_module import quiet
from .track import Track
from .tracking import track_capture

__all__ = [
    "Bridged",
    "Detector",
    "Face",
    "Track",
    "bridged",
    "jitter_px",
    "open_detector",
    "quiet",
    "still_frames",
    "track_capture",
]
