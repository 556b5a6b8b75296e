# SPDX-License-Identifier: GPL-3.0-or-later
"""The recovered albedo of the sample against the skin colour that it was rendered with.

The footage went through a filmic view transform (AgX) and nobody knows its exposure, so one gain per
channel is free. Brows and lashes are hairs on the true skin, and are left out with the eyes.
"""

from __future__ import annotations

import cv2
import numpy as np

from core.head.atlas import SKIN
from core.texture.colour import to_linear
from core.texture.face_regions import BROWS, EYES, is_face, triangle_regions
from core.texture.footage import footage_pictures
from core.texture.texels import TexelTable
from core.texture.unproject import Unprojector
from tests.bench.fidelity_metrics import delta_e
from tests.bench.fidelity_subject import Subject
from tests.bench.truth import FOLDER

Array = np.ndarray

TRUTH = FOLDER / "likeness_sample_albedo.png"
COVERED = 200
"""Coverage from which a texel counts as measured."""


def albedo_figures(subject: Subject) -> dict[str, float]:
    """Errors of the still before and after its light was divided out."""
    truth = to_linear(cv2.cvtColor(cv2.imread(str(TRUTH)), cv2.COLOR_BGR2RGB))
    size = truth.shape[0]
    mask = measured_face(subject, size)
    after = smaller(to_linear(subject.still.albedo), size)
    before = smaller(lit_mean(subject, subject.still.albedo.shape[0]), size)
    found = {"covered_texels": float(mask.sum())}
    for name, picture in (("lit", before), ("albedo", after)):
        found |= {f"{name}_{key}": value for key, value in errors(picture[mask], truth[mask]).items()}
    return found


def errors(found: Array, truth: Array) -> dict[str, float]:
    """Of colours (n, 3) linear against the true ones, after the gain per channel that fits best."""
    gain = np.sum(found * truth, axis=0) / np.sum(found * found, axis=0)
    off = delta_e(found * gain, truth)
    rmse = float(np.sqrt(np.mean((found * gain - truth) ** 2)))
    return {
        "delta_e": float(off.mean()),
        "delta_e_p95": float(np.percentile(off, 95)),
        "rmse": rmse,
        "gain_spread": float(gain.max() / gain.min()),
    }


def measured_face(subject: Subject, size: int) -> Array:
    """(size, size) bool: bare skin of the face that the still measured, away from borders."""
    head = subject.taught
    table = TexelTable.of(head.atlas, size)
    region = np.where(table.inside, triangle_regions(head.model, head.atlas)[table.triangle], 0)
    bare = is_face(region) & ~np.isin(region, (EYES, BROWS)) & (table.chart == SKIN)
    covered = cv2.resize(subject.still.coverage, (size, size), interpolation=cv2.INTER_AREA) >= COVERED
    inside = (bare & covered).astype(np.uint8)
    return cv2.erode(inside, np.ones((5, 5), np.uint8)) > 0


def lit_mean(subject: Subject, size: int) -> Array:
    """(size, size, 3) linear: the plain mean of the still's own pictures as they were lit."""
    head = subject.taught
    unprojector = Unprojector(head.model, head.atlas, size)
    total, weight = np.zeros((size, size, 3), np.float32), np.zeros((size, size, 1), np.float32)
    chosen = sorted(int(index) for index in subject.still.frames)
    for index, picture, _ in footage_pictures(subject.capture, head.performance, chosen):
        row = head.camera.row(index)
        seen = unprojector.unproject(picture, head.camera, row, head.vertices(index))
        share = seen.weight[..., None].astype(np.float32)
        total += share * to_linear(seen.rgb)
        weight += share
    return total / np.maximum(weight, 1e-6)


def smaller(picture: Array, size: int) -> Array:
    """(size, size, 3) by area."""
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
