# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of `addon/batch.py` and `blender -c likeness`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from ..core.splat.presets import PRESETS as SPLAT_PRESETS
from .scene.presets import PRESETS


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="likeness",
        description="Turn a face capture into scene.blend, frames, movie.mp4 and report.json.",
        epilog="Exit status: 0 done, 1 an error that the message explains, 2 wrong usage, 130 interrupted.",
    )
    made.add_argument("capture", type=Path, metavar="CAPTURE", help="file or folder")
    made.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    made.add_argument("--preset", type=str.upper, choices=tuple(PRESETS), help="render quality")
    made.add_argument(
        "--frames", type=frame_range, metavar="A-B", help="scene frames; default: the whole performance"
    )
    made.add_argument("--step", type=positive, default=1, metavar="N", help="render every Nth frame")
    made.add_argument("--resolution", type=size, metavar="WxH", help="picture size; default 1080x1080")
    made.add_argument(
        "--samples", type=positive, metavar="N", help="samples per pixel; default: those of the preset"
    )
    made.add_argument(
        "--budget", type=float, metavar="SECONDS", help="reduce size and frames to end within this time"
    )
    made.add_argument("--full", action="store_true", help="render everything, whatever the budget")
    made.add_argument("--no-render", action="store_true", help="make the scene only")
    made.add_argument("--gender", type=str.lower, choices=("female", "male"))
    made.add_argument("--age", type=float, metavar="0..1")
    made.add_argument("--name", default="", help="name of the person; default: that of the capture")
    made.add_argument(
        "--texture",
        type=str.upper,
        choices=("OFF", "STILL", "TRACK"),
        default="TRACK",
        help="what the footage gives the face: nothing, one texture, or also a movie; default: TRACK",
    )
    made.add_argument(
        "--splats",
        type=str.lower,
        choices=tuple(SPLAT_PRESETS),
        metavar="PRESET",
        help=f"train a Gaussian head and render it: {', '.join(SPLAT_PRESETS)}; not within a --budget",
    )
    made.add_argument("--lighting", type=str.upper, metavar="SET", help="lighting set")
    made.add_argument("--codec", type=str.upper, choices=("H264", "H265"), default="H264")
    return made


def frame_range(text: str) -> tuple[int, int]:
    """`A-B` or `A` as (first, last); ValueError, which argparse turns into a usage error, for anything
    else.
    """
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text.strip())
    if not found or (found[2] and int(found[2]) < int(found[1])):
        raise argparse.ArgumentTypeError(f"{text!r} is not A-B with A not above B")
    return int(found[1]), int(found[2] or found[1])


def size(text: str) -> tuple[int, int]:
    """`WxH` as (width, height), 16 to 16384 each."""
    found = re.fullmatch(r"(\d+)x(\d+)", text.strip().lower())
    if not found or not all(16 <= int(part) <= 16384 for part in found.groups()):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, 16 to 16384 each")
    return int(found[1]), int(found[2])


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.strip().isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
