# SPDX-License-Identifier: GPL-3.0-or-later
"""The command without a window: from the installed extension, from the bare tree, and what it refuses."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import bpy
import pytest
from ops_support import Importer, write_take

ROOT = Path(__file__).resolve().parents[2]


def run(script: Path, *arguments: object, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(script), "--", *map(str, arguments)]
    if bpy.app.binary_path:
        command = [
            bpy.app.binary_path,
            "-b",
            "--factory-startup",
            "-P",
            str(script),
            "--",
            *map(str, arguments),
        ]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=os.environ, cwd="/")


@pytest.fixture
def take(module: Importer, tmp_path: Path) -> Path:
    return write_take(module, tmp_path / "take.csv")


@pytest.fixture
def batch(module: Importer) -> Path:
    """The script inside the installed extension."""
    return Path(module("addon.runtime").__file__).with_name("batch.py")


def test_the_installed_script_leaves_everything(batch: Path, take: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(
        batch, take, "--out", out, "--preset", "path", "--samples", 1, "--frames", "0-8", "--step", 4,
        "--resolution", "64x64", "--gender", "male", "--lighting", "neutral",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    assert [p.name for p in sorted((out / "frames").glob("*"))] == [f"frame_{n:05d}.png" for n in (0, 4, 8)]
    assert (out / "scene.blend").stat().st_size > 100_000
    assert (out / "movie.mp4").stat().st_size > 500
    report = json.loads((out / "report.json").read_text())
    assert report["frames"] | {"size": None} == {
        "rendered": 3, "skipped": 0, "first": 0, "last": 8, "step": 4, "size": None,
    }  # fmt: skip
    assert report["movie"]["fps"] == pytest.approx(7.5)
    assert {"avatar", "scene", "save", "render", "movie", "total"} <= set(report["seconds"])
    assert report["engine"] == "CYCLES"
    assert "blender" in report["versions"]
    check_that_the_scene_can_be_moved(out, tmp_path / "moved")


def check_that_the_scene_can_be_moved(out: Path, moved: Path) -> None:
    """Every path in the .blend is relative, so rebuilding works where the folder went."""
    out.rename(moved)
    bpy.ops.wm.open_mainfile(filepath=str(moved / "scene.blend"))
    root = bpy.context.scene.likeness.active
    assert root.likeness.folder.startswith("//")
    assert bpy.ops.likeness.rebuild_double() == {"FINISHED"}
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)


def test_the_bare_tree_works_too(take: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(ROOT / "addon" / "batch.py", take, "--out", out, "--no-render")
    assert done.returncode == 0, done.stderr + done.stdout
    assert (out / "scene.blend").is_file()
    assert not (out / "frames").exists()


def test_refusals_are_one_sentence(batch: Path, take: Path, tmp_path: Path) -> None:
    missing = run(batch, tmp_path / "no.csv", "--out", tmp_path / "a")
    assert missing.returncode == 1
    assert missing.stderr.strip().splitlines()[-1].startswith("likeness: ")
    assert "no.csv does not exist" in missing.stderr
    assert "Traceback" not in missing.stderr
    beyond = run(batch, take, "--out", tmp_path / "b", "--frames", "900-950", "--no-render")
    assert beyond.returncode == 1
    assert "outside the performance" in beyond.stderr
    assert "error" in json.loads((tmp_path / "b" / "report.json").read_text())
    assert run(batch, take).returncode == 2
    assert run(batch, take, "--out", tmp_path / "c", "--frames", "9-3").returncode == 2


def test_the_command_line_command_is_registered(module: Importer) -> None:
    assert module("addon.cli")._commands


@pytest.mark.parametrize("seconds", [5.0, 40.0, 200.0, 5000.0])
@pytest.mark.parametrize("cost", [(0.05, 1e-7), (0.5, 2e-6), (8.0, 1e-5)])
def test_a_plan_fits_and_reduces_no_more_than_needed(
    module: Importer, seconds: float, cost: tuple[float, float]
) -> None:
    budget = module("addon.budget")
    total, pixels = 91, 1080 * 1080
    plan = budget.plan(budget.Cost(*cost), pixels, total, seconds)
    assert plan.count >= 1
    assert plan.seconds <= seconds or plan.count == 1
    assert plan.count <= -(-total // plan.step)
    full = total * budget.Cost(*cost).of(pixels)
    assert (plan.scale == 1.0 and plan.step == 1 and plan.count == total) == (full <= seconds)


def test_costs_are_measured_as_a_line(module: Importer) -> None:
    budget = module("addon.budget")
    cost = budget.Cost.measured((100, 1.0), (400, 2.5))
    assert cost.of(100) == pytest.approx(1.0)
    assert cost.of(400) == pytest.approx(2.5)
    assert budget.Cost.measured((100, 2.0), (400, 1.0)).per_pixel == 0.0
    assert budget.Cost.measured((100, 0.1), (400, 4.0)).fixed == 0.0


@pytest.mark.parametrize(
    ("each", "seconds"), [(1.0, 200.0), (1.0, 20.0), (3.0, 20.0), (50.0, 20.0), (2.0, 90.0)]
)
def test_whenever_time_is_up_the_frames_are_evenly_spaced(
    module: Importer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, each: float, seconds: float
) -> None:
    tight, render = module("addon.tight"), module("addon.scene.render")
    clock, finished = [0.0], set()
    monkeypatch.setattr(tight.time, "perf_counter", lambda: clock[0])

    def fake(
        _scene: object, folder: Path, frames: list[int], progress: Callable[[float, str, str], None]
    ) -> object:
        todo = [frame for frame in frames if frame not in finished]
        for index, frame in enumerate(todo):
            progress(index / len(todo), "render", "")
            clock[0] += each
            finished.add(frame)
        progress(1.0, "render", "")
        paths = tuple(folder / str(frame) for frame in frames)
        return render.Rendered(paths, len(todo), len(frames) - len(todo), 0.0)

    monkeypatch.setattr(tight, "render_frames", fake)
    wanted = list(range(10, 71, 2))
    guard = tight._guard(seconds, 1.0, lambda *_: None)
    done, kept = tight._passes(None, wanted, tmp_path, guard)
    assert clock[0] <= max(seconds, each)
    assert kept[0] == wanted[0]
    assert len({b - a for a, b in itertools.pairwise(kept)}) <= 1
    assert [int(path.name) for path in done.paths] == kept
    assert set(kept) <= finished
    if each * len(wanted) <= seconds:
        assert kept == wanted
