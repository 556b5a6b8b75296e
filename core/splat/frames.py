# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of Gaussians through the cameras of a scene: pictures with alpha, and their depth.

For every frame NAME_00001.png (RGBA, straight alpha, sRGB) and NAME_00001.depth.npy ((H, W) float32: depth
along the camera's axis, 0 where nothing is). NAME.frames.json says of what each was made: those that would
come out the same are kept, so that a run goes on where another stopped, and one after a change draws what
changed.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import LikenessError, SettingsError, SplatError
from ..files import atomic_path, read_json, write_json
from ..progress import Progress, silent
from .device import render
from .frames_job import FramesJob
from .pictures import show, straight, write_png
from .posing import pose

Array = np.ndarray

SAVED = 8
"""Frames after which it is written down what was done: a crash costs as many."""


def draw_frames(job: FramesJob, folder: Path, progress: Progress = silent) -> dict[str, Any]:
    """Draw what is missing into a folder, which is made; how many frames there are, were drawn and kept.

    Each file is whole or not there. What was finished stays when the work is cancelled.
    """
    _make(folder)
    record = folder / f"{job.name}.frames.json"
    done = _done(record)
    wanted = [(row, job.fingerprint(row)) for row in range(len(job))]
    missing = [(row, mark) for row, mark in wanted if not _is_there(job, folder, row, mark, done)]
    kept, unsaved = len(wanted) - len(missing), 0
    stale = [stem for row, _ in missing if done.pop(stem := job.stem(row), None)]
    try:
        if stale:
            write_json(record, done)
        for count, (row, mark) in enumerate(missing):
            stem = job.stem(row)
            progress((kept + count) / len(wanted), "frames", f"Frame {job.numbers[row]}")
            _draw(job, row, folder)
            done[stem], unsaved = mark, unsaved + 1
            if unsaved >= SAVED:
                write_json(record, done)
                unsaved = 0
    except OSError as problem:
        raise SettingsError(f"{folder} cannot be written: {problem.strerror or problem}.") from problem
    finally:
        if unsaved:
            with contextlib.suppress(OSError):
                write_json(record, done)
    progress(1.0, "frames", f"{len(missing)} frames drawn, {kept} kept")
    return {"frames": len(wanted), "drawn": len(missing), "kept": kept}


def _make(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{folder} is a file, and frames need a folder.", "Name another.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise SettingsError(f"{folder} cannot be made: {problem.strerror or problem}.") from problem


def _done(record: Path) -> dict[str, str]:
    """Fingerprints by stem, as far as an earlier run wrote them down; a damaged record is none."""
    if not record.is_file():
        return {}
    with contextlib.suppress(LikenessError):
        found = read_json(record, SplatError)
        if isinstance(found, dict) and all(isinstance(mark, str) for mark in found.values()):
            return found
    return {}


def _is_there(job: FramesJob, folder: Path, row: int, mark: str, done: dict[str, str]) -> bool:
    stem = job.stem(row)
    files = (folder / f"{stem}.png", folder / f"{stem}.depth.npy")
    return done.get(stem) == mark and all(path.is_file() for path in files)


def _draw(job: FramesJob, row: int, folder: Path) -> None:
    view = job.view(row)
    gaussians, surface = job.splats.gaussians, job.splats.surface
    posed = pose(gaussians, surface, job.vertices[row], job.latent[row], view.centre)
    drawn = render(posed.activated, view, compensated=job.compensated)
    with atomic_path(folder / f"{job.stem(row)}.depth.npy") as beside, beside.open("wb") as stream:
        np.lib.format.write_array(stream, drawn.depth, allow_pickle=False)
    picture = straight(drawn, job.bits)
    write_png(folder / f"{job.stem(row)}.png", picture)
    show(picture if job.bits == 8 else (picture >> 8).astype(np.uint8))
