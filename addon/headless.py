# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way without a window: capture, double, frames, movie, report."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy

from ..core.capture import open_capture
from ..core.errors import Cancelled, LikenessError, SettingsError
from ..core.files import write_json
from ..core.job import run as run_worker
from ..core.report import versions
from . import budget, output, preferences, session, splatting, tight
from .arguments import parser
from .kinds import Scene
from .scene import presets
from .scene.movie import encode_movie
from .scene.render import Rendered, picture_size, render_frames, scene_frames
from .scene.splat_frames import has_rendered_heads
from .scene.timing import rate_of
from .splat_queue import render_splat_frames
from .work import AvatarOrder, gender_of, phrase, python_for, tracking_of

SPOKEN_EVERY = 2.0
"""Seconds between two lines about the worker's progress within a stage."""
EXIT_ERROR, EXIT_CANCELLED = 1, 130
ENCODE_SECONDS = 6.0, 0.08
"""Set aside for the movie: at all, and for each frame."""
TIGHT_SAMPLES = 12
"""Samples per pixel that are taken at most within a budget; the denoiser does the rest."""


@dataclass
class Run:
    """One run of the command: its options, and what becomes report.json."""

    options: argparse.Namespace
    began: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Say what begins and note how long it took."""
        say(f"{name} ...")
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(time.perf_counter() - began, 3)

    def warn(self, text: str) -> None:
        """Say it once, and keep it for the report."""
        if text not in self.warnings:
            self.warnings.append(text)
            say(f"Note: {text}")

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.began

    def write_report(self, error: str = "") -> None:
        """Write report.json."""
        self.seconds["total"] = round(self.elapsed, 3)
        found = versions() | {"blender": bpy.app.version_string}
        report = {"seconds": self.seconds, "warnings": self.warnings, "versions": found, **self.facts}
        if error:
            report["error"] = error
        write_json(self.options.out / "report.json", report)


def say(text: str) -> None:
    """One line for the person or the log of a farm."""
    sys.stdout.write(f"likeness: {text}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit status and never raises for what a user can cause."""
    try:
        options = parser().parse_args(arguments)
    except SystemExit as usage:
        return int(usage.code or 0)
    options.capture, options.out = options.capture.absolute(), options.out.absolute()
    job = Run(options)
    try:
        _make(job)
    except LikenessError as error:
        with contextlib.suppress(OSError):
            if options.out.is_dir():
                job.write_report(str(error))
        sys.stderr.write(f"likeness: {error}\n")
        return EXIT_CANCELLED if isinstance(error, Cancelled) else EXIT_ERROR
    except KeyboardInterrupt:
        sys.stderr.write("likeness: interrupted; finished frames stay and the same command resumes.\n")
        return EXIT_CANCELLED
    say(f"Done in {job.elapsed:.0f} s: {options.out}")
    return 0


def _make(job: Run) -> None:
    options = job.options
    if not options.capture.exists():
        raise SettingsError(f"{options.capture} does not exist.", "Name a capture.")
    if options.splats and options.budget is not None and not options.full:
        raise SettingsError("A Gaussian head is not made within a budget.", "Leave out --budget or --splats.")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"{options.out} cannot be made: {error.strerror}.", "Choose another --out."
        ) from error
    with job.stage("avatar"):
        folder = _make_avatar(job)
    if options.splats:
        with job.stage("splats"):
            _train(job, folder)
    with job.stage("scene"):
        scene = _build(job, folder)
    with job.stage("save"):
        _save(scene, options.out / "scene.blend")
    if not options.no_render:
        _render(job, scene)
    job.write_report()


class _Spoken:
    """A progress that says a line for each stage, and now and then one within it."""

    def __init__(self) -> None:
        self._stage, self._next = "", 0.0

    def __call__(self, fraction: float, stage: str, text: str) -> None:
        now = time.monotonic()
        if stage != self._stage or now >= self._next:
            self._stage, self._next = stage, now + SPOKEN_EVERY
            say(f"{fraction:4.0%}  {phrase(stage, text)}")


def _make_avatar(job: Run) -> Path:
    """Let the worker make the avatar, inside the output folder so that the results belong together."""
    options = job.options
    capture = open_capture(options.capture)
    name = options.name or capture.name
    tracking = tracking_of(capture)
    gender = options.gender or gender_of(capture, preferences.get().gender, tracking)
    order = AvatarOrder(
        options.capture,
        name,
        gender,
        options.age,
        python_for(tracking),
        options.out,
        preferences.job_environ(),
        tracking,
        options.texture,
    )
    result = run_worker(order.arguments(), _Spoken(), python=order.python, environ=order.environ)
    report = json.loads((Path(result["avatar"]) / "report.json").read_text(encoding="utf-8"))
    job.facts["capture"] = {
        "path": str(options.capture),
        "frames": report.get("frames"),
        "seconds": report.get("seconds"),
        "fit": report.get("fit"),
    }
    for warning in result["warnings"]:
        job.warn(warning)
    return Path(result["avatar"])


def _train(job: Run, folder: Path) -> None:
    """Let the worker learn the Gaussian head."""
    python = preferences.job_python(splatting.PACKAGES, "training splats")
    arguments = ["splat", "train", str(folder), "--preset", job.options.splats]
    result = run_worker(arguments, _Spoken(), python=python, environ=preferences.job_environ())
    known = ("preset", "gaussians", "iterations", "psnr_db", "ssim", "seconds", "device")
    job.facts["splats"] = {name: result[name] for name in known if name in result}


def _build(job: Run, folder: Path) -> Scene:
    options = job.options
    if not bpy.data.filepath:
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    scene: Scene = bpy.context.scene
    # First, because the camera is framed for the picture's proportions.
    scene.render.resolution_x, scene.render.resolution_y = options.resolution or (1080, 1080)
    scene.render.resolution_percentage = 100
    root = session.add_double(bpy.context, folder, session.BuildChoice())
    if options.splats:
        splatting.add(bpy.context, root)
    if options.lighting:
        session.set_lighting(bpy.context, options.lighting)
    preset = _set_quality(job, scene)
    if options.frames:
        _narrow(scene, *options.frames)
    scene.frame_step = options.step
    scene.likeness.output, scene.likeness.codec = "//", options.codec
    scene.frame_set(scene.frame_start)
    job.facts |= {"preset": preset, "engine": scene.render.engine}
    return scene


def _set_quality(job: Run, scene: Scene) -> str:
    """Apply the preset; its key. Within a budget a machine that draws in software renders by Cycles, which is
    many times faster there, and samples are few.
    """
    options = job.options
    tight = options.budget is not None and not options.full
    preset = options.preset or "STANDARD"
    if tight and options.preset is None:
        preset = "PATH" if budget.draws_in_software() else "FAST"
    for note in output.use_preset(scene, preset):
        job.warn(note)
    eevee, cycles = scene.eevee, scene.cycles
    if tight:
        presets.lighten(scene, TIGHT_SAMPLES)
    if options.samples:
        eevee.taa_render_samples = cycles.samples = options.samples
    job.facts["samples"] = cycles.samples if scene.render.engine == "CYCLES" else eevee.taa_render_samples
    return preset


def _narrow(scene: Scene, first: int, last: int) -> None:
    whole = scene.frame_start, scene.frame_end
    if first > whole[1] or last < whole[0]:
        raise SettingsError(
            f"Frames {first}-{last} lie outside the performance.", f"It has {whole[0]}-{whole[1]}."
        )
    scene.frame_start, scene.frame_end = max(first, whole[0]), min(last, whole[1])


def _save(scene: Scene, path: Path) -> None:
    """Save with paths relative to the file, so that the folder can be moved as a whole."""
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=True, check_existing=False)
    bpy.ops.file.make_paths_relative()
    for root in session.roots():
        note = root.likeness
        note.folder = _relative(note.folder)
        note.movie = _relative(note.movie) if note.movie else ""
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=True, check_existing=False)
    backup = path.with_suffix(".blend1")
    backup.unlink(missing_ok=True)


def _relative(path: str) -> str:
    try:
        return bpy.path.relpath(path)
    except ValueError:  # another drive on Windows
        return path


def _render(job: Run, scene: Scene) -> None:
    """Frames, then the movie of those that are evenly spaced."""
    options, folder = job.options, job.options.out / "frames"
    numbers = list(scene_frames(scene))
    with job.stage("render"):
        if options.budget and not options.full:
            done, numbers = _render_in_time(job, scene, numbers, folder)
        else:
            render = render_splat_frames if has_rendered_heads(scene) else render_frames
            done = render(scene, folder, numbers, progress=_progress)
    for note in done.notes:
        job.warn(note)
    step = numbers[1] - numbers[0] if len(numbers) > 1 else max(1, scene.frame_step)
    job.facts["engine"] = scene.render.engine
    job.facts["frames"] = {
        "rendered": done.rendered,
        "skipped": done.skipped,
        "first": numbers[0],
        "last": numbers[-1],
        "step": step,
        "size": list(picture_size(scene)),
    }
    with job.stage("movie"):
        _encode(job, scene, done.paths, numbers[0], step)


def _encode(job: Run, scene: Scene, pictures: tuple[Path, ...], first: int, step: int) -> None:
    """The movie; at a step its rate is lower, so that it lasts as long as the sound."""
    options = job.options
    sound, start = output.sound_for(scene, first)
    fps = rate_of(scene) / step
    movie = encode_movie(
        options.out / "frames",
        options.out / "movie.mp4",
        fps,
        sound,
        options.codec,
        sound_start=start,
        pictures=pictures,
    )
    facts = {"path": movie.name, "fps": round(fps, 6), "sound": sound is not None, "codec": options.codec}
    job.facts["movie"] = facts


def _render_in_time(job: Run, scene: Scene, numbers: list[int], folder: Path) -> tuple[Rendered, list[int]]:
    """As much as fits into what is left of the budget, and a sentence on what was reduced."""
    fixed, each = ENCODE_SECONDS
    left = max(1.0, job.options.budget - job.elapsed - fixed)
    whole = scene.render.resolution_x
    shot = tight.render_within(scene, numbers, folder, left, each, _progress)
    count = len(shot.frames)
    step = (shot.frames[1] - shot.frames[0]) // scene.frame_step if count > 1 else 1
    made = budget.Plan(shot.planned.scale, step, count, shot.done.seconds)
    sentence = made.sentence(len(numbers), job.options.budget)
    job.facts["budget"] = {
        "seconds": job.options.budget,
        "scale": round(scene.render.resolution_x / whole, 4),
        "step": step,
        "text": sentence,
    }
    job.warn(sentence)
    return shot.done, list(shot.frames)


def _progress(fraction: float, _stage: str, text: str) -> None:
    say(f"{fraction:4.0%}  {text}")
