# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracking: frames per second of the whole way from file to track, the detector's share, and a plain loop.

Per clip and detector, in the same run: `_fps` of `track_capture` with opening the models; `_cpu_ms` of
processor time per picture; `_detector_share`, what of it the detectors need for pictures at hand; `_cores`
that were busy; `_over_plain`, times faster than a loop that reads with OpenCV and looks at one picture after
the other; `_jitter_px` of the still parts. Clips and models that are not here are left out.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from core.capture import Capture, open_capture
from core.track import Track, jitter_px, open_detector, quiet, track_capture
from core.track.bundle import find_bundle
from core.track.lanes import detect_all
from core.track.looking import lane_count
from core.track.mediapipe_module import import_mediapipe
from core.track.movie import Movie

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "core" / "data" / "sample" / "likeness_sample.zip"
SHARED = ROOT.parent / "shared" / "data" / "videos"
MINIMA = {"sample_wheel_fps": 20.0, "sample_wheel_tracked": 1.0}


def run() -> dict[str, float]:
    """All clips with all detectors that are here."""
    results: dict[str, float] = {}
    detectors = ["wheel"] * hasattr(import_mediapipe(), "solutions") + ["bundle"] * (
        find_bundle() is not None
    )
    for name, path in clips():
        capture = open_capture(path)
        for detector in detectors:
            figures = measure(capture, detector)
            results |= {f"{name}_{detector}_{key}": value for key, value in figures.items()}
    return results


def clips() -> Iterator[tuple[str, Path]]:
    """The sample, and the shared clips where they are."""
    yield "sample", SAMPLE
    for name in ("expressions", "talking"):
        if (SHARED / f"{name}.mp4").is_file():
            yield name, SHARED / f"{name}.mp4"


def measure(capture: Capture, detector: str) -> dict[str, float]:
    """One clip with one detector."""
    whole, used, track = timed(lambda: track_capture(capture, detector=detector))
    alone = detector_seconds(capture, detector)
    with tempfile.TemporaryDirectory() as folder:
        assert capture.movie is not None
        path = capture.movie.path or capture.movie.extract_to(folder)
        with quiet():
            plain, _used, count = timed(lambda: plain_loop(path, detector))
    return {
        "fps": track.frame_count / whole,
        "tracked": float(track.tracked.mean()),
        "cpu_ms": 1000 * used / track.frame_count,
        "detector_share": alone / used,
        "cores": used / whole,
        "plain_fps": count / plain,
        "over_plain": (track.frame_count / whole) / (count / plain),
        **still(track),
    }


def still(track: Track) -> dict[str, float]:
    """Flutter of the detector in px, and in parts of the face."""
    flutter = jitter_px(track.time, track.landmarks)
    box = track.box()[track.tracked]
    return {"jitter_px": flutter, "jitter_of_face": flutter / float((box[:, 2] - box[:, 0]).mean())}


def detector_seconds(capture: Capture, kind: str) -> float:
    """Processor seconds of the detectors alone: opened, and given pictures that are decoded already."""
    assert capture.movie is not None
    with Movie(capture.movie) as movie:
        pictures = list(movie)
    with quiet():
        lanes = lane_count(independent=kind == "bundle")
        _wall, seconds, _found = timed(
            lambda: detect_all(pictures, lambda: open_detector(kind=kind), lanes, lambda _count: None)
        )
    return seconds


def plain_loop(path: Path, kind: str) -> int:
    """What a first script does: OpenCV's reader, a detector for still pictures, one after the other."""
    import cv2

    detector = open_detector(kind=kind, video=False)
    reader, count = cv2.VideoCapture(str(path)), 0
    while True:
        good, picture = reader.read()
        if not good:
            break
        detector.detect(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), count / 30.0)
        count += 1
    reader.release()
    detector.close()
    return count


def timed(call: Callable[[], T]) -> tuple[float, float, T]:
    """Seconds by the wall, seconds of processor time, and the result."""
    began, used = time.perf_counter(), time.process_time()
    result = call()
    return time.perf_counter() - began, time.process_time() - used, result
