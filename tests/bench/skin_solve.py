# SPDX-License-Identifier: GPL-3.0-or-later
"""One solve in a process of its own, for its peak memory and its end: `python -m tests.bench.skin_solve ...`.

Solvers are `fast`, `reference` and `dem_bones`. Dem Bones has been seen to hang on faces, hence the limit.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from core.progress import silent
from core.skin.problem import Budget, NoCheckpoint, Problem, Settings, Solution
from tests.bench.skin_inputs import Subject, subject
from tests.bench.skin_score import Outcome, load, of_solution, save

ROOT = Path(__file__).resolve().parents[2]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
ONE_THREAD = dict.fromkeys(THREADS, "1")


class SolveFailed(Exception):
    """A child that gave no result."""


def solved(
    solver: str,
    name: str,
    budget: Budget,
    settings: Mapping[str, float] | None = None,
    limit: float = 600,
    uncompiled: bool = False,
) -> Outcome:
    """What a child makes on one thread. Raises SolveFailed after `limit` seconds, or with its last words.

    `uncompiled`: as on a machine where nothing has been compiled yet.
    """
    with tempfile.TemporaryDirectory(prefix="likeness-skin-") as folder:
        path = Path(folder) / "outcome.npz"
        numbers = (budget.bones, budget.influences, budget.coefficients)
        command = [
            sys.executable,
            "-m",
            "tests.bench.skin_solve",
            solver,
            name,
            *map(str, numbers),
            str(path),
        ]
        command += [f"{key}={value}" for key, value in (settings or {}).items()]
        env = {**os.environ, **ONE_THREAD, **({"NUMBA_CACHE_DIR": folder} if uncompiled else {})}
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=limit, check=False
            )
        except subprocess.TimeoutExpired:
            raise SolveFailed(f"{solver} on {name}: stopped after {limit:.0f} s") from None
        if path.is_file():
            return load(path)
    words = done.stderr.strip().splitlines()
    raise SolveFailed(f"{solver} on {name}: {words[-1] if words else f'exit status {done.returncode}'}")


def main(arguments: Sequence[str]) -> None:
    """Solve and save."""
    parser = argparse.ArgumentParser()
    parser.add_argument("solver", choices=("fast", "reference", "dem_bones"))
    parser.add_argument("name")
    parser.add_argument("budget", nargs=3, type=int)
    parser.add_argument("path", type=Path)
    parser.add_argument("settings", nargs="*")
    options = parser.parse_args(arguments)
    settings = {key: float(value) for key, value in (part.split("=") for part in options.settings)}
    budget = Budget(*options.budget)
    chosen = subject(options.name)
    if options.solver == "dem_bones":
        outcome = dem_bones(chosen, budget)
    else:
        outcome = ours(options.solver, chosen.problem(), budget, settings)
    outcome.costs["peak_mb"] = peak_mb()
    save(options.path, outcome)


def ours(solver: str, problem: Problem, budget: Budget, settings: Mapping[str, float]) -> Outcome:
    """By one of our solvers; `first_call_s` is its first call in a process: imports, compiled code."""
    call = solver_of(solver)
    if "iterations" in settings:
        chosen = Settings(iterations=int(settings["iterations"]))
    else:
        chosen = Settings()
    start = time.process_time()
    call(tiny(), Budget(4, 2, 40), Settings(iterations=2))
    compiled = time.process_time()
    solution = call(problem, budget, chosen)
    costs = {"cpu_s": time.process_time() - compiled, "first_call_s": compiled - start}
    return of_solution(solution.weights, solution.transforms, costs)


def solver_of(solver: str) -> Callable[[Problem, Budget, Settings], Solution]:
    """A solver that is not watched and keeps nothing."""
    if solver == "fast":
        from core.skin.fast.solve import solve_fast as solve
    else:
        from core.skin.reference import solve_reference as solve
    return lambda problem, budget, settings: solve(problem, budget, settings, silent, NoCheckpoint())


def tiny() -> Problem:
    """A strip of quads with a few shapes, to compile kernels on."""
    rng = np.random.default_rng(0)
    rest = np.stack(np.meshgrid(np.arange(12.0), np.arange(2.0), [0.0]), axis=-1).reshape(-1, 3)
    edges = [(i, i + 1) for i in range(11)] + [(i, i + 12) for i in range(12)]
    deltas = rng.normal(size=(18, len(rest))).astype(np.float32)
    return Problem(rest - rest.mean(axis=0), deltas, np.array(edges, np.int32))


def dem_bones(chosen: Subject, budget: Budget) -> Outcome:
    """By Dem Bones as in the paper: each shape at one is a frame; six numbers for each bone and shape."""
    from py_dem_bones import DemBones
    from py_dem_bones.portable import solve_skinning

    rest = chosen.rest.astype(np.float64)
    rest -= rest.mean(axis=0)
    faces = [[int(corner) for corner in face if corner >= 0] for face in chosen.faces]
    native = DemBones()
    native.nInitIters, native.nTransIters, native.nWeightsIters, native.weightsSmooth = 10, 5, 3, 1e-4
    start = time.process_time()
    found = solve_skinning(
        rest,
        rest + chosen.deltas,
        budget.bones,
        faces=faces,
        max_influences=budget.influences,
        iterations=30,
        solver=native,
    )
    spent = time.process_time() - start
    motions = found.transforms[:, :, :3] - np.eye(3, 4)
    shapes, bones = motions.shape[:2]
    rows = motions.transpose(0, 2, 1, 3).reshape(3 * shapes, 4 * bones)
    weights = found.weights.T.astype(np.float32)
    return Outcome(weights, rows.astype(np.float32), 6 * shapes * bones, {"cpu_s": spent})


def peak_mb() -> float:
    """Most resident memory of this process; getrusage's has its parent's in it."""
    status = Path("/proc/self/status")
    if status.is_file():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(sys.argv[1:])
