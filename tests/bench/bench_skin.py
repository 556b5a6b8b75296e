# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressed skinning at the published budget, each solver in a process of its own on one thread.

Errors are in the model's unit (cm; m of `double`), frames' in mm, times are processor seconds. `fast` and
`reference` are ours; `stored` is the published algorithm's result after 2 x 10000 iterations; `dem_bones`
stands beside them. The reference runs for a few iterations and its whole time is extrapolated; with
LIKENESS_BENCH_FULL=1 it runs whole, a quarter of an hour.
"""

# ruff: noqa: E402  (numpy reads how many threads it may use when it is first imported)

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from core.skin.problem import Budget
from tests.bench.skin_inputs import here, performances, subject
from tests.bench.skin_playback import playback
from tests.bench.skin_score import Outcome, frame_score, residuals, score, stored
from tests.bench.skin_solve import SolveFailed, solved

BUDGET = Budget(bones=40, influences=8, coefficients=6000)
FULL = bool(os.environ.get("LIKENESS_BENCH_FULL"))
WHOLE = 10000
ITERATIONS = WHOLE if FULL else 250
"""Of each of the reference's two phases."""
PAIRS = ("aura_avg", "synthface")
LIMITS = {"fast": 600, "reference": 2000, "dem_bones": 180}
"""s"""

TARGETS: dict[str, float] = {}
AIMS: dict[str, float] = {}
"""What is hoped for; a note tells which are met."""
if here():
    TARGETS = {
        "aura_avg_fast_cpu_s": 60.0,
        "aura_avg_fast_mae": 0.00195,
        "aura_avg_fast_rmse": 0.00480,
        "aura_avg_fast_lap_rms": 0.00083,
        "aura_avg_fast_mxe": 0.146,
        "synthface_fast_cpu_s": 40.0,
        "synthface_fast_mae": 0.0007,
        "synthface_fast_mxe": 0.07,
        "aura_finer_fast_cpu_s": 300.0,
        "aura_finer_fast_peak_mb": 2000.0,
    }
    TARGETS |= {f"{name}_fast_over_dem_bones_{key}": 1.0 for name in PAIRS for key in ("mae", "rmse")}
    TARGETS |= {f"{name}_fast_over_dem_bones_coefficients": 1.0 for name in PAIRS}
    AIMS = {
        "aura_avg_fast_cpu_s": 10.0,
        "aura_avg_fast_over_stored_rmse": 0.9,
        "synthface_fast_cpu_s": 5.0,
        "aura_finer_fast_cpu_s": 60.0,
    }
MINIMA: dict[str, float] = {}
NOTES: list[str] = []
"""For people: what was left out or failed, which aims are met, and what the inputs are."""

COLUMNS = ("cpu_s", "coefficients", "mae", "rmse", "mxe", "lap_rms")


def run() -> dict[str, float]:
    """All figures."""
    figures = alone("double") | compiling()
    if not here():
        NOTES.append("only the double: the heads of the shared test data are not here")
        return figures
    for name in PAIRS:
        figures |= {f"{name}_{key}": value for key, value in beside(name).items()}
    figures |= alone("aura_finer")
    figures |= playback()
    NOTES.extend(
        f"aim {key} {bound:g}: {'met' if figures.get(key, bound + 1) <= bound else 'missed'}"
        for key, bound in AIMS.items()
    )
    NOTES.append("aura_avg is the mean of two published fits: easier than the head it is of")
    return figures


def compiling() -> dict[str, float]:
    """What a user's first fit takes beside the fit itself."""
    outcome = solved("fast", "double", Budget(4, 2, 40), uncompiled=True)
    return {"fast_compile_s": outcome.costs["first_call_s"]}


def alone(name: str) -> dict[str, float]:
    """A model's figures by the fast solver."""
    outcome = tried("fast", name)
    found = {} if outcome is None else judged(name, outcome)
    return {f"{name}_fast_{key}": value for key, value in found.items()}


def beside(name: str) -> dict[str, float]:
    """A model's figures by everybody, and the fast solver's as shares of the others'."""
    outcomes = {"stored": stored(name)}
    for solver in ("fast", "dem_bones", "reference"):
        outcome = tried(solver, name)
        if outcome is not None:
            outcomes[solver] = outcome
    found = {solver: judged(name, outcome) for solver, outcome in outcomes.items()}
    if "reference" in found:
        extrapolate(found["reference"])
    NOTES.extend(table(name, found))
    shares = {
        f"fast_over_{other}_{key}": found["fast"][key] / found[other][key]
        for other in ("stored", "dem_bones")
        for key in ("mae", "rmse", "mxe", "lap_rms", "coefficients")
        if "fast" in found and other in found
    }
    return {f"{who}_{key}": value for who, part in found.items() for key, value in part.items()} | shares


def tried(solver: str, name: str) -> Outcome | None:
    """A solver's outcome, or a note of why there is none."""
    settings = {"iterations": ITERATIONS} if solver == "reference" else {}
    try:
        return solved(solver, name, BUDGET, settings, LIMITS[solver])
    except SolveFailed as problem:
        NOTES.append(str(problem))
        return None


def judged(name: str, outcome: Outcome) -> dict[str, float]:
    """Costs, errors over shapes, and errors over frames that nobody fitted."""
    chosen = subject(name)
    residual = residuals(chosen, outcome)
    figures = {**outcome.costs, "coefficients": float(outcome.coefficients), **score(chosen, residual)}
    for take, coefficients in performances(name).items():
        frames = frame_score(chosen, residual, coefficients)
        figures |= {f"{take}_{key}": value for key, value in frames.items()}
    return figures


def extrapolate(figures: dict[str, float]) -> None:
    """The whole run's time from a part's; errors of a part are left out, as they mean nothing."""
    figures["s_per_1000"] = 1000 * figures["cpu_s"] / (2 * ITERATIONS)
    if not FULL:
        figures["whole_cpu_s"] = figures.pop("cpu_s") * WHOLE / ITERATIONS
        kept = ("whole_cpu_s", "s_per_1000", "peak_mb", "first_call_s")
        for key in set(figures) - set(kept):
            del figures[key]


def table(name: str, found: dict[str, dict[str, float]]) -> list[str]:
    """The paper's figures of everybody, a line each."""
    lines = [f"{name:<10} {'':<10}" + "".join(f"{column:>13}" for column in COLUMNS)]
    for who, figures in found.items():
        if "whole_cpu_s" in figures:
            figures = {"cpu_s": figures["whole_cpu_s"], **figures}
        cells = "".join(f"{figures[key]:>13.5g}" if key in figures else f"{'':>13}" for key in COLUMNS)
        lines.append(f"{'':<10} {who:<10}{cells}")
    return lines
