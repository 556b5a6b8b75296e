# SPDX-License-Identifier: GPL-3.0-or-later
"""From a model with dense shapes to a compressed skin in a file, by either solver."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoint import SECONDS, FileCheckpoint, key_of
from ..errors import LikenessError, SettingsError
from ..progress import Progress, silent, subrange
from .compressed import CompressedSkin
from .measure import errors, laplacian_pairs
from .model_data import BlendshapeModelData
from .problem import Budget, Problem, Settings, Solution, Solver

SOLVERS = ("fast", "reference")
DEVICES = ("auto", "cpu", "cuda")


class SkinCompressor:
    """Compresses a model. The attributes have the published names and may be set until `run`."""

    number_of_bones: int = 40
    max_influences: int = 8
    total_nnz_B_rt: int = 6000  # noqa: N815  the published name
    init_weight: float = 1e-3
    power: int = 2
    seed: int = 12345
    alpha: float | None = None
    """Weight of the Laplacian term; None for the model's, or the solver's own choice."""
    device: str = "auto"
    resume: bool = False
    """Go on from the checkpoint of a stopped run, if there is one of the same model and settings."""
    sparse: bool = False
    """Whether the file holds compressed rows instead of dense matrices."""
    checkpoint_seconds: float = SECONDS

    def __init__(
        self,
        model_data: BlendshapeModelData,
        iterations: int = 10000,
        solver: str = "fast",
        **settings: Any,
    ) -> None:
        self.model_data = model_data
        self.iterations = iterations
        self.solver = solver
        self.alpha = model_data.alpha
        self.loss_list: list[float] = []
        self.abserr_list: list[float] = []
        for name, value in settings.items():
            if name not in SkinCompressor.__annotations__:
                raise SettingsError(f"Compressed skinning has no setting named {name!r}.")
            setattr(self, name, value)

    def run(self, output_location: Path | str, progress: Progress = silent) -> CompressedSkin:
        """Fit, measure and write `result.npz` to `output_location`.

        A run that is stopped leaves the checkpoint beside the output and nothing else.
        """
        output = _output_path(output_location)
        budget, settings = self.budget(), self.settings()
        problem = problem_of(self.model_data)
        arrays = (problem.rest, problem.deltas, problem.pairs)
        key = key_of(arrays, self.solver, budget, settings)
        checkpoint = FileCheckpoint(checkpoint_path(output), key, self.resume, self.checkpoint_seconds)
        if self.resume and checkpoint.path.exists() and checkpoint.load() is None:
            raise SettingsError(
                f"{checkpoint.path.name} is of another model or other settings, or damaged.",
                "Give those it was made with, or begin anew without --resume.",
            )
        start = time.perf_counter()
        solution = self._solver()(problem, budget, settings, subrange(progress, 0.0, 0.97), checkpoint)
        progress(0.97, "measure", "Measuring what the bones miss")
        skin = skin_of(self.model_data, problem, solution)
        skin.errors["seconds"] = time.perf_counter() - start
        skin.save(output, sparse=self.sparse)
        checkpoint.remove()
        self.loss_list = list(solution.history.get("loss", []))
        self.abserr_list = list(solution.history.get("abserr", []))
        progress(1.0, "done", f"Compressed to {skin.n_bones} bones")
        return skin

    def budget(self) -> Budget:
        """The budget, checked, and no larger than the model can use."""
        bones = _whole("The number of bones", self.number_of_bones)
        influences = _whole("The number of influences of a vertex", self.max_influences)
        coefficients = _whole("The number of coefficients", self.total_nnz_B_rt)
        bones = min(bones, self.model_data.n_vertices)
        most = 6 * self.model_data.n_blendshapes * bones
        return Budget(bones, min(influences, bones), min(coefficients, most))

    def settings(self) -> Settings:
        """The other settings, checked."""
        if self.solver not in SOLVERS:
            raise SettingsError(f"There is no solver {self.solver!r}.", f"Use {' or '.join(SOLVERS)}.")
        if self.device not in DEVICES:
            raise SettingsError(f"There is no device {self.device!r}.", f"Use {', '.join(DEVICES)}.")
        alpha = self.model_data.alpha if self.alpha is None else _number("alpha", self.alpha, 0.0)
        return Settings(
            alpha=alpha,
            seed=_whole("The seed", self.seed, least=0),
            iterations=_whole("The number of iterations", self.iterations),
            power=_whole("The power of the error", self.power),
            init_weight=_number("The size of the first transforms", self.init_weight, 1e-12),
            device=self.device,
        )

    def _solver(self) -> Solver:
        """The solver of that name; both are imported only when they are used."""
        if self.solver == "reference":
            from .reference import solve_reference

            return solve_reference
        from .fast.solve import solve_fast

        return solve_fast


def problem_of(model: BlendshapeModelData) -> Problem:
    """The arrays of a model as a solver takes them: centred on the rest's mean."""
    rest = model.rest_verts.astype(np.float64)
    deltas = np.asarray(model.deltas, np.float32).transpose(0, 2, 1).reshape(-1, model.n_vertices)
    return Problem(rest - rest.mean(axis=0), deltas, laplacian_pairs(model.rest_faces))


def skin_of(model: BlendshapeModelData, problem: Problem, solution: Solution) -> CompressedSkin:
    """A solution as a compressed skin of its model, with its errors."""
    return CompressedSkin(
        rest=problem.rest.astype(np.float32),
        centre=model.rest_verts.astype(np.float64).mean(axis=0),
        faces=model.rest_faces,
        weights=solution.weights,
        transforms=solution.transforms,
        shape_names=model.shape_names,
        inbetween_info=model.inbetween_info,
        combination_info=model.combination_info,
        errors=dict(errors(problem, solution.weights, solution.transforms)),
    )


def checkpoint_path(output: Path) -> Path:
    """Where the state of an unfinished run to `output` is kept."""
    return output.with_name(f"{output.name}.checkpoint")


def _output_path(location: Path | str) -> Path:
    """The file to write, named .npz as numpy would name it; its folder must be there before hours of work."""
    output = Path(location)
    if output.suffix != ".npz":
        output = output.with_name(f"{output.name}.npz")
    if not output.parent.is_dir():
        raise LikenessError(
            f"There is no folder {output.parent} to write {output.name} to.", "Make it first."
        )
    return output


def _whole(what: str, value: Any, least: int = 1) -> int:
    """`value` as a whole number of at least `least`; SettingsError if it is none."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or number != value or number < least:
        raise SettingsError(f"{what} is {value}, and must be a whole number of at least {least}.")
    return number


def _number(what: str, value: Any, least: float) -> float:
    """`value` as a finite number of at least `least`; SettingsError if it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number >= least):
        raise SettingsError(f"{what} is {value}, and must be a number of at least {least:g}.")
    return number
