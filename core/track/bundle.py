# SPDX-License-Identifier: GPL-3.0-or-later
"""MediaPipe's `face_landmarker.task` bundle: where it is found, and the detector that uses it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..arkit import ARKIT_NAMES, INDEX
from ..errors import ModelError
from ..files import sha256_of
from ..head.embedding import cache_folder
from .detector import Face
from .mediapipe_module import import_mediapipe

FILE = "face_landmarker.task"
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
"""Of float16 version 1, the one that is tested."""
VARIABLE = "LIKENESS_MODELS"
_MAX_BYTES = 256 << 20


def models_folder() -> Path:
    """Where `core.track.fetch` puts the bundle."""
    return cache_folder() / "models"


def model_places(models: Sequence[Path] = ()) -> Iterator[Path]:
    """Folders (or files) that may have the bundle, best first: those given, `LIKENESS_MODELS`,
    ../shared/models beside the tree, the cache.
    """
    yield from (Path(place) for place in models)
    yield from (Path(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part)
    yield Path(__file__).resolve().parents[3] / "shared" / "models"
    yield models_folder()


def find_bundle(models: Sequence[Path] = ()) -> Path | None:
    """The bundle, or None where no place has it. A place may be the file itself."""
    for place in model_places(models):
        for candidate in (place / FILE, place):
            if candidate.name.endswith(".task") and candidate.is_file():
                return candidate
    return None


def require_bundle(models: Sequence[Path] = ()) -> Path:
    """The bundle, or ModelError that says how to get it."""
    found = find_bundle(models)
    if found is None:
        raise ModelError(
            f"{FILE} was not found.",
            f"Fetch it in the preferences, or name its folder there or in {VARIABLE}.",
        )
    return found


@lru_cache(maxsize=16)
def _sha256(path: Path, _size: int, _changed: int) -> str:
    return sha256_of(path)


def is_known(path: Path) -> bool:
    """Whether the file is the bundle that is tested (0.02 s the first time)."""
    facts = path.stat()
    return _sha256(path, facts.st_size, facts.st_mtime_ns) == SHA256


class BundleDetector:
    """Detector by MediaPipe Tasks: 478 landmarks, blendshape scores and the head's transform."""

    name = "mediapipe face landmarker (bundle)"
    independent = True

    def __init__(self, path: Path, *, video: bool, faces: int) -> None:
        """Open the bundle; ModelError when it is damaged or another file."""
        self._mediapipe = import_mediapipe()
        self._video, self._last = video, -1
        self.notes: tuple[str, ...] = ()
        vision = self._mediapipe.tasks.vision
        mode = vision.RunningMode.VIDEO if video else vision.RunningMode.IMAGE
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise ValueError("it is too large")
            if not is_known(path):
                self.notes = (
                    f"{path.name} in {path.parent} is another version than the one that was tested.",
                )
            # From memory: the native reader opens no path with letters beyond the system's code page.
            base = self._mediapipe.tasks.BaseOptions(model_asset_buffer=path.read_bytes())
            self._landmarker: Any = vision.FaceLandmarker.create_from_options(
                vision.FaceLandmarkerOptions(
                    base_options=base,
                    running_mode=mode,
                    num_faces=faces,
                    output_face_blendshapes=True,
                    output_facial_transformation_matrixes=True,
                )
            )
        except (OSError, ValueError, RuntimeError) as problem:
            raise ModelError(
                f"{path} cannot be used as a face landmarker.", f"Replace it by the {FILE} of MediaPipe."
            ) from problem

    def detect(self, rgb: np.ndarray, time: float) -> list[Face]:
        """See `Detector`."""
        image = self._mediapipe.Image(
            image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(rgb)
        )
        if self._video:
            self._last = max(self._last + 1, round(1000 * time))  # it wants rising milliseconds
            found = self._landmarker.detect_for_video(image, self._last)
        else:
            found = self._landmarker.detect(image)
        height, width = rgb.shape[:2]
        scale = np.array([width, height, width], np.float32)
        return [
            Face(
                np.array([(point.x, point.y, point.z) for point in landmarks], np.float32) * scale,
                _scores(found.face_blendshapes[index]),
                np.asarray(found.facial_transformation_matrixes[index], np.float32),
            )
            for index, landmarks in enumerate(found.face_landmarks)
        ]

    def restart(self) -> None:
        """See `Detector`. With two faces or more it keeps nothing that matters from picture to picture."""

    def close(self) -> None:
        """See `Detector`."""
        self._landmarker.close()


def _scores(categories: Any) -> np.ndarray:
    """(52,) float32 in the order of `ARKIT_NAMES`; what the detector does not know (tongueOut) is 0."""
    scores = np.zeros(len(ARKIT_NAMES), np.float32)
    for category in categories:
        column = INDEX.get(category.category_name)
        if column is not None:
            scores[column] = category.score
    return scores
