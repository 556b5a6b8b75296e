# SPDX-License-Identifier: GPL-3.0-or-later
"""The landmark model that mediapipe's 0.10.21 wheel carries: 478 landmarks, no scores, no download."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import WorkerError
from .detector import Face
from .mediapipe_module import import_mediapipe
from .track import LANDMARKS

_RECORD = 17
"""Bytes of a serialized landmark: two of framing, then x, y and z, each a tag and a float32."""


class WheelDetector:
    """Detector by `mediapipe.solutions.face_mesh` with refined lips, eyes and irises."""

    name = "mediapipe face mesh (wheel)"
    independent = False
    notes: tuple[str, ...] = ()

    def __init__(self, *, video: bool, faces: int) -> None:
        """Open the model; WorkerError when this mediapipe carries none."""
        mediapipe = import_mediapipe()
        solutions = getattr(mediapipe, "solutions", None)
        if solutions is None or not hasattr(solutions, "face_mesh"):
            raise WorkerError(
                "This version of mediapipe carries no face model.",
                "Fetch face_landmarker.task in the preferences, or name its folder in LIKENESS_MODELS.",
            )
        self._mesh: Any = solutions.face_mesh.FaceMesh(
            static_image_mode=not video, max_num_faces=faces, refine_landmarks=True
        )

    def detect(self, rgb: np.ndarray, time: float) -> list[Face]:
        """See `Detector`."""
        found = self._mesh.process(rgb).multi_face_landmarks or []
        height, width = rgb.shape[:2]
        # Depth has the scale of x.
        scale = np.array([width, height, width], np.float32)
        return [Face(_points(landmarks) * scale) for landmarks in found]

    def restart(self) -> None:
        """See `Detector`."""
        self._mesh.reset()

    def close(self) -> None:
        """See `Detector`."""
        self._mesh.close()


def _points(landmarks: Any) -> np.ndarray:
    """(478, 3) float32 of a NormalizedLandmarkList: from its bytes, ten times faster than by attributes."""
    data = np.frombuffer(landmarks.SerializeToString(), np.uint8)
    if data.size == LANDMARKS * _RECORD:
        records = data.reshape(LANDMARKS, _RECORD)
        if (
            np.array_equal(records[0, [2, 7, 12]], (0x0D, 0x15, 0x1D))
            and not np.ptp(records[:, [2, 7, 12]], axis=0).any()
        ):
            values = records[:, 2:].reshape(LANDMARKS, 3, 5)[:, :, 1:]
            return np.ascontiguousarray(values).view("<f4")[..., 0]
    return np.array([(point.x, point.y, point.z) for point in landmarks.landmark], np.float32)
