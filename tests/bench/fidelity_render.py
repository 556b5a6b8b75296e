# SPDX-License-Identifier: GPL-3.0-or-later
"""Footage beside what Blender makes of the avatar, from the same camera: slow, so only when asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

from core.avatar import Avatar
from core.capture import open_capture
from core.texture.footage import footage_pictures
from core.texture.picture_file import write_picture
from tests.bench.fidelity_compare import spread_out
from tests.bench.fidelity_subject import CAPTURES, ROOT

ROWS = 2


def rendered_sheet(name: str, out: Path) -> Path:
    """Make the avatar by the command that users run, render its `ROWS` most unlike moments, and write them
    beside their footage. A step that fails is a CalledProcessError.
    """
    folder, pictures = out / f"{name}.avatar", out / f"{name}_blender"
    pictures.mkdir(parents=True, exist_ok=True)
    _run("-m", "core", "avatar", CAPTURES[name], "-o", folder)
    avatar = Avatar.load(folder)
    take = next(one for one in map(avatar.load_performance, avatar.performances) if one.camera is not None)
    samples = spread_out(take.weights, np.arange(take.frame_count), ROWS)
    _run("tests/bench/fidelity_blender.py", folder, pictures, *samples)
    rows = []
    for index, footage, _ in footage_pictures(open_capture(CAPTURES[name]), take, samples):
        made = cv2.cvtColor(cv2.imread(str(pictures / f"{index}.png")), cv2.COLOR_BGR2RGB)
        rows.append(np.hstack([cv2.resize(footage, made.shape[1::-1]), made]))
    path = out / f"{name}_blender.png"
    write_picture(path, np.vstack(rows))
    return path


def _run(*words: object) -> None:
    subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
