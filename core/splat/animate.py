# SPDX-License-Identifier: GPL-3.0-or-later
"""An acting played by an avatar of Gaussians, as a folder of pictures or as a movie."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import SettingsError
from ..files import atomic_folder, atomic_path
from ..progress import Progress, silent
from .acting import Acting
from .camera_path import Shots
from .pictures import background_colour, opaque, show, straight, write_png
from .player import Player

Array = np.ndarray

MOVIES = (".mp4", ".m4v", ".mov")
"""Endings that ask for a movie."""
SHOWN = 24
"""Pictures from one that is shown to the next."""
_FRAME = re.compile(r"frame_\d{5,}\.png")


@dataclass(frozen=True)
class Sound:
    """What is heard in a movie."""

    path: Path
    """Footage with sound."""
    start: float
    """s of the footage at which the movie begins."""


def is_movie(output: Path) -> bool:
    """Whether a name asks for a movie."""
    return output.suffix.lower() in MOVIES


def check_output(output: Path, background: str, size: tuple[int, int] | None = None) -> None:
    """SettingsError, before any work, for a place or a wish that cannot be met."""
    colour = background_colour(background)
    if not output.parent.is_dir():
        raise SettingsError(f"There is no folder {output.parent}.", "Choose a place in one that exists.")
    if is_movie(output):
        if output.is_dir():
            raise SettingsError(f"{output} is a folder.", "Name another file.")
        if colour is None:
            raise SettingsError(
                "A movie in H.264 cannot be transparent.", "Write frames into a folder, or choose a colour."
            )
        if size is not None and (size[0] % 2 or size[1] % 2):
            raise SettingsError(
                f"A movie of {size[0]} x {size[1]} px cannot be written: its sides must be even.",
                "Choose an even --size.",
            )
    elif output.exists() and not output.is_dir():
        raise SettingsError(f"{output} is a file, and frames need a folder.", "Name a folder, or an .mp4.")
    elif output.is_dir() and any(not _FRAME.fullmatch(entry.name) for entry in output.iterdir()):
        raise SettingsError(f"The folder {output} holds other files than frames.", "Name a new one.")


def pictures(
    player: Player, acting: Acting, shots: Shots, background: str = "white", threads: int | None = None
) -> Iterator[Array]:
    """(H, W, 3) uint8 of every sample, (H, W, 4) over a transparent background."""
    colour = background_colour(background)
    views = shots.views(acting)
    for weights, gaze, view in zip(acting.weights, acting.gaze, views, strict=True):
        drawn = player.draw(weights, gaze, view, colour or (0.0, 0.0, 0.0), threads)
        yield straight(drawn) if colour is None else opaque(drawn)


def animate(
    player: Player,
    acting: Acting,
    shots: Shots,
    output: Path,
    background: str = "white",
    sound: Sound | None = None,
    progress: Progress = silent,
) -> list[str]:
    """Write frame_00000.png and so on into a folder, or a movie, whole or not at all; notes for the user.

    A folder of such frames that is there is replaced.
    """
    check_output(output, background, shots.size)
    frames = _watched(pictures(player, acting, shots, background), len(acting), progress)
    try:
        if is_movie(output):
            return _write_movie(output, frames, acting.times, shots.size, sound)
        with atomic_folder(output) as folder, writing() as write:
            for number, picture in enumerate(frames):
                write(folder / f"frame_{number:05d}.png", picture)
    except OSError as problem:
        raise SettingsError(f"{output} cannot be written: {problem.strerror or problem}.") from problem
    return []


def _watched(frames: Iterator[Array], count: int, progress: Progress) -> Iterator[Array]:
    for number, picture in enumerate(frames):
        progress(number / count, "animate", f"Frame {number + 1} of {count}")
        if number % SHOWN == 0:
            show(picture)
        yield picture


@contextlib.contextmanager
def writing() -> Iterator[Callable[[Path, Array], None]]:
    """A function that writes a PNG while the next is drawn; what fails is raised at the next or the end."""
    with ThreadPoolExecutor(1) as pool:
        last: list[Future[None]] = []

        def write(path: Path, picture: Array) -> None:
            if last:
                last.pop().result()
            last.append(pool.submit(write_png, path, picture))

        yield write
        if last:
            last.pop().result()


def _write_movie(
    output: Path, frames: Iterator[Array], times: Array, size: tuple[int, int], sound: Sound | None
) -> list[str]:
    from ..texture.movie_writer import write_movie
    from .movie_sound import with_sound

    clock = times - times[0]
    # The silent movie first: sound is laid under what is whole.
    with atomic_path(output) as beside:
        with write_movie(beside, size, clock, preset="veryfast") as movie:
            for picture in frames:
                movie.write(np.ascontiguousarray(picture))
        if sound is None:
            return []
        end = float(clock[-1]) + (float(np.median(np.diff(clock))) if len(clock) > 1 else 0.0)
        return with_sound(beside, sound.path, sound.start, end)
