# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture that a working process shows: of the right frame, and gone with the process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from track_clips import SAMPLE

from core.capture import open_capture
from core.track import track_capture
from core.track.mediapipe_module import import_mediapipe
from core.track.preview import FITTED, draw_preview

Image = pytest.importorskip("PIL.Image")
import_mediapipe()
ROOT = Path(__file__).resolve().parents[2]


def test_fitted_landmarks_are_drawn_where_they_are():
    capture = open_capture(SAMPLE)
    track = track_capture(capture, detector="wheel")
    somewhere = np.tile(np.array([[100.0, 50.0]]), (track.frame_count, 1, 1))
    path = draw_preview(capture, track, somewhere)
    assert path is not None
    picture = np.asarray(Image.open(path), int)
    scale = picture.shape[1] / track.size[0, 0]
    at = picture[round(50 * scale - 0.5), round(100 * scale - 0.5)]
    assert max(picture.shape) == 256 and np.abs(at - FITTED).sum() < 250


def test_the_worker_tells_of_the_picture_and_takes_it_away(tmp_path):
    command = [
        sys.executable,
        "-m",
        "core",
        "avatar",
        str(SAMPLE),
        "-o",
        str(tmp_path / "a.avatar"),
        "--json",
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=300).stdout
    messages = [json.loads(line) for line in said.splitlines()]
    shown = [message["preview"] for message in messages if "preview" in message]
    assert len(shown) == 2 and shown[0] == shown[1]
    assert not Path(shown[0]).exists() and "result" in messages[-1]
