# SPDX-License-Identifier: GPL-3.0-or-later
"""What finds faces in a picture: the protocol that the rest relies on, and the choice of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import SettingsError

FACES = 4
"""Faces looked for in each picture. Never one: that would be the detector's choice and not ours, and the task
bundle then smooths, which lags behind a moving face."""
KINDS = ("auto", "bundle", "wheel")


@dataclass(frozen=True)
class Face:
    """One face in one picture."""

    landmarks: np.ndarray
    """(478, 3) float32 px of the picture that was given; z in the same unit, smaller is nearer."""
    scores: np.ndarray | None = None
    """(52,) float32 blendshape scores in the order of `ARKIT_NAMES`, or None."""
    transform: np.ndarray | None = None
    """(4, 4) float32 canonical face (cm) to the detector's camera, or None."""
    skin: np.ndarray | None = None
    """(3,) float32 sRGB 0..1 of the skin, once somebody looked (see `core.track.skin`)."""


class Detector(Protocol):
    """Finds faces. One that was opened for video wants pictures in the order of their time, and is used by
    one thread at a time.
    """

    name: str
    """What a track says it was made with."""
    independent: bool
    """Whether what it finds in a picture depends on that picture alone."""

    notes: tuple[str, ...]
    """What the user should know about it, one sentence each."""

    def detect(self, rgb: np.ndarray, time: float) -> list[Face]:
        """Faces in `rgb` (H, W, 3) uint8, taken at `time` (s); in no promised order."""
        ...

    def restart(self) -> None:
        """Forget what was seen: the next picture does not follow the last one."""
        ...

    def close(self) -> None:
        """Free what the detector holds."""
        ...


def open_detector(
    models: Sequence[Path] = (), *, video: bool = True, faces: int = FACES, kind: str = "auto"
) -> Detector:
    """The task bundle where one is found (see `core.track.bundle.find_bundle`), else the model in mediapipe's
    own wheel. `kind` insists on one of `KINDS`.

    WorkerError when mediapipe is not installed or carries no model; SettingsError for an unknown kind;
    ModelError when a bundle is asked for and there is none.
    """
    from .bundle import BundleDetector, find_bundle, require_bundle
    from .wheel import WheelDetector

    if kind not in KINDS:
        raise SettingsError(f"There is no detector {kind!r}.", f"Choose one of {', '.join(KINDS)}.")
    found = find_bundle(models) if kind == "auto" else None
    if kind == "bundle":
        found = require_bundle(models)
    faces = max(2, faces)
    return (
        BundleDetector(found, video=video, faces=faces) if found else WheelDetector(video=video, faces=faces)
    )
