# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian heads of whole takes at 512 px: how soon they are how near, against mesh and texture track.

Samples 0, 2, 4 ... train Gaussians and texture; all figures are of the others, seen through poses and weights
that were tracked in all pictures, what was learned per picture taken from the neighbours in time. `head` is
inside the matte of head, hair and neck, `face` where the mesh has its face. Times to so many dB are of the
training alone, by the wall (`wall`) and of all processors (`cpu`); cutting out the pictures is told beside
them. A time of nan was not reached.

By itself the bench trains `SHORT` steps on one take; with LIKENESS_BENCH_FULL all of the default preset on
all takes. LIKENESS_SPLAT_STEPS says how many steps instead. Sheets lie in out/bench/splat_avatar;
`python tests/bench/splat_avatar.py` runs takes by name.
"""

# ruff: noqa: E402  (numpy reads how many threads it may use when it is first imported)

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.splat.presets import preset_of
from tests.bench import splat_avatar_files
from tests.bench.fidelity_compare import spread_out
from tests.bench.fidelity_metrics import Lpips
from tests.bench.fidelity_subject import CAPTURES, available, subjects
from tests.bench.splat_avatar_score import Row, figures, sheet
from tests.bench.splat_avatar_subject import avatar_of, on_the_mesh
from tests.bench.splat_avatar_turned import turned

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "out" / "bench" / "splat_avatar"
SHORT = 600
FULL = bool(os.environ.get("LIKENESS_BENCH_FULL"))
STEPS = int(os.environ.get("LIKENESS_SPLAT_STEPS", "0" if FULL else str(SHORT)))
NAMES = ("expressions", "talking", "sample") if FULL else ("expressions",)
MARKS = (27, 29, 31)
"""dB."""
ROWS = 6

TARGETS = {f"{name}_peak_mb": 3000.0 for name in NAMES if available(name)}
if STEPS == 0:
    TARGETS |= {f"{name}_all_wall_s": 300.0 for name in NAMES if available(name)}
MINIMA = {"expressions_splats_head_psnr_db": 29.0} if available("expressions") else {}
NOTES: list[str] = []
"""For people: what was left out, and where the sheets are."""


def run(
    names: Sequence[str] = NAMES, out: Path = OUT, steps: int = STEPS, preset: str = "default"
) -> dict[str, float]:
    """All figures, and a sheet of every take that is here. steps: 0 are those of the preset."""
    out.mkdir(parents=True, exist_ok=True)
    found: dict[str, float] = {}
    for name in names:
        if not available(name):
            NOTES.append(f"{name} skipped: {CAPTURES[name].name} of the shared test data is not here")
            continue
        found |= {f"{name}_{key}": value for key, value in measured(name, out, steps, preset).items()}
    return found


def measured(name: str, out: Path, steps: int, preset: str) -> dict[str, float]:
    """Of one take."""
    subject = next(iter(subjects(name, out)))
    avatar = avatar_of(subject, out / f"{name}.avatar")
    path = out / f"{name}.npz"
    words = [str(avatar.folder), preset, str(steps), str(path)]
    subprocess.run([sys.executable, "-m", "tests.bench.splat_avatar_run", *words], cwd=ROOT, check=True)
    with np.load(path) as stored:
        arrays = {key: stored[key] for key in stored.files}
    told, lpips = json.loads(str(arrays["told"])), Lpips()
    if lpips.missing and lpips.missing not in NOTES:
        NOTES.append(lpips.missing)
    held = set(arrays["samples"].tolist())
    rows = [Row.of(arrays, seen) for seen in on_the_mesh(subject, held, preset_of(preset).resolution)]
    wanted = spread_out(subject.head.performance.weights, arrays["samples"], ROWS)
    NOTES.append(f"sheet: {sheet([row for row in rows if row.sample in wanted], out / f'{name}.png')}")
    NOTES.append(f"from all sides: {turned(avatar, out / f'{name}_turned.png')}")
    NOTES.append(
        f"{name}: {told['gaussians']} Gaussians of degree {told['degree']} with {told['latents']} latents, "
        f"{told['steps']} steps on {told['pictures']} pictures, {len(rows)} tested; left out: "
        f"{told['left_out'] or 'none'}"
    )
    return times(told) | figures(rows, lpips) | splat_avatar_files.figures(avatar, out / f"{name}_files")


def times(told: dict[str, Any]) -> dict[str, float]:
    """What the training cost, and when it was how near."""
    found: dict[str, float] = {}
    steps, wall, cpu, psnr, _ = np.array(told["curve"]).T
    for mark in MARKS:
        for kind, spent in (("wall_s", wall), ("cpu_s", cpu), ("steps", steps)):
            found[f"to_{mark}_db_{kind}"] = reached(spent, psnr, mark)
    for key in ("cut_wall_s", "cut_cpu_s", "train_wall_s", "train_cpu_s", "peak_mb", "gaussians"):
        found[key] = float(told[key])
    found["all_wall_s"] = told["cut_wall_s"] + told["train_wall_s"]
    found["all_cpu_s"] = told["cut_cpu_s"] + told["train_cpu_s"]
    found["steps_per_wall_s"] = told["steps"] / told["train_wall_s"]
    found["steps_per_cpu_s"] = told["steps"] / told["train_cpu_s"]
    return found


def reached(spent: np.ndarray, psnr: np.ndarray, mark: float) -> float:
    """When a curve first comes to the mark, between two looks in proportion; nan where it never does."""
    above = np.flatnonzero(psnr >= mark)
    if not len(above):
        return float("nan")
    last = above[0]
    if last == 0:
        return float(spent[0])
    share = (mark - psnr[last - 1]) / (psnr[last] - psnr[last - 1])
    return float(spent[last - 1] + share * (spent[last] - spent[last - 1]))
