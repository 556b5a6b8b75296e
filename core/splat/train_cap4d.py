# SPDX-License-Identifier: GPL-3.0-or-later
"""From a folder of CAP4D's to an avatar of the user's FLAME: references and generated pictures, each with the
parameters of its head and its camera.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..avatar import SUFFIX, Avatar, refuse_other_folder
from ..checkpoint import FileCheckpoint, key_of
from ..errors import AvatarError, ModelError
from ..fit.fit_npz import VARIANT, read_fit
from ..fit.flame_exchange import performance_of
from ..fit.mapping import Mapping
from ..head import HeadModel, load_model
from ..head.flame.compile import load_flame
from ..head.flame.model import CAP4D_SHAPES, FlameModel
from ..progress import Progress, silent, subrange
from .bound import ExpressionBasis
from .cap4d_folder import Source, sources_in
from .cap4d_set import from_cap4d
from .device import chosen as chosen_device
from .expression_basis import fit_basis
from .flame_avatar import MAPPING, Scores, derived_mapping, flame_path, keep, read_mapping
from .flame_rig import FlameRig
from .initial import initial
from .presets import SplatPreset, preset_of
from .seen_colours import coloured, seen_colours
from .train import (
    CHECKPOINT,
    CHECKPOINT_BYTES,
    CHECKPOINT_SECONDS,
    FEW,
    LEAST_TO_TEST,
    STEPS_PER_PHOTO,
    TESTED,
    Run,
    sh_degree,
)
from .trainer import Trainer, TrainSettings
from .training_set import TrainingSet

Array = np.ndarray

MODEL = f"flame_{VARIANT}"
REFERENCES = "references"
"""Name of the performance that the references are."""
_MADE = "cap4d"
"""In the provenance: how the avatar was made."""
_CUTTING = 0.15
_SAME_SHAPE = 1e-3


def train_cap4d(
    folder: Path,
    output: Path,
    flame: str = "",
    preset: str = "default",
    progress: Progress = silent,
    *,
    mapping: Path | None = None,
    resume: bool = False,
    device: str = "auto",
    models: Sequence[Path] = (),
    folders: Sequence[Path] = (),
    threads: int | None = None,
) -> dict[str, Any]:
    """Train Gaussians in the pictures of `folder` and write them with their FLAME as the avatar `output`.

    flame: the user's FLAME 2023 without a jaw, CAP4D's blink shape beside it, by file or by name in
    `folders`. mapping: from the 52 weights to it; left out, one is derived where that is possible. An avatar
    that was made of such a folder before is trained again. LikenessError in a sentence; nothing is left of a
    run that was stopped before its first step.
    """
    started = time.monotonic()
    chosen, folder, output = preset_of(preset), folder.absolute(), output.absolute()
    before = _check_output(output)
    sources = sources_in(folder)
    path = _flame(folder, flame, folders, before)
    release = load_flame(path)
    kept = output / MAPPING
    mapping = mapping or (kept if before is not None and kept.is_file() else None)
    told = _mapping(path, release, mapping, folders, subrange(progress, 0.0, 0.05))
    known = told if isinstance(told, Mapping) else None
    scores = Scores.of(release, known)
    shots = with_tests(
        from_cap4d(
            folder, path, chosen.resolution,
            folders=folders, models=models, scores=scores.solved, progress=subrange(progress, 0.05, _CUTTING),
        )
    )  # fmt: skip
    rig = FlameRig(release, _shape(sources[0]), mapping=known)
    model = load_model(path)
    avatar = _avatar(output, before, folder, model, rig, flame)
    trainer = make_trainer(avatar, model, shots, chosen, known is not None, threads, device)
    try:
        checkpoint = _checkpoint(avatar, shots, trainer.settings, resume)
        avatar.save()
        keep(avatar, known)
        run = Run(trainer, checkpoint, subrange(progress, _CUTTING, 0.99))
        state = checkpoint.load()
        if state is not None:
            trainer.restore(state)
        run.to_the_end()
    except BaseException:
        if before is None and not (output / CHECKPOINT).is_file():
            shutil.rmtree(output, ignore_errors=True)
        raise
    report = run.report(chosen, shots) | {
        "seconds": round(time.monotonic() - started, 1),
        "device": chosen_device(device)[0],
        "weights": known is not None,
        "notes": [] if isinstance(told, Mapping) else [_without(told)],
    }
    trainer.result(report).save(avatar.splats_path)
    _add_references(avatar, folder, rig, scores)
    avatar.provenance["splats"] = {"preset": preset, "pictures": folder.name}
    avatar.save()
    checkpoint.remove()
    progress(1.0, "train", "Done")
    return report | {"output": str(avatar.splats_path)}


def made_of(avatar: Avatar) -> Path | None:
    """The folder of CAP4D's that an avatar was made of; None for others."""
    told = avatar.provenance.get(_MADE)
    return Path(told) if isinstance(told, str) else None


def with_tests(shots: TrainingSet) -> TrainingSet:
    """Some of a great many pictures kept from training; references, which come first, hardly ever."""
    if len(shots.shots) < LEAST_TO_TEST:
        return shots
    held = [replace(shot, held=number % TESTED == TESTED - 1) for number, shot in enumerate(shots.shots)]
    return replace(shots, shots=tuple(held))


def make_trainer(
    avatar: Avatar,
    model: HeadModel,
    shots: TrainingSet,
    preset: SplatPreset,
    weighted: bool,
    threads: int | None = None,
    device: str = "auto",
) -> Trainer:
    """The run of a preset before its first step. weighted: whether the shots' weights are known."""
    basis = ExpressionBasis.none()
    if weighted:
        basis = fit_basis(np.array([shot.weights for shot in shots.train]), preset.latents)
    degree = sh_degree(shots)
    start = initial(model, avatar, preset.seed_count, degree=degree, basis=basis)
    assert shots.surface is not None
    start = coloured(start, seen_colours(shots.train, shots.surface))
    plan = TrainSettings(
        min(preset.iterations, STEPS_PER_PHOTO * len(shots.train)),
        preset.gaussians,
        degree=degree,
        exposure=True,
        spring=1.0 + FEW / len(shots.train),
        threads=threads,
        device=device,
    )
    return Trainer(start, shots, None, plan)


def _check_output(output: Path) -> Avatar | None:
    """The avatar that is there already; AvatarError, before any work, for a place that is not to be used."""
    if output.suffix != SUFFIX:
        raise AvatarError(
            f"{output.name} is not a name for an avatar.", f"Choose a name that ends in {SUFFIX}."
        )
    refuse_other_folder(output)
    if not output.parent.is_dir():
        raise AvatarError(f"There is no folder {output.parent}.", "Choose a place in one that exists.")
    if not (output / "avatar.json").is_file():
        return None
    avatar = Avatar.load(output)
    if made_of(avatar) is None:
        raise AvatarError(
            f"{output.name} is an avatar that was not made of CAP4D's pictures.", "Choose another name."
        )
    return avatar


def _flame(folder: Path, flame: str, folders: Sequence[Path], before: Avatar | None) -> Path:
    kept = before.provenance.get("flame") if before else None
    try:
        return flame_path(MODEL, folders, flame, kept if isinstance(kept, str) else "")
    except ModelError as problem:
        if flame:
            raise
        raise ModelError(
            f"The heads of {folder.name} are FLAME 2023 without a jaw, which is not part of Likeness.",
            "Name your file with --flame flame2023_no_jaw.pkl.",
        ) from problem


def _mapping(
    path: Path, flame: FlameModel, given: Path | None, folders: Sequence[Path], progress: Progress
) -> Mapping | str:
    """The user's or a derived one, or why there is none."""
    _ = flame.cap4d  # another release, or one without its blink shape, is refused before it is looked for
    if given is not None:
        return read_mapping(given, flame)
    return derived_mapping(path, flame, folders, progress)


def _without(why: str) -> str:
    return f"no expression was learned, and only FLAME's own motion plays: {why.rstrip('.')}"


def _shape(source: Source) -> Array:
    return np.zeros(CAP4D_SHAPES) if source.fit.shape is None else source.fit.shape


def _avatar(
    output: Path, before: Avatar | None, folder: Path, model: HeadModel, rig: FlameRig, flame: str
) -> Avatar:
    """The one that is there, or a new one that is not written yet; it is of this person."""
    coefficients = np.zeros(model.identity.count, np.float32)
    coefficients[: len(rig.shape)] = rig.shape
    known = coefficients if before is None or before.coefficients is None else before.coefficients
    if np.abs(known - coefficients).max() > _SAME_SHAPE:
        raise AvatarError(
            f"{output.name} is an avatar of another person than {folder.name}.", "Choose another name."
        )
    avatar = before or Avatar(output, output.name.removesuffix(SUFFIX))
    avatar.model, avatar.model_sha256 = MODEL, model.sha256
    avatar.coefficients, avatar.vertices = coefficients, rig.rest
    avatar.provenance[_MADE] = str(folder)
    if flame and Path(flame).exists():
        avatar.provenance["flame"] = str(Path(flame).absolute())
    return avatar


def _checkpoint(avatar: Avatar, shots: TrainingSet, settings: TrainSettings, resume: bool) -> FileCheckpoint:
    told = {name: value for name, value in vars(settings).items() if name not in ("threads", "device")}
    arrays = [np.array([[shot.sample, *shot.corner, shot.held] for shot in shots.shots])]
    arrays += [np.array([shot.weights for shot in shots.shots])]
    arrays += [shots.shots[0].image, shots.shots[-1].image]
    key = key_of(arrays, avatar.model_sha256, told)
    return FileCheckpoint(avatar.folder / CHECKPOINT, key, resume, CHECKPOINT_SECONDS, CHECKPOINT_BYTES)


def _add_references(avatar: Avatar, folder: Path, rig: FlameRig, scores: Scores) -> None:
    """The motion of the references as the avatar's own performance, where the folder has it."""
    path = folder / "fit.npz"
    if not path.is_file():
        return
    fit = read_fit(path)
    weights = scores.solved(fit.expr, fit.eye_rot)
    told = f"CAP4D fit {path.name}"
    avatar.add_performance(performance_of(fit, REFERENCES, origin=rig.origin, weights=weights, source=told))
