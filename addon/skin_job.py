# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressing a mesh's shapes in the worker, by way of a temporary folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..core.errors import WorkerError
from ..core.skin.compressed import CompressedSkin
from ..core.skin.model_data import BlendshapeModelData
from ..core.skin.problem import Budget
from .scene.shape_source import ShapeSource
from .work import WorkerJob

PACKAGES = ("numba", "scipy")
"""What the worker needs for it."""


class SkinJob(WorkerJob):
    """The worker compressing a model. `result()` is the skin; the files between go with the job."""

    def __init__(
        self, source: ShapeSource, name: str, budget: Budget, python: str, environ: Mapping[str, str]
    ) -> None:
        """Write the model and start; raises LikenessError when that is not possible."""
        model = BlendshapeModelData.from_arrays(
            source.deltas, source.rest, source.faces, model_name=name, shape_names=source.names, source=name
        )
        self._folder = Path(tempfile.mkdtemp(prefix="likeness-skin-"))
        try:
            model.save(self._folder / "model.npz")
            super().__init__(self._arguments(budget), python, environ)
        except OSError as error:
            self._remove()
            raise WorkerError(
                f"The shapes cannot be written to {self._folder.parent}: {error.strerror}.",
                "Free some space there.",
            ) from error
        except BaseException:
            self._remove()
            raise

    def _arguments(self, budget: Budget) -> list[str]:
        arguments = ["skin", str(self._folder / "model.npz"), "-o", str(self._folder / "skin.npz")]
        arguments += ["--bones", str(budget.bones), "--influences", str(budget.influences)]
        return [*arguments, "--coefficients", str(budget.coefficients)]

    def result(self) -> CompressedSkin:
        """The skin; raises the worker's error."""
        try:
            super().result()
            return CompressedSkin.load(self._folder / "skin.npz")
        finally:
            self._remove()

    def cancel(self) -> None:
        """Stop the worker and remove the files."""
        super().cancel()
        self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
