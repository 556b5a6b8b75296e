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
from . import budget, output, preferences, session
from .arguments import parser
from .kinds import Scene
from .scene.movie import encode_movie
from .scene.render import picture_size, render_frame, render_frames, scene_frames
from .scene.timing import rate_of
from .work import AvatarOrder

EXIT_ERROR, EXIT_CANCELLED = 1, 130
ENCODE_SECONDS = 6.0, 0.08
"""Set aside for the movie: at all, and for each frame."""
TIGHT_SAMPLES = 48
"""Samples per pixel that Cycles takes at most within a budget; the denoiser does the rest."""


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
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"{options.out} cannot be made: {error.strerror}.", "Choose another --out."
        ) from error
    with job.stage("avatar"):
        folder = _make_avatar(job)
    with job.stage("scene"):
        scene = _build(job, folder)
    with job.stage("save"):
        _save(scene, options.out / "scene.blend")
    if not options.no_render:
        _render(job, scene)
    job.write_report()


def _make_avatar(job: Run) -> Path:
    """Let the worker make the avatar, inside the output folder so that the results belong together."""
    options = job.options
    name = options.name or open_capture(options.capture).name
    gender = options.gender or preferences.get().gender
    order = AvatarOrder(options.capture, name, gender, options.age, preferences.job_python(), options.out)
    result = run_worker(order.arguments(), python=order.python)
    report = json.loads((Path(result["avatar"]) / "report.json").read_text(encoding="utf-8"))
    job.facts["capture"] = {
        "path": str(options.capture),
        "frames": report.get("frames"),
        "seconds": report.get("seconds"),
    }
    for warning in result["warnings"]:
        job.warn(warning)
    return Path(result["avatar"])


def _build(job: Run, folder: Path) -> Scene:
    options = job.options
    if not bpy.data.filepath:
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    scene: Scene = bpy.context.scene
    # First, because the camera is framed for the picture's proportions.
    scene.render.resolution_x, scene.render.resolution_y = options.resolution or (1080, 1080)
    scene.render.resolution_percentage = 100
    session.add_double(bpy.context, folder, session.BuildChoice())
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
    if options.samples:
        eevee.taa_render_samples = cycles.samples = options.samples
    elif tight and cycles.samples > TIGHT_SAMPLES:
        cycles.samples = TIGHT_SAMPLES
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
    options, frames = job.options, job.options.out / "frames"
    wanted = list(scene_frames(scene))
    if options.budget and not options.full:
        with job.stage("measure"):
            wanted = _fit(job, scene, wanted, frames)
    with job.stage("render"):
        done = render_frames(scene, frames, wanted, progress=_progress)
    for note in done.notes:
        job.warn(note)
    step = wanted[1] - wanted[0] if len(wanted) > 1 else max(1, scene.frame_step)
    job.facts["engine"] = scene.render.engine
    job.facts["frames"] = {
        "rendered": done.rendered,
        "skipped": done.skipped,
        "first": wanted[0],
        "last": wanted[-1],
        "step": step,
        "size": list(picture_size(scene)),
    }
    sound, start = output.sound_for(scene, wanted[0])
    fps = rate_of(scene) / step
    with job.stage("movie"):
        movie = encode_movie(
            frames,
            options.out / "movie.mp4",
            fps,
            sound,
            options.codec,
            sound_start=start,
            pictures=done.paths,
        )
    job.facts["movie"] = {
        "path": movie.name,
        "fps": round(fps, 6),
        "sound": sound is not None,
        "codec": options.codec,
    }


def _progress(fraction: float, _stage: str, text: str) -> None:
    say(f"{fraction:4.0%}  {text}")


def _fit(job: Run, scene: Scene, frames: list[int], folder: Path) -> list[int]:
    """Choose size and step for what is left of the budget; frames to render."""
    cost = _measure(scene, frames[0], folder)
    fixed, each = ENCODE_SECONDS
    left = job.options.budget - job.elapsed - fixed
    width, height = picture_size(scene)
    chosen = budget.plan(
        budget.Cost(cost.fixed + each, cost.per_pixel), width * height, len(frames), left * 0.9
    )
    scene.render.resolution_x, scene.render.resolution_y = (
        _even(side * chosen.scale) for side in (width, height)
    )
    sentence = chosen.sentence(len(frames), job.options.budget)
    job.facts["budget"] = {
        "seconds": job.options.budget,
        "scale": chosen.scale,
        "step": chosen.step,
        "expected_seconds": round(chosen.seconds, 1),
        "text": sentence,
    }
    job.warn(sentence)
    return frames[:: chosen.step][: chosen.count]


def _even(length: float) -> int:
    """Encoders want even sides."""
    return max(16, 2 * round(length / 2))


def _measure(scene: Scene, frame: int, folder: Path) -> budget.Cost:
    """Render one frame three times: small to warm up (shaders, textures), small again, larger."""
    render, shots = scene.render, []
    whole = render.resolution_percentage, render.filepath
    probe = folder / ".measure" / "probe.png"
    probe.parent.mkdir(parents=True, exist_ok=True)
    render.image_settings.file_format = "PNG"
    try:
        for percentage in (15, 15, 30):
            render.resolution_percentage = percentage
            began = time.perf_counter()
            render_frame(scene, frame, probe)
            width, height = picture_size(scene)
            shots.append((width * height, time.perf_counter() - began))
    finally:
        render.resolution_percentage, render.filepath = whole
        probe.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            probe.parent.rmdir()
    return budget.Cost.measured(shots[1], shots[2])
