# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a person is in a picture: a soft matte by mediapipe's selfie segmentation, drawn to its edges.

The model sees 256 x 256 px, so it is given a square around the head. What it says is blurred by that; a
guided filter (He, Sun, Tang, "Guided image filtering", 2013) lets it follow hair and outline as the picture
shows them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..errors import SplatError, WorkerError
from ..track.bundle import model_places
from ..track.mediapipe_module import import_mediapipe, quiet

Array = np.ndarray

FILE = "selfie_segmentation.tflite"
SIDE = 256
"""px of the square that the model looks at."""
_IN_WHEEL = Path("modules") / "selfie_segmentation" / FILE
_OTHER_NAMES = (FILE, "selfie_segmenter.tflite")
_MOST_BYTES = 64 << 20
_LOST = 0.05
_STEEPER = 3.0
"""The model's own border is three of its pixels wide, an outline is narrower."""
_PLAIN = 1e-3
"""Variance of a mask under which there is nothing to explain."""
_TOLD = 1.25
"""Colours that explain four fifths of a mask tell enough."""
EPS = 1e-4
"""Variance of colour (0..1) under which the filter smooths instead of following an edge."""


@dataclass(frozen=True)
class Square:
    """A square part of a picture, which may reach out of it."""

    x: float
    """px: left edge."""
    y: float
    """px: upper edge."""
    side: float
    """px."""

    @property
    def to_model(self) -> Array:
        """(2, 3) px of the picture to px of the model's picture."""
        scale = SIDE / self.side
        shift = 0.5 * scale - 0.5  # cv2 counts from the middle of the first pixel
        return np.array([[scale, 0, shift - self.x * scale], [0, scale, shift - self.y * scale]])


class Segmenter:
    """mediapipe's segmentation of people. Use as a context manager; one thread at a time."""

    def __init__(self, models: Sequence[Path] = ()) -> None:
        """SplatError where library or model is missing: without them no matte is possible."""
        self._stack = contextlib.ExitStack()
        try:
            self._mediapipe = import_mediapipe()
            path = _model(self._mediapipe, models)
            with quiet():
                self._segmenter: Any = _opened(self._mediapipe, path)
        except WorkerError as problem:
            raise SplatError(
                "The head has no mattes and none can be made: mediapipe's segmentation is missing.",
                "Make the worker environment, or give mattes: bg/cam0/*.png beside images/cam0.",
            ) from problem

    def __enter__(self) -> Segmenter:
        self._stack.enter_context(quiet())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._segmenter.close()
        self._stack.close()

    def look(self, rgb: Array, square: Square) -> Array:
        """(256, 256) float32 0..1, how surely a person is there, of a square of a picture (H, W, 3) uint8."""
        import cv2

        to_model = square.to_model
        method = cv2.INTER_LINEAR
        if square.side > 2 * SIDE:  # linear interpolation would skip pixels
            shrink = SIDE / square.side
            rgb = cv2.resize(rgb, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
            to_model = Square(square.x * shrink, square.y * shrink, SIDE).to_model
        part = cv2.warpAffine(rgb, to_model, (SIDE, SIDE), flags=method, borderMode=cv2.BORDER_REPLICATE)
        image = self._mediapipe.Image(
            image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(part)
        )
        masks = self._segmenter.segment(image).confidence_masks
        return np.array(masks[-1].numpy_view(), np.float32).reshape(SIDE, SIDE)


def _model(mediapipe: Any, models: Sequence[Path]) -> Path:
    places = [Path(mediapipe.__file__).parent / _IN_WHEEL]
    places += [place / name for place in model_places(models) for name in _OTHER_NAMES]
    for path in places:
        if path.is_file() and path.stat().st_size <= _MOST_BYTES:
            return path
    raise WorkerError(f"This version of mediapipe carries no {FILE}.")


def _opened(mediapipe: Any, path: Path) -> Any:
    vision = mediapipe.tasks.vision
    try:
        # From memory: the native reader opens no path with letters beyond the system's code page.
        base = mediapipe.tasks.BaseOptions(model_asset_buffer=path.read_bytes())
        return vision.ImageSegmenter.create_from_options(
            vision.ImageSegmenterOptions(
                base_options=base,
                running_mode=vision.RunningMode.IMAGE,
                output_category_mask=False,
                output_confidence_masks=True,
            )
        )
    except (OSError, ValueError, RuntimeError) as problem:
        raise SplatError(f"{path} cannot be used to tell a person from the background.") from problem


def laid_back(mask: Array, square: Square, corner: tuple[int, int], size: tuple[int, int]) -> Array:
    """(h, w) float32: a mask of `Segmenter.look` over the part of the picture at `corner` (x, y) of `size`
    (h, w).
    """
    import cv2

    moved = Square(square.x - corner[0], square.y - corner[1], square.side)
    return cv2.warpAffine(
        mask,
        moved.to_model,
        (size[1], size[0]),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def refined(mask: Array, rgb: Array, radius: int, eps: float = EPS) -> Array:
    """(h, w) float32 0..1: a soft mask (h, w) drawn to the edges of a picture (h, w, 3) uint8.

    The guided filter with a colour guide: in every window of 2 radius + 1 px the mask is a linear function of
    the colour. The functions are found at half the size (He and Sun, "Fast guided filter", 2015). Where
    colours do not tell the person from what is behind, dark hair before dark leaves, the filter would only
    blur: there the mask stays.
    """
    import cv2

    full = (mask.shape[1], mask.shape[0])
    half = (max(1, full[0] // 2), max(1, full[1] // 2))
    slope, offset, told = _functions(
        cv2.resize(mask, half, interpolation=cv2.INTER_AREA),
        cv2.resize(rgb, half, interpolation=cv2.INTER_AREA).astype(np.float32) * np.float32(1 / 255),
        max(1, round(0.5 * radius)),
        eps,
    )
    found = cv2.resize(offset, full, interpolation=cv2.INTER_LINEAR)
    for channel in range(3):
        grown = cv2.resize(slope[..., channel], full, interpolation=cv2.INTER_LINEAR)
        found += cv2.multiply(grown, rgb[..., channel], scale=1 / 255, dtype=cv2.CV_32F)
    # What is sure comes out a little less so, where the window reaches over an edge.
    found = np.clip((found - np.float32(_LOST)) * np.float32(1 / (1 - 2 * _LOST)), 0, 1)
    plain = np.clip(np.float32(_STEEPER) * (mask - np.float32(0.5)) + np.float32(0.5), 0, 1)
    return plain + cv2.resize(told, full, interpolation=cv2.INTER_LINEAR) * (found - plain)


def _functions(mask: Array, guide: Array, radius: int, eps: float) -> tuple[Array, Array, Array]:
    """Slopes (h, w, 3) and offsets (h, w) of the linear functions of colour (0..1) around each px, and (h, w)
    how much of the mask they explain, 0..1.
    """
    mean, mean_mask = _box(guide, radius), _box(mask, radius)
    covariance = _box(guide * mask[..., None], radius) - mean * mean_mask[..., None]
    pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    spread = [_box(guide[..., i] * guide[..., j], radius) - mean[..., i] * mean[..., j] for i, j in pairs]
    slope = _solved(spread, covariance, eps)
    offset = mean_mask - (slope * mean).sum(axis=2)
    variance = _box(mask * mask, radius) - mean_mask * mean_mask
    told = np.clip((slope * covariance).sum(axis=2) / (variance + np.float32(_PLAIN)), 0, 1)
    told = np.clip(np.float32(_TOLD) * _box(told, max(1, radius // 2)), 0, 1)
    return _box(slope, radius), _box(offset, radius), told


def _box(values: Array, radius: int) -> Array:
    import cv2

    side = 2 * radius + 1
    return cv2.boxFilter(values, -1, (side, side), borderType=cv2.BORDER_REFLECT)


def _solved(spread: Sequence[Array], right: Array, eps: float) -> Array:
    """(h, w, 3): symmetric (3, 3) matrices, upper triangles by rows, plus eps on the diagonal, solved."""
    a, b, c, d, e, f = spread
    a, d, f = a + eps, d + eps, f + eps
    # Adjugate over determinant.
    aa, ab, ac = d * f - e * e, c * e - b * f, b * e - c * d
    bb, bc, cc = a * f - c * c, b * c - a * e, a * d - b * b
    over = 1 / (a * aa + b * ab + c * ac)
    x, y, z = right[..., 0], right[..., 1], right[..., 2]
    return np.dstack(
        [
            (aa * x + ab * y + ac * z) * over,
            (ab * x + bb * y + bc * z) * over,
            (ac * x + bc * y + cc * z) * over,
        ]
    )


def ramp(values: Array, low: float, high: float) -> Array:
    """float32: 0 up to `low`, 1 from `high` on, smooth between."""
    t = np.clip((values - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return t * t * (3 - 2 * t)


def steadied(before: Array, mask: Array, after: Array) -> Array:
    """The median of three masks: what only one picture shows is a mistake of the model."""
    return np.maximum(np.minimum(before, mask), np.minimum(np.maximum(before, mask), after))
