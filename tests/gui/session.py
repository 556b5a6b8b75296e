# SPDX-License-Identifier: GPL-3.0-or-later
"""`build.py gui-test`: the built zip in a real Blender window, driven by mouse and keys, pictures kept."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tests.gui import chroot

HERE = Path(__file__).resolve().parent
SAMPLE = HERE.parents[1] / "core" / "data" / "sample" / "likeness_sample.zip"
SCREEN = (1600, 1000)
SKIPPED = 77
LIMIT = 1200


def main(zip_path: Path, capture: Path, out: Path, root: Path | None, pip: Sequence[str | Path]) -> int:
    """Make or reuse the root, run the session in it, report. Returns 0, 1, or 77 when it cannot run here."""
    place = root or chroot.default_root()
    try:
        facts = chroot.ensure(place, pip, HERE.parents[1] / "requirements" / "gui.txt")
    except chroot.NotHere as problem:
        print(f"GUI TEST SKIPPED: {problem}", flush=True)
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="likeness-gui-") as folder:
        shared = Path(folder)
        stage(shared, zip_path, capture)
        worker = Path(pip[0])
        stage_footage(shared, worker)
        began = time.monotonic()
        try:
            status = run(place, shared, python_folders(worker))
        finally:
            keep(shared / "out", out)
        return report(out, facts["blender"], status, time.monotonic() - began)


def stage(shared: Path, zip_path: Path, capture: Path) -> None:
    """Lay out what the session sees at /mnt."""
    (shared / "out").mkdir()
    (shared / "capture").mkdir()
    shutil.copy(zip_path, shared / "likeness.zip")
    if capture.is_dir():
        shutil.copytree(capture, shared / "capture" / capture.name)
    else:
        shutil.copy(capture, shared / "capture" / capture.name)
    for name in ("drive.py", "robot.py", "facts.py", "compress.py", "splats.py"):
        shutil.copy(HERE / name, shared / name)


def stage_footage(shared: Path, worker: Path) -> None:
    """The sample's movie alone, as a video that has to be tracked, and the worker's Python that can."""
    (shared / "footage").mkdir()
    with zipfile.ZipFile(SAMPLE) as archive:
        movie = next(name for name in archive.namelist() if name.lower().endswith((".mp4", ".mov")))
        (shared / "footage" / f"speaker{Path(movie).suffix}").write_bytes(archive.read(movie))
    (shared / "worker.txt").write_text(str(worker))


def python_folders(python: Path) -> list[Path]:
    """The folders that an environment's interpreter needs: its own, and that of the Python it was made
    with.
    """
    code = "import sys; print(sys.prefix); print(sys.base_prefix)"
    said = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    return [Path(line) for line in dict.fromkeys(said.stdout.split("\n")) if line not in ("", "/usr")]


def run(root: Path, shared: Path, places: Sequence[Path]) -> int:
    """One Blender window on a virtual screen, software GL; returns the exit status of the driver."""
    width, height = (str(n) for n in SCREEN)
    blender = [
        "blender",
        "--factory-startup",
        "--no-native-pixels",
        "--window-geometry",
        "0",
        "0",
        width,
        height,
    ]
    screen = ["xvfb-run", "-a", "-s", f"-screen 0 {width}x{height}x24 -nolisten tcp"]
    command = chroot.enter(root, shared, [*screen, *blender, "--python", "/mnt/drive.py"], places)
    with (shared / "out" / "blender.log").open("w") as log:
        child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return child.wait(LIMIT)
        except subprocess.TimeoutExpired:
            return 124
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


def keep(made: Path, out: Path) -> None:
    """Put pictures, facts and log where they were asked for, in place of those of an earlier run."""
    out.mkdir(parents=True, exist_ok=True)
    for path in out.glob("[0-9fs]*_*.png"):
        path.unlink()
    for path in sorted(made.iterdir()):
        shutil.copy(path, out / path.name)


def report(out: Path, blender: str, status: int, seconds: float) -> int:
    """Print what was checked and seen; an unfinished session is a failure, whatever it had passed."""
    path = out / "facts.json"
    facts = json.loads(path.read_text()) if path.is_file() else {"checks": [], "finished": False}
    for check in facts["checks"]:
        print(
            f"{'ok  ' if check['ok'] else 'FAIL'} {check['name']}{check['detail'] and ': ' + check['detail']}"
        )
    failed = sum(not check["ok"] for check in facts["checks"])
    good = status == 0 and facts["finished"] and not failed
    if not good:
        print("".join((out / "blender.log").read_text(errors="replace").splitlines(keepends=True)[-40:]))
        why = "time ran out" if status == 124 else f"status {status}"
        print(
            f"{failed} of {len(facts['checks'])} checks failed ({why}); log and pictures: {out}", flush=True
        )
        return 1
    print(f"{len(facts['checks'])} checks in {blender}, {seconds:.0f} s; pictures: {out}", flush=True)
    return 0
