# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb that carries takes between releases of FLAME."""

from __future__ import annotations

import numpy as np
import pytest
from flame_files import model, published
from test_fit_npz import made_fit

from core.__main__ import parser
from core.errors import LikenessError
from core.fit.fit_npz import read_fit, write_fit
from core.fit.flame_param import read_flame_param
from core.head.flame import vertices
from core.progress import silent


def run(*arguments: object) -> dict:
    options = parser().parse_args(["refit-flame", *map(str, arguments)])
    return options.run(options, silent)[0]


def test_a_fit_goes_to_the_open_release_and_back(tmp_path):
    fit = made_fit(frames=3, expr=np.random.default_rng(1).normal(size=(3, 65)) * 0.4)
    write_fit(tmp_path / "fit.npz", fit)
    jawless, opened = published("2023_no_jaw"), published("2023_open")
    said = run(tmp_path / "fit.npz", "--source", jawless, "--target", opened, "-o", tmp_path / "take.npz")
    assert said["to"] == "2023_open" and said["frames"] == 3 and 0 < said["error_mm"] < 1.2
    there = read_flame_param(tmp_path / "take.npz", "2023_open").parameters
    away = vertices(model("2023_open").whole, there) - vertices(model("2023_no_jaw").cap4d, fit.parameters)
    assert np.sqrt((away**2).sum(axis=2).mean()) < 0.0015
    with pytest.raises(LikenessError, match="cameras"):
        run(tmp_path / "take.npz", "--source", opened, "--target", jawless, "-o", tmp_path / "back.npz")
    arguments = ("--source", opened, "--target", jawless, "--cameras", tmp_path / "fit.npz")
    run(tmp_path / "take.npz", *arguments, "-o", tmp_path / "back.npz")
    back = read_fit(tmp_path / "back.npz")
    assert np.allclose(back.extr, fit.extr, atol=1e-6)
    again = vertices(model("2023_no_jaw").cap4d, back.parameters)
    assert (
        np.sqrt(((again - vertices(model("2023_no_jaw").cap4d, fit.parameters)) ** 2).sum(axis=2).mean())
        < 0.002
    )


def test_the_wrong_release_is_refused(tmp_path):
    write_fit(tmp_path / "fit.npz", made_fit())
    jawless, opened = published("2023_no_jaw"), published("2023_open")
    with pytest.raises(LikenessError, match="without a jaw"):
        run(tmp_path / "fit.npz", "--source", opened, "--target", jawless, "-o", tmp_path / "out.npz")
    with pytest.raises(LikenessError, match="no place"):
        run(
            tmp_path / "fit.npz", "--source", opened, "--target", jawless, "-o", tmp_path / "none" / "out.npz"
        )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fit.npz"]
