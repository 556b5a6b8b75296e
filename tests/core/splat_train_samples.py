# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a patch of Gaussians to train another on, and an avatar of a piece of the sample's movie."""

from __future__ import annotations

import functools
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core.avatar import Avatar
from core.splat.posing import pose
from core.splat.raster import render
from core.splat.splat_avatar import SplatAvatar
from core.splat.trainer import BACKGROUND, Trainer, TrainSettings
from core.splat.training_set import Shot, TrainingSet
from core.splat.view import View
from tests.core.splat_bound_samples import avatar_of
from tests.core.track_clips import SAMPLE, sample_frames, write_clip

Array = np.ndarray

FRAMES, START = 24, 26
"""Of the sample's movie: it turns, opens its mouth and blinks."""


def view_from(eye: Array, side: int = 48) -> View:
    """A camera at `eye` (3,) metres that looks along -z, up is y; the patch fills most of it."""
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[:3, 3] = -pose[:3, :3] @ eye
    focal = 3.0 * side
    x, y = focal * np.array([eye[0], -eye[1]]) / eye[2]
    return View(side, side, focal, focal, side / 2 + x, side / 2 + y, pose)


def patch_shots(
    truth: SplatAvatar, count: int = 6, held: int = 0, side: int = 48, seed: int = 2
) -> TrainingSet:
    """Pictures of a patch as its weights and the camera change; the last `held` are kept from training."""
    rng, shots, surface = np.random.default_rng(seed), [], truth.surface
    for number in range(count):
        weights = rng.uniform(0, 0.3, 52).astype(np.float32)
        vertices = surface.rest + rng.normal(0, 0.0005, surface.rest.shape).astype(np.float32)
        view = view_from(np.array([*rng.uniform(-0.1, 0.1, 2), 0.6]), side)
        latent = truth.gaussians.basis.latent(weights)
        drawn = render(
            pose(truth.gaussians, surface, vertices, latent, view.centre).activated, view, BACKGROUND
        )
        image, matte = (
            np.rint(255 * np.clip(one, 0, 1)).astype(np.uint8) for one in (drawn.image, drawn.alpha)
        )
        full, gaze = np.full(matte.shape, 255, np.uint8), np.zeros((2, 2))
        shots.append(
            Shot(number, image, matte, full, (0, 0), view, weights, gaze, number >= count - held, vertices)
        )
    return TrainingSet(tuple(shots), "patch", True, surface)


def shaken(truth: SplatAvatar, seed: int = 7) -> SplatAvatar:
    """The same Gaussians in grey, out of place and too small: to be trained."""
    rng, g = np.random.default_rng(seed), truth.gaussians
    moved = {
        "means": g.means + rng.normal(0, 0.2, g.means.shape),
        "log_scales": g.log_scales - 0.3,
        "sh": np.zeros_like(g.sh),
        "offsets": np.zeros_like(g.offsets),
    }
    return replace(truth, gaussians=replace(g, **moved))


def patch_trainer(
    iterations: int = 60,
    count: int = 150,
    shots: TrainingSet | None = None,
    start: SplatAvatar | None = None,
    **settings: Any,
) -> Trainer:
    """A run on pictures of a patch, by default one that begins far off; equal arguments give equal runs."""
    truth = avatar_of(count, 1, 3)
    wanted: dict[str, Any] = {"gaussians": count + 60, "densify_steps": 4, "threads": 1} | settings
    plan = TrainSettings(iterations=iterations, **wanted)
    return Trainer(start or shaken(truth), shots or patch_shots(truth), None, plan)


@functools.cache
def _made() -> Path:
    from core.pipeline import make_avatar

    folder = Path(tempfile.mkdtemp(prefix="likeness-splat-"))
    movie = write_clip(folder / "take.mp4", sample_frames(FRAMES, START))
    avatar = make_avatar(movie, folder / "Ada.avatar", gender="female", texture="off", name="Ada")
    avatar.texture_folder.mkdir(exist_ok=True)
    shutil.copy2(SAMPLE.parent / "likeness_sample_albedo.png", avatar.texture_folder / "albedo.png")
    avatar.textures["albedo"] = "albedo.png"
    avatar.save()
    return folder


def small_footage(folder: Path) -> Avatar:
    """A copy of an avatar of a second of the sample's movie, the movie beside it; both are made once."""
    for entry in _made().iterdir():
        copy = shutil.copytree if entry.is_dir() else shutil.copy2
        copy(entry, folder / entry.name)
    avatar = Avatar.load(folder / "Ada.avatar")
    avatar.provenance["capture"]["path"] = str(folder / "take.mp4")
    avatar.save()
    return avatar
