# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianAvatars' take files: read, written, refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.errors import CaptureError, SettingsError
from core.fit.flame_param import FlameTake, read_flame_param, write_flame_param
from core.head.flame.forward import FlameParameters

NAMES = ("shape", "expression", "rotation", "translation", "neck", "jaw", "eyes")


def take(mode: str = "standard") -> FlameTake:
    rng = np.random.default_rng(0)
    poses = {n: rng.normal(size=(3, 3)) for n in ("rotation", "translation", "neck", "jaw")}
    given = FlameParameters.of(
        "2023",
        rng.normal(size=300),
        rng.normal(size=(3, 100)),
        mode=mode,
        eyes=rng.normal(size=(3, 6)),
        **poses,
    )
    return FlameTake(given, rng.normal(size=(5143, 3)).astype(np.float32))


def test_what_is_written_is_read(tmp_path):
    write_flame_param(tmp_path / "flame_param.npz", take())
    read = read_flame_param(tmp_path / "flame_param.npz", "2023")
    for name in NAMES:
        assert np.allclose(getattr(read.parameters, name), getattr(take().parameters, name), atol=1e-6), name
    assert read.static_offset is not None and np.array_equal(read.static_offset, take().static_offset)
    with np.load(tmp_path / "flame_param.npz") as held:
        forms = {key: held[key].shape for key in held.files}
    assert forms["static_offset"] == (1, 5143, 3) and forms["dynamic_offset"] == (3, 5143, 3)
    assert forms["eyes_pose"] == (3, 6) and forms["expr"] == (3, 100) and forms["shape"] == (300,)


def test_the_other_form_and_damaged_files_are_refused(tmp_path):
    path = tmp_path / "flame_param.npz"
    with pytest.raises(SettingsError, match="standard form"):
        write_flame_param(path, take("cap4d"))
    write_flame_param(path, replace(take(), static_offset=None))
    with np.load(path) as held:
        good = {key: held[key] for key in held.files}
    for changes in (
        {"expr": None},
        {"jaw_pose": np.zeros((2, 3))},
        {"shape": np.full(300, np.nan)},
        {"static_offset": np.zeros((1, 9, 3))},
    ):
        np.savez(path, **{k: v for k, v in (good | changes).items() if v is not None})
        with pytest.raises(CaptureError, match="flame_param"):
            read_flame_param(path, "2023")
