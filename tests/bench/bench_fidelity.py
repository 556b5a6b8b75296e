# SPDX-License-Identifier: GPL-3.0-or-later
"""How near the double comes to the footage: re-rendered through the fitted camera, inside the face.

Tracking and fitting see all pictures; a movie's texture sees every second one, and figures are of the others
unless their name says `shown`. Their light is the take's, their gain and track picture are the mean of their
neighbours'. Of photos each is held out in turn, and its light is fitted to it. Contact sheets lie in
out/bench/fidelity.
"""

# ruff: noqa: E402  (numpy reads how many threads it may use when it is first imported)

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.bench.fidelity_albedo import albedo_figures
from tests.bench.fidelity_compare import Comparison, Scores, Seen, spread_out
from tests.bench.fidelity_render import rendered_sheet
from tests.bench.fidelity_sheet import sheet
from tests.bench.fidelity_subject import CAPTURES, Subject, available, subjects

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "out" / "bench" / "fidelity"
ROWS = 10
LEAST_DB = 26.0

TARGETS = {"sample_albedo_delta_e": 8.0}
"""CIE76, over what of the face was measured; it is 14 before the light is taken out."""
MINIMA = {f"{name}_track_psnr_db": LEAST_DB for name in CAPTURES if name != "person_a" and available(name)}
NOTES: list[str] = []
"""For people: what was left out, and where the sheets are."""


def run(names: Sequence[str] = tuple(CAPTURES), out: Path = OUT, blender: bool = False) -> dict[str, float]:
    """All figures, and a sheet of every capture that is here. `blender`: also renders of a few moments."""
    out.mkdir(parents=True, exist_ok=True)
    figures: dict[str, float] = {}
    for name in names:
        if not available(name):
            NOTES.append(f"{name} skipped: {CAPTURES[name].name} of the shared test data is not here")
            continue
        found, path = compared(name, out)
        figures |= {f"{name}_{key}": value for key, value in found.items()}
        NOTES.append(f"sheet: {path}")
        if blender:
            NOTES.append(f"rendered: {rendered_sheet(name, out)}")
    return figures


def compared(name: str, out: Path) -> tuple[dict[str, float], Path]:
    """A capture's figures and its contact sheet."""
    scores, figures, seconds = Scores(), {}, []
    rows: list[tuple[Seen, np.ndarray]] = []
    for subject in subjects(name, out):
        comparison, wanted = Comparison(subject), moments(subject)
        for seen in comparison.samples():
            scores.add(seen)
            if seen.index in wanted:
                rows.append((seen, pixels_of(subject, seen)))
        seconds += comparison.seconds
        figures |= subject.figures | (albedo_figures(subject) if name == "sample" else {})
        atlas = subject.head.atlas
    if scores.lpips.missing and scores.lpips.missing not in NOTES:
        NOTES.append(scores.lpips.missing)
    path = sheet(rows, atlas, out / f"{name}.png")
    return {**scores.figures(), **figures, "render_ms": 1000.0 * float(np.median(seconds))}, path


def moments(subject: Subject) -> list[int]:
    """The held-out samples that the sheet shows: the most extreme and most unlike each other. Of photos that
    were all shown, all.
    """
    every = np.arange(subject.head.count)
    held = np.setdiff1d(every, subject.kept)
    return spread_out(subject.head.performance.weights, held if len(held) else every, ROWS)


def pixels_of(subject: Subject, row: Seen) -> np.ndarray:
    """(V, 2) px of the head in a sample's footage."""
    head, camera = subject.head, subject.head.camera
    shown = camera.project(head.vertices(row.index), row.index)
    return shown * (row.footage.shape[1] / camera.size[camera.row(row.index), 0])
