# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core skin`: what it writes and says, and what it refuses before any work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skin_models import CONTROLS, SHAPES, VERTICES, small_model, write_model

from core.__main__ import main
from core.progress import Progress
from core.skin.compressed import CompressedSkin
from core.skin.compressor import SkinCompressor
from core.skin.problem import Budget, Checkpoint, Problem, Settings, Solution
from core.skin.rig_logic import compute_rig_logic


class Pretended:
    """A solver that notes what it was asked for, and moves nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[Budget, Settings]] = []
        self.found: list[bool] = []
        self.interrupt = False

    def __call__(
        self, problem: Problem, budget: Budget, settings: Settings, progress: Progress, checkpoint: Checkpoint
    ) -> Solution:
        """All on the first bone; one number that is not zero, so that there is one."""
        self.asked.append((budget, settings))
        self.found.append(checkpoint.load() is not None)
        checkpoint.keep(lambda: {"weights": np.ones(3)})
        progress(0.5, "fit", "Half")
        if self.interrupt:
            raise KeyboardInterrupt
        weights = np.zeros((problem.n_vertices, budget.bones), np.float32)
        weights[:, 0] = 1
        transforms = np.zeros((problem.n_shapes, budget.bones, 6), np.float32)
        transforms[0, 0, 4] = 0.5
        return Solution(weights, transforms)


@pytest.fixture
def solver(monkeypatch) -> Pretended:
    """Takes the place of both solvers, and keeps its state at every chance."""
    pretended = Pretended()
    monkeypatch.setattr(SkinCompressor, "_solver", lambda _self: pretended)
    monkeypatch.setattr(SkinCompressor, "checkpoint_seconds", 0.0)
    return pretended


@pytest.fixture
def model(tmp_path) -> Path:
    return write_model(tmp_path / "face.npz")


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    """The exit status and what was said."""
    capsys.readouterr()
    try:
        status = main(["skin", *map(str, arguments)])
    except SystemExit as end:
        status = int(end.code or 0)
    said = capsys.readouterr()
    return status, said.out, said.err


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def test_a_model_becomes_a_result_and_a_table(solver, model, tmp_path, capsys):
    status, out, _err = run(capsys, model, "-o", tmp_path / "out.npz", "--bones", 6, "--influences", 2)
    assert status == 0
    skin = CompressedSkin.load(tmp_path / "out.npz")
    assert (skin.n_bones, skin.n_shapes, skin.n_vertices) == (6, SHAPES, VERTICES)
    assert skin.inbetween_info == small_model().inbetween_info
    for words in (
        "face, 8 shapes of 20 vertices",
        "6 bones, 1 influences, 1 coefficients; fast solver",
        f"(MAE)     {skin.errors['mae']:10.5f}",
        f"largest distance{skin.errors['max']:>20.5f}",
    ):
        assert words.replace(" ", "") in out.replace(" ", ""), out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["face.npz", "out.npz"]


def test_a_sidecar_is_written_beside_and_named(solver, model, tmp_path, capsys):
    output = tmp_path / "out.npz"
    status, said, _ = run(capsys, model, "-o", output, "--sidecar")
    assert status == 0
    for name in ("out.skin.json", "out.skin.npz"):
        assert (tmp_path / name).is_file()
        assert name in last_line(said)


def test_every_option_reaches_the_solver(solver, model, tmp_path, capsys):
    options = "--bones 9 --influences 3 --coefficients 77 --alpha 2.5 --seed 4 --iterations 30 --power 4"
    options += " --device cpu --solver reference --sparse"
    assert run(capsys, model, "-o", tmp_path / "out.npz", *options.split())[0] == 0
    budget, settings = solver.asked[0]
    assert budget == Budget(9, 3, 77)
    assert settings == Settings(alpha=2.5, seed=4, iterations=30, power=4, device="cpu")
    with np.load(tmp_path / "out.npz") as held:
        assert "transforms_values" in held


def test_the_worker_protocol_gives_the_numbers(solver, model, tmp_path, capfd):
    assert main(["skin", str(model), "-o", str(tmp_path / "out.npz"), "--json"]) == 0
    result: dict[str, Any] = json.loads(last_line(capfd.readouterr().out))["result"]
    assert result["bones"] == 20 and result["influences"] == 1 and result["coefficients"] == 1
    assert result["output"] == str(tmp_path / "out.npz") and result["seconds"] >= 0
    assert set(result["errors"]) >= {"mae", "mxe", "rmse", "lap_rms", "mean", "p999", "max"}
    assert result["shapes_bytes"] == 12 * SHAPES * VERTICES


def test_an_animation_is_measured_and_its_frames_written(solver, model, tmp_path, capsys):
    weights = np.random.default_rng(0).random((30, SHAPES)).astype(np.float16)
    np.savez(tmp_path / "anim.npz", weights=weights)
    arguments = [model, "-o", tmp_path / "out.npz", "--animation", tmp_path / "anim.npz"]
    status, out, _err = run(capsys, *arguments, "--frames", tmp_path / "frames", "--format", "npz")
    assert status == 0 and "30 frames of 5 controls" in out
    with np.load(tmp_path / "frames" / "frames.npz") as held:
        played = held["vertices"]
    source = small_model()
    coefficients = compute_rig_logic(weights[:, :5], source.inbetween_info, source.combination_info)
    wanted = source.rest_verts + np.einsum("tk,knc->tnc", coefficients, source.deltas)
    worst = np.linalg.norm(played - wanted, axis=2).max()
    assert f"largest {worst:.5f}" in out
    status, _out, err = run(capsys, *arguments, "--controls", 4)
    assert status == 1 and "4 columns of controls, and the face has 5" in err
    np.savez(tmp_path / "anim.npz", weights=weights[:, : CONTROLS + 1])
    status, _out, err = run(capsys, *arguments)
    assert status == 1 and "anim.npz has 6 columns, and the model has 5 controls. Say with --controls" in err
    assert run(capsys, *arguments, "--controls", CONTROLS)[0] == 0


def test_a_stop_among_the_frames_leaves_the_result(solver, model, tmp_path, capsys, monkeypatch):
    np.savez(tmp_path / "anim.npz", weights=np.zeros((3, CONTROLS)))

    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("core.skin.animation._write_obj", interrupted)
    play = ["--animation", tmp_path / "anim.npz", "--frames", tmp_path / "frames"]
    status, _out, err = run(capsys, model, "-o", tmp_path / "out.npz", *play)
    assert status == 130 and "out.npz was written before" in last_line(err)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["anim.npz", "face.npz", "out.npz"]


def test_a_folder_of_obj_files_is_compressed(solver, tmp_path, capsys):
    folder = tmp_path / "head"
    folder.mkdir()
    for name, height in (("rest", 0), ("smile", 1), ("blink", 2)):
        lines = f"v 0 0 {height}\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\n"
        (folder / f"{name}.obj").write_text(lines)
    assert run(capsys, folder, "-o", tmp_path / "out.npz")[0] == 0
    assert CompressedSkin.load(tmp_path / "out.npz").shape_names == ("blink", "smile")


def test_a_stop_leaves_the_checkpoint_and_resume_finds_it(solver, model, tmp_path, capsys):
    solver.interrupt = True
    status, _out, err = run(capsys, model, "-o", tmp_path / "out.npz")
    assert status == 130 and "--resume with the same options goes on with it" in last_line(err)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["face.npz", "out.npz.checkpoint"]
    solver.interrupt = False
    assert run(capsys, model, "-o", tmp_path / "out.npz", "--resume")[0] == 0
    assert solver.found == [False, True]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["face.npz", "out.npz"]


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--bones", "0", "'0' is no whole number of at least 1"),
        ("--bones", "many", "'many' is no whole number"),
        ("--influences", "-3", "'-3' is no whole number"),
        ("--coefficients", "1.5", "'1.5' is no whole number"),
        ("--coefficients", "9" * 30, "is no whole number"),
        ("--alpha", "-1", "'-1' is no number of at least 0"),
        ("--alpha", "nan", "'nan' is no number"),
        ("--power", "3", "'3' is no even number"),
        ("--seed", "-1", "'-1' is no whole number of at least 0"),
        ("--solver", "magic", "invalid choice"),
        ("--device", "tpu", "invalid choice"),
        ("--format", "fbx", "invalid choice"),
        ("--controls", "0", "'0' is no whole number"),
    ],
)
def test_a_bad_value_is_a_usage_error(solver, model, tmp_path, capsys, option, value, words):
    status, _out, err = run(capsys, model, "-o", tmp_path / "out.npz", f"{option}={value}")
    assert status == 2 and words in last_line(err) and option in last_line(err)
    assert not solver.asked


def test_what_cannot_be_written_is_said_before_any_work(solver, model, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("x")
    np.savez(tmp_path / "anim.npz", weights=np.zeros((2, 5)))
    play = ["--animation", tmp_path / "anim.npz"]
    out = tmp_path / "out.npz"
    for arguments, words in (
        ([model, "-o", tmp_path / "out.obj"], "no place for a result"),
        ([model, "-o", tmp_path / "none" / "out.npz"], "no place for a result"),
        ([model, "-o", tmp_path / "folder.npz"], "no place for a result"),
        ([model, "-o", model], "take the place of the model"),
        ([model, "-o", out, "--frames", tmp_path / "x"], "--frames needs"),
        ([model, "-o", out, *play, "--frames", tmp_path / "mine"], "other files"),
        ([model, "-o", out, "--animation", tmp_path / "none.npz"], "none.npz is missing"),
        ([model, "-o", out, "--animation", model], "it has no weights"),
        ([tmp_path / "none.npz", "-o", out], "none.npz is missing"),
        ([tmp_path / "mine", "-o", out], "no OBJ file"),
    ):
        status, _out, err = run(capsys, *arguments)
        assert status == 1 and words in last_line(err) and last_line(err).startswith("Error: ")
    assert not solver.asked and not out.exists()


def test_columns_that_do_not_fit_are_said_before_the_fit(solver, model, tmp_path, capsys):
    np.savez(tmp_path / "anim.npz", weights=np.zeros((2, 3)))
    status, _out, err = run(capsys, model, "-o", tmp_path / "o.npz", "--animation", tmp_path / "anim.npz")
    assert status == 1 and "has 3 columns" in err and not solver.asked


@pytest.mark.parametrize("kind", ["fast", "reference"])
def test_the_real_solvers_run(model, tmp_path, capsys, kind):
    output = tmp_path / f"{kind}.npz"
    status, out, err = run(
        capsys, model, "-o", output, "--solver", kind, "--iterations", 5, "--bones", 4, "--influences", 2
    )
    assert status == 0, err
    skin = CompressedSkin.load(output)
    assert skin.n_bones == 4 and skin.max_influences <= 2 and f"{kind} solver" in out
    assert np.isfinite(list(skin.errors.values())).all()
