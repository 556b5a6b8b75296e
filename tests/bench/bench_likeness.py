# SPDX-License-Identifier: GPL-3.0-or-later
"""How true a fit is, and how long the whole way takes: the sample against its truth, real clips and photos
against their landmarks, and an avatar of a 6 s clip made in a process of its own.

Fits run on one core, the avatar on all. The real footage lies in ../shared; without it its figures are left
out. `wheel` is the detector that mediapipe's wheel carries, `bundle` the task bundle of ../shared/models.
"""

# ruff: noqa: E402  (numpy reads how many threads it may use when it is first imported)

from __future__ import annotations

import os

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
for variable in THREADS:
    os.environ.setdefault(variable, "1")

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from core.capture import open_capture
from core.fit.likeness import Likeness, fit_likeness
from core.fit.online import OnlineFit
from core.fit.person import fit_person
from core.fit.take import fit_take
from core.head import HeadModel, load_model
from core.head.embedding import load_embedding
from core.track import Track, track_capture
from tests.bench.truth import CAPTURE, Truth, sample_truth

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
MODELS = SHARED / "models"
CLIPS = ("expressions", "talking")
PHOTOS = SHARED / "data" / "photos" / "person_a" / "images" / "cam0"
AVATAR_CLIP = SHARED / "data" / "videos" / "expressions.mp4"
DETECTORS = ("wheel", "bundle") if (MODELS / "face_landmarker.task").is_file() else ("wheel",)

TRUTH = {"identity_mm": 2.0, "weights_mae": 0.06, "head_deg": 1.0, "gaze_deg": 3.0, "time_s": 1e-6}
FOOTAGE = {"error_of_face_percent": 1.5, "jitter_over_detector": 1.0}

TARGETS = {f"{kind}_{name}": bound for kind in DETECTORS for name, bound in TRUTH.items()}
MINIMA: dict[str, float] = {}
if AVATAR_CLIP.is_file():
    TARGETS |= {f"{clip}_{kind}_{k}": v for clip in CLIPS for kind in DETECTORS for k, v in FOOTAGE.items()}
    MINIMA |= {f"{clip}_{kind}_tracked_percent": 100.0 for clip in CLIPS for kind in DETECTORS}
    TARGETS |= {f"photos_{kind}_worst_of_face_percent": 1.5 for kind in DETECTORS}
    TARGETS["avatar_peak_mb"] = 2000.0
    MINIMA["avatar_frames_per_s"] = 20.0


def run() -> dict[str, float]:
    """All figures; the wall times count what else the machine does."""
    # First, as a child's peak memory counts what its parent had when it was started.
    figures = named("avatar", whole_run()) if AVATAR_CLIP.is_file() else {}
    model, truth = load_model("anny"), sample_truth()
    for kind in DETECTORS:
        figures |= named(kind, against_truth(kind, model, truth))
        if AVATAR_CLIP.is_file():
            for clip in CLIPS:
                figures |= named(f"{clip}_{kind}", on_footage(kind, clip, model))
            figures |= named(f"photos_{kind}", on_photos(kind, model))
    return figures


def named(prefix: str, figures: dict[str, float]) -> dict[str, float]:
    """The figures with a common beginning of their names."""
    return {f"{prefix}_{name}": value for name, value in figures.items()}


def tracked(path: Path, kind: str) -> Track:
    """The face in a capture, by one of `DETECTORS`."""
    return track_capture(open_capture(path), detector=kind, models=[MODELS])


def against_truth(kind: str, model: HeadModel, truth: Truth) -> dict[str, float]:
    """The sample: what is off, and the seconds of identity and of the rest of the fit."""
    track = tracked(CAPTURE, kind)
    begin = time.perf_counter()
    person = fit_person(track, model, load_embedding(model), known=truth.known)
    middle = time.perf_counter()
    fit = fit_take(track, person)
    end = time.perf_counter()
    found = fit.performance
    return {
        "identity_mm": truth.identity_mm(fit.person.rest),
        "weights_mae": truth.weights_mae(found),
        "head_deg": truth.head_degrees(found),
        "gaze_deg": truth.gaze_degrees(found),
        "time_s": truth.time_s(found),
        "identity_s": middle - begin,
        "take_ms_per_frame": 1000 * (end - middle) / track.frame_count,
        **live(track, Likeness(fit.person, found, {}, (), fit, {})),
    }


def live(track: Track, likeness: Likeness) -> dict[str, float]:
    """The same frames one after the other as from a stream: how fast, and how far from the whole take's."""
    fit = OnlineFit(likeness.person)
    weights, spent = [], []
    for frame in range(track.frame_count):
        scores = None if track.scores is None else track.scores[frame]
        begin = time.perf_counter()
        solved = fit.push(float(track.time[frame]), track.landmarks[frame], scores)
        spent.append(time.perf_counter() - begin)
        assert solved is not None
        weights.append(solved.weights)
    away = np.mean(np.abs(np.stack(weights) - likeness.performance.weights))
    return {"live_frames_per_s": 1.0 / float(np.median(spent)), "live_weights_mae": float(away)}


def on_footage(kind: str, clip: str, model: HeadModel) -> dict[str, float]:
    """A clip of nobody we know: how near the fit is to its landmarks, and how calm."""
    track = tracked(SHARED / "data" / "videos" / f"{clip}.mp4", kind)
    figures = fit_likeness(track, model).figures
    return {
        "tracked_percent": 100.0 * float(np.mean(track.tracked)),
        "error_of_face_percent": 100.0 * figures["landmark_error_of_face"],
        "jitter_px": figures["jitter_px"],
        "jitter_over_detector": figures["jitter_px"] / figures["jitter_detector_px"],
    }


def on_photos(kind: str, model: HeadModel) -> dict[str, float]:
    """Four photos of one person: one identity, error of the worst photo."""
    track = tracked(PHOTOS, kind)
    fit = fit_take(track, fit_person(track, model, load_embedding(model)))
    share = 100.0 * fit.errors / fit.face_size
    return {
        "tracked": float(np.count_nonzero(track.tracked)),
        "error_of_face_percent": float(np.nanmean(share)),
        "worst_of_face_percent": float(np.nanmax(share)),
    }


def whole_run() -> dict[str, float]:
    """`python -m core avatar` on a 6 s clip of 512 x 512, from start to exit, by the detector it finds."""
    environment = {key: value for key, value in os.environ.items() if key not in THREADS}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "clip.avatar"
        command = [sys.executable, "-m", "core", "avatar", str(AVATAR_CLIP), "-o", str(out)]
        begin = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise RuntimeError(f"core avatar ended with status {child.returncode}")
        report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    stages = {f"{name}_s": seconds for name, seconds in report["seconds"].items()}
    frames = report["frames"]["total"]
    return {
        "wall_s": wall,
        "processor_s": usage.ru_utime + usage.ru_stime,
        "frames_per_s": frames / wall,
        "peak_mb": usage.ru_maxrss / 1024,
        **stages,
    }
