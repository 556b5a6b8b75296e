# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs `track` and `fetch-landmarker` of the command line."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from ..arguments import existing_folder
from ..errors import SettingsError
from ..progress import Progress


def add_track(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Declare them."""
    track = verbs.add_parser("track", parents=[common], help="find the face in every frame of a capture")
    track.add_argument("capture", type=Path, metavar="CAPTURE")
    track.add_argument("-o", "--output", type=Path, required=True, metavar="TAKE.npz")
    track.add_argument("--detector", choices=("auto", "bundle", "wheel"), default="auto")
    track.add_argument("--media", choices=("auto", "movie", "photos"), default="auto")
    track.add_argument(
        "--models",
        type=existing_folder,
        action="append",
        default=[],
        metavar="DIR",
        help="folder with face_landmarker.task; may be repeated",
    )
    track.set_defaults(run=run_track)

    fetch = verbs.add_parser(
        "fetch-landmarker", parents=[common], help="download MediaPipe's face landmarker (3.8 MB)"
    )
    fetch.add_argument("--folder", type=Path, metavar="DIR", help="default: the cache, which is searched")
    fetch.set_defaults(run=run_fetch)


def run_track(options: argparse.Namespace, progress: Progress) -> tuple[dict[str, Any], list[str]]:
    """Track a capture and write the track."""
    from ..capture import open_capture
    from .tracking import track_capture

    output = options.output.absolute()
    if output.suffix != ".npz" or not output.parent.is_dir():
        raise SettingsError(f"{output} is no place for a track.", "Name an .npz in a folder that exists.")
    began = time.perf_counter()
    capture = open_capture(options.capture)
    track = track_capture(
        capture, progress, models=options.models, detector=options.detector, media=options.media
    )
    seconds = time.perf_counter() - began
    track.save(output)
    tracked = int(track.tracked.sum())
    value = {
        "track": str(output),
        "frames": track.frame_count,
        "tracked": tracked,
        "lost": track.frame_count - tracked,
        "skipped": track.skipped,
        "faces": track.faces,
        "seconds": round(seconds, 3),
        "fps": round(track.frame_count / seconds, 1),
        "confidence": round(float(track.confidence[track.tracked].mean()), 3),
        "detector": track.detector,
        "warnings": list(track.warnings),
    }
    lines = [
        f"{output}",
        f"  frames: {track.frame_count}, tracked {tracked}, lost {value['lost']}, damaged {track.skipped}",
        f"  faces: {track.faces}; confidence {value['confidence']:.2f}; {track.detector}",
        f"  {seconds:.1f} s, {value['fps']:.0f} frames/s",
    ]
    return value, lines + [f"  note: {warning}" for warning in track.warnings]


def run_fetch(options: argparse.Namespace, progress: Progress) -> tuple[dict[str, Any], list[str]]:
    """Fetch the landmark bundle into the cache or a folder."""
    from .bundle import models_folder
    from .fetch import fetch_bundle

    path = fetch_bundle(options.folder or models_folder(), progress)
    return {"bundle": str(path)}, [str(path)]
