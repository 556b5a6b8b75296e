# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's FLAME as fits take it: the release, where the landmarks lie on it, and its linear parts.

The release without a jaw is fitted in CAP4D's form (150 shapes, 64 expressions and a blink, the constant
offset of its pose correctives), the others in the published one (300 shapes, 100 expressions, a jaw).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import ModelError, SettingsError
from ..head import HeadModel, load_model, model_path
from ..head.basis import DenseBasis
from ..head.embedding import LandmarkEmbedding, home_path, load_embedding
from ..head.flame.compile import load_flame
from ..head.flame.forward import FlameParameters, local_vertices, shaped
from ..head.flame.model import CAP4D, CAP4D_SHAPES, STANDARD, VERTICES, FlameModel
from ..head.library import compiled
from ..head.phenotype import LinearParameters
from ..progress import Progress, silent, subrange
from .mapping import Head, Mapping, derive_mapping, read_published
from .mapping.cap4d import with_cap4d_expressions

Array = np.ndarray


@dataclass(frozen=True)
class FlameHead:
    """A release in the form that it is fitted in."""

    model: FlameModel
    mode: str
    """The forward pass, `standard` or `cap4d`."""
    head: HeadModel
    """The resting form: its identity shapes, its expressions, and the surface that its forward pass gives."""
    embedding: LandmarkEmbedding

    @staticmethod
    def of(path: Path, embedding: LandmarkEmbedding | None = None) -> FlameHead:
        """From a compiled FLAME model; its calibrated landmarks unless others are given. ModelError for
        another file, without landmarks, and for the release without a jaw where CAP4D's blink is missing.
        """
        head, model = load_model(path), load_flame(path)
        embedding = embedding or load_embedding(head)
        if model.has_jaw:
            return FlameHead(model, STANDARD, head, embedding)
        names = head.identity_names[:CAP4D_SHAPES]
        limited = replace(
            with_cap4d_expressions(head, path),
            template=(head.template + _constant_offset(model)).astype(np.float32),
            identity=DenseBasis(np.arange(VERTICES), model.shapes[:CAP4D_SHAPES]),
            parameters=LinearParameters(names),
        )
        return FlameHead(model, CAP4D, limited, embedding)

    @property
    def shape_count(self) -> int:
        """Identity coefficients of this form."""
        return self.head.identity.count

    @property
    def expression_count(self) -> int:
        """Expression coefficients of this form."""
        return self.head.expression.count

    def mapping(self, given: Path | None = None) -> Mapping:
        """From 52 weights to this form's parameters: the user's (.npz, or a published folder), else derived
        by geometry. SettingsError for a mapping to another form.
        """
        if given is None:
            body = load_model("anny")
            return derive_mapping(Head(body, load_embedding(body)), Head(self.head, self.embedding))[0]
        mapping = read_published(given) if given.is_dir() else Mapping.load(given)
        known = (self.model.variant, f"{self.model.variant}/{CAP4D}", "")
        if mapping.expression_count != self.expression_count or mapping.variant not in known:
            told = mapping.variant or "an unnamed model"
            raise SettingsError(
                f"{given.name} gives {mapping.expression_count} expressions of {told}; "
                f"{self.expression_count} of FLAME {self.model.variant} are needed.",
                "Leave --mapping out, and one is derived.",
            )
        return mapping


def open_flame(
    name: str = "flame_2023_no_jaw",
    variant: str | None = None,
    *,
    folders: Sequence[Path] = (),
    progress: Progress = silent,
) -> FlameHead:
    """A FLAME model by name or file, compiled and calibrated on first use (a minute or two, then kept).

    `name`: `flame`, `flame_2023_no_jaw` ..., looked for in `folders` and `LIKENESS_MODELS`; or a .pkl, .npz
    or compiled file. `variant`: its release, where the file does not tell.
    """
    given = Path(name)
    path = compiled(given, variant) if given.exists() else model_path(name, folders)
    head = load_model(path)
    if head.name != "flame":
        raise ModelError(f"{name} is a head model, but not FLAME.", "Choose a FLAME file.")
    return FlameHead.of(path, calibrated(head, folders, progress))


def calibrated(
    model: HeadModel, folders: Sequence[Path] = (), progress: Progress = silent
) -> LandmarkEmbedding:
    """The landmarks of a head model, found now and kept in the cache where nobody has looked for them yet."""
    try:
        return load_embedding(model)
    except ModelError:
        from .calibration.calibrate import calibrate

        progress(0.0, "calibrate", f"Finding the landmarks of {model.name}, once")
        found = calibrate(model, subrange(progress, 0.0, 1.0), models=folders).embedding
        found.save(home_path(model))
        return found


def _constant_offset(model: FlameModel) -> Array:
    """(5023, 3) metres that CAP4D's form adds to every resting face: correctives fed with minus identity."""
    rows = model.cap4d
    still = FlameParameters.of(model.variant, np.zeros(0), np.zeros((1, 0)), mode=CAP4D)
    return local_vertices(rows, still)[0] - shaped(rows, still.shape)
