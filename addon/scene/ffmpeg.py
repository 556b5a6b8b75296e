# SPDX-License-Identifier: GPL-3.0-or-later
"""An installed ffmpeg with the settings that Leap documents. No shell is involved; pictures go in by a
pipe.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import IO

from ...core.errors import SettingsError
from ...core.progress import Progress, silent
from .timing import as_fraction

LEAP = ("-c:v", "libx265", "-crf", "2", "-vf", "format=yuv420p10le", "-tag:v", "hvc1")
"""ffmpeg -r 60 -i seq.%04d.png ... out.mp4, as Leap's manual has it."""
H264 = ("-c:v", "libx264", "-crf", "12", "-vf", "format=yuv420p")


def find_ffmpeg() -> str | None:
    """The installed ffmpeg, None when there is none."""
    return shutil.which("ffmpeg")


def arguments(
    program: str,
    size: tuple[int, int],
    count: int,
    fps: float,
    sound: Path | None,
    sound_start: float,
    codec: str,
    out: Path,
) -> list[str]:
    """The command for `count` pictures on standard input."""
    whole, base = as_fraction(fps)
    rate = Fraction(whole) / Fraction(base).limit_denominator(100_000)
    command = [program, "-y", "-hide_banner", "-nostats", "-loglevel", "error"]
    command += [
        "-f",
        "image2pipe",
        "-c:v",
        "png",
        "-r",
        f"{rate.numerator}/{rate.denominator}",
        "-i",
        "pipe:0",
    ]
    if sound is not None:
        command += ["-ss", f"{max(0.0, sound_start):.6f}", "-i", f"file:{sound.resolve()}"]
        command += [
            "-map",
            "0:v:0",
            "-map",
            "1:a:0?",
            "-c:a",
            "aac",
            "-b:a",
            "192k",
            "-t",
            f"{count / float(rate):.6f}",
        ]
    video: list[str] = list(LEAP if codec == "H265" else H264)
    if size[0] % 2 or size[1] % 2:
        at = video.index("-vf") + 1
        video[at] = "crop=trunc(iw/2)*2:trunc(ih/2)*2," + video[at]
    return [*command, *video, str(out.resolve())]


def encode(
    pictures: Sequence[Path],
    size: tuple[int, int],
    fps: float,
    sound: Path | None,
    sound_start: float,
    codec: str,
    out: Path,
    progress: Progress = silent,
) -> None:
    """Encode complete PNG files of one size; SettingsError without ffmpeg, with its last words when it
    fails.
    """
    program = find_ffmpeg()
    if program is None:
        raise SettingsError("ffmpeg is not installed.", "Install it, or choose Blender's own encoder.")
    command = arguments(program, size, len(pictures), fps, sound, sound_start, codec, out)
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log)
        try:
            assert child.stdin is not None
            _feed(child.stdin, pictures, progress)
            status = child.wait()
        except BaseException:
            child.kill()
            child.wait()
            raise
        if status != 0:
            raise SettingsError(f"ffmpeg could not encode the movie: {_last_line(log)}.")


def _feed(pipe: IO[bytes], pictures: Sequence[Path], progress: Progress) -> None:
    # A closed pipe means that ffmpeg gave up; its exit status and log say why.
    with suppress(BrokenPipeError):
        for count, path in enumerate(pictures):
            progress(count / len(pictures), "encode", path.name)
            pipe.write(path.read_bytes())
    with suppress(BrokenPipeError):
        pipe.close()


def _last_line(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1].rstrip(".") if lines else "it gave no reason"
