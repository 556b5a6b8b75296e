# SPDX-License-Identifier: GPL-3.0-or-later
"""The code that the page on compressed skinning gives away does what the library does."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from test_skin_sidecar import SHAPES, skin

from core.skin import playback
from core.skin.rig_logic import compute_rig_logic
from core.skin.sidecar import sidecar_of, write_sidecar

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compressed-skinning.md"


def snippet(language: str) -> str:
    """The only block of a language on the page."""
    found = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(found) == 1
    assert len(found[0].splitlines()) <= 33
    return found[0]


def test_the_python_code_plays_the_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = skin()
    write_sidecar(model, tmp_path / "face.npz")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(snippet("python"), names)
    for row in np.random.default_rng(7).uniform(-0.2, 1.1, (6, SHAPES - 5)):
        coefficients = names["coefficients"](row)  # type: ignore[operator]
        whole = compute_rig_logic(row[None], model.inbetween_info, model.combination_info)
        assert coefficients == pytest.approx(whole[0])
        made = names["vertices"](coefficients)  # type: ignore[operator]
        size = np.ptp(model.rest, axis=0).max()
        assert np.abs(made - playback.evaluate(model, whole)[0]).max() < 1e-5 * size
    names["a"].close()  # type: ignore[attr-defined]


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
def test_the_c_code_makes_the_same_matrices(tmp_path: Path) -> None:
    source, library = tmp_path / "face.c", tmp_path / "face.so"
    source.write_text(snippet("c"))
    subprocess.run(["cc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source], check=True)
    sidecar = sidecar_of(skin(rig=False))
    coefficients = np.random.default_rng(8).uniform(0, 1, SHAPES).astype(np.float32)
    out = np.empty((sidecar.n_bones, 3, 4), np.float32)
    arrays = (
        *(sidecar.indptr, sidecar.indices, sidecar.values),
        *(sidecar.centre.astype(np.float32), coefficients, out),
    )
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
    ctypes.CDLL(str(library)).bone_matrices(sidecar.n_bones, *pointers)
    assert out == pytest.approx(sidecar.matrices(coefficients[None])[0], abs=1e-3)
