# SPDX-License-Identifier: GPL-3.0-or-later
"""From an avatar and its footage to `splats.npz`: the whole job, with progress, previews and a checkpoint."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..avatar import Avatar
from ..checkpoint import FileCheckpoint, key_of
from ..errors import Cancelled, SplatError
from ..head import load_model
from ..head.atlas import load_atlas
from ..head.expressed import ExpressedHead
from ..person import rest_of
from ..progress import Progress, silent, subrange
from . import pictures
from .device import chosen as chosen_device
from .evaluate import Score, evaluate
from .expression_basis import fit_basis
from .initial import initial
from .presets import SplatPreset, preset_of
from .trainer import Trainer, TrainSettings
from .training_set import Shot, TrainingSet, training_set

Array = np.ndarray

CHECKPOINT = "splats.checkpoint.npz"
"""Beside splats.npz, while a run is not finished."""
CHECKPOINT_SECONDS = 30.0
CHECKPOINT_BYTES = 4 * 2**30
TESTED = 14
"""Every so many-th picture of a take is kept from training, to see whether it still gets better."""
LEAST_TO_TEST = 60
"""Pictures under which none can be spared."""
TESTS = 16
"""Times that it is looked whether it still gets better."""
PATIENCE = 4
"""Tests without a gain after which a run ends, once no Gaussians are added any more."""
GAIN = 0.02
"""dB that count as one."""
STEPS_PER_PHOTO = 200
"""More only learn the photos by heart."""
FEW = 24
"""Pictures with which the springs to the texture are twice as stiff as with a great many."""
CUTTING = 0.12
"""Share of the progress that making the pictures ready is shown as."""
SHOWN_SECONDS = 2.0
SOON = 5
"""Steps after which it can be told how long the rest will take."""


def train(
    avatar: Avatar,
    preset: str = "default",
    progress: Progress = silent,
    *,
    performance: str = "",
    capture: Path | None = None,
    resume: bool = False,
    device: str = "auto",
    models: Sequence[Path] = (),
    folders: Sequence[Path] = (),
    every: int = 1,
    threads: int | None = None,
) -> dict[str, Any]:
    """Train the Gaussians of an avatar in its footage, write its `splats.npz` and tell how it went.

    every: 2 keeps every second picture from training, for measurements. A run that was cancelled leaves a
    checkpoint; with `resume` it goes on there. AvatarError, CaptureError, SplatError, SettingsError.
    """
    started = time.monotonic()
    chosen = preset_of(preset)
    shots = training_set(
        avatar, performance, capture, chosen.resolution, every,
        models=models, folders=folders, progress=subrange(progress, 0.0, CUTTING),
    )  # fmt: skip
    if every == 1:
        shots = with_tests(shots)
    trainer = make_trainer(avatar, shots, chosen, folders, threads, device=device)
    checkpoint = FileCheckpoint(
        avatar.folder / CHECKPOINT,
        _key(avatar, shots, trainer.settings),
        resume,
        CHECKPOINT_SECONDS,
        CHECKPOINT_BYTES,
        note=f"{preset} {shots.performance}",
    )
    state = checkpoint.load()
    if state is not None:
        trainer.restore(state)
    elif resume and checkpoint.path.is_file():
        progress(CUTTING, "train", "What was kept is of another preset or footage: training begins anew")
    progress(CUTTING, "train", "Getting ready; the first time on a machine this takes up to a minute")
    run = Run(trainer, checkpoint, subrange(progress, CUTTING, 0.99))
    try:
        run.to_the_end()
    except MemoryError as problem:
        raise SplatError(
            f"There is not enough memory to train {len(trainer.gaussians)} Gaussians.",
            "Choose a lower preset, or close other programs.",
        ) from problem
    report = run.report(chosen, shots) | {
        "seconds": round(time.monotonic() - started, 1),
        "device": chosen_device(device)[0],
    }
    result = trainer.result(report)
    result.save(avatar.splats_path)
    avatar.provenance["splats"] = {"preset": preset, "performance": shots.performance}
    avatar.save()
    checkpoint.remove()
    progress(1.0, "train", "Done")
    return report | {"output": str(avatar.splats_path)}


def make_trainer(
    avatar: Avatar,
    shots: TrainingSet,
    preset: SplatPreset,
    folders: Sequence[Path] = (),
    threads: int | None = None,
    **settings: Any,
) -> Trainer:
    """The run of a preset before its first step."""
    model = load_model(avatar.model, folders)
    rest = rest_of(model, avatar)
    basis = fit_basis(np.array([shot.weights for shot in shots.train]), preset.latents)
    degree = sh_degree(shots)
    start = initial(model, avatar, preset.seed_count, degree=degree, basis=basis)
    head = ExpressedHead(model, rest, np.unique(load_atlas(model).triangles))
    plan = TrainSettings(preset.iterations, preset.gaussians, degree=degree, threads=threads)
    if not shots.ordered:
        steps = min(preset.iterations, STEPS_PER_PHOTO * len(shots.train))
        plan = replace(plan, iterations=steps, exposure=True)
    plan = replace(plan, spring=1.0 + FEW / len(shots.train))
    return Trainer(start, shots, head, replace(plan, **settings))


def sh_degree(shots: TrainingSet) -> int:
    """By how far apart the head was seen: harmonics that no view held in check glow from the side."""
    directions = np.array([shot.view.centre / np.linalg.norm(shot.view.centre) for shot in shots.train])
    if len(directions) < 30:
        return 0
    middle = directions.mean(axis=0)
    cosines = directions @ (middle / max(float(np.linalg.norm(middle)), 1e-9))
    spread = float(np.degrees(np.arccos(np.clip(np.quantile(cosines, 0.05), -1, 1))))
    return 0 if spread < 4.0 else 1 if spread < 30.0 else 2


def with_tests(shots: TrainingSet) -> TrainingSet:
    """Some pictures of a long take kept from training."""
    if not shots.ordered or len(shots.shots) < LEAST_TO_TEST:
        return shots
    held = [replace(shot, held=number % TESTED == TESTED // 2) for number, shot in enumerate(shots.shots)]
    return replace(shots, shots=tuple(held))


class Run:
    """Steps a trainer to its end, tells how far it is, and stops when nothing is gained any more."""

    def __init__(self, trainer: Trainer, checkpoint: FileCheckpoint | None, progress: Progress) -> None:
        self.trainer, self.checkpoint, self.progress = trainer, checkpoint, progress
        self.scores: list[tuple[int, Score]] = []
        self.stopped_early = False
        self._began: float | None = None
        self._first, self._shown, self._pictures_shown = trainer.iteration, 0.0, 0
        held = trainer.set.held or trainer.set.train
        self._tested: tuple[Shot, ...] = held[:: max(len(held) // 8, 1)]

    def to_the_end(self) -> None:
        """Every step that is left. Cancelled keeps a checkpoint; a run that breaks says so."""
        trainer = self.trainer
        every = max(trainer.settings.iterations // TESTS, 1)
        try:
            while trainer.iteration < trainer.settings.iterations and not self.stopped_early:
                loss = trainer.step()
                if self._began is None:  # the first step may have compiled everything
                    self._began, self._first = time.monotonic(), trainer.iteration
                if not np.isfinite(loss):
                    raise SplatError(
                        f"The training broke off in step {trainer.iteration}: the loss is not a number.",
                        "Train again; if it happens again, report it with the footage's properties.",
                    )
                self._tell()
                if trainer.iteration % every == 0:
                    self._test()
                if self.checkpoint is not None:
                    self.checkpoint.keep(trainer.state)
        except (KeyboardInterrupt, Cancelled) as stop:
            raise self._kept(stop) from stop
        if not self.scores:
            self._test()

    def report(self, preset: SplatPreset, shots: TrainingSet) -> dict[str, Any]:
        """What is worth knowing of the run, plain JSON."""
        last = self.scores[-1][1]
        return {
            "trained": True,
            "preset": preset.name,
            "gaussians": len(self.trainer.gaussians),
            "degree": self.trainer.gaussians.degree,
            "latents": len(self.trainer.gaussians.basis),
            "iterations": self.trainer.iteration,
            "stopped_early": self.stopped_early,
            "pictures": len(shots.train),
            "pictures_tested": len(shots.held),
            "tested_on_trained": not shots.held,
            "left_out": dict(shots.left_out),
            "mattes": shots.mattes,
            "psnr_db": round(last.psnr, 2),
            "ssim": round(last.ssim, 4),
            "curve": [[step, round(score.psnr, 2)] for step, score in self.scores],
        }

    def _tell(self) -> None:
        now = time.monotonic()
        trainer = self.trainer
        if now - self._shown < SHOWN_SECONDS and trainer.iteration < trainer.settings.iterations:
            return
        self._shown = now
        done = trainer.iteration - self._first
        took = now - (self._began or now)
        left = (trainer.settings.iterations - trainer.iteration) * took / max(done, 1)
        quality = f", {self.scores[-1][1].psnr:.1f} dB" if self.scores else ""
        text = f"Step {trainer.iteration} of {trainer.settings.iterations}{quality}"
        text += f", {duration(left)} left" if done >= SOON else ""
        self.progress(trainer.progress, "train", text)
        self._show()

    def _show(self) -> None:
        if pictures.Previews.show is None:
            return
        shot = self._tested[self._pictures_shown % len(self._tested)]
        self._pictures_shown += 1
        drawn = np.clip(self.trainer.picture(shot)[0] * 255.0, 0, 255).astype(np.uint8)
        pictures.show(np.concatenate([shot.image, drawn], axis=1))

    def _test(self) -> None:
        self.scores.append((self.trainer.iteration, evaluate(self.trainer, self._tested)))
        recent = [score.psnr for _, score in self.scores]
        if self.trainer.progress <= self.trainer.settings.densify_until or not self.trainer.set.held:
            return
        if len(recent) > PATIENCE and max(recent[-PATIENCE:]) < max(recent[:-PATIENCE]) + GAIN:
            self.stopped_early = True

    def _kept(self, stop: BaseException) -> Cancelled:
        """What is said of a run that was cancelled, after its state was written."""
        if self.checkpoint is None or self.trainer.iteration == 0:
            return stop if isinstance(stop, Cancelled) else Cancelled("Cancelled.", "Nothing was written.")
        share = round(100 * self.trainer.progress)
        try:
            self.checkpoint.write(self.trainer.state())
        except OSError as problem:
            why = problem.strerror or problem
            return Cancelled(f"Cancelled at {share} %.", f"The state could not be kept: {why}.")
        return Cancelled(f"Cancelled at {share} %.", "The state is kept: train with resume to go on.")


def duration(seconds: float) -> str:
    """So many seconds or minutes, as people say it."""
    if seconds < 90:
        return f"{max(round(seconds / 5) * 5, 1)} s"
    return f"{round(seconds / 60)} min"


def _key(avatar: Avatar, shots: TrainingSet, settings: TrainSettings) -> str:
    """What a checkpoint belongs to: the person, the pictures, the settings but where it is computed."""
    arrays = [avatar.vertices] if avatar.vertices is not None else []
    arrays += [np.array([[shot.sample, *shot.corner, shot.held] for shot in shots.shots])]
    arrays += [shots.shots[0].image, shots.shots[-1].image]
    told: Mapping[str, Any] = {k: v for k, v in vars(settings).items() if k not in ("threads", "device")}
    return key_of(arrays, avatar.id, shots.performance, told)


def processors() -> int:
    """How many this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1
