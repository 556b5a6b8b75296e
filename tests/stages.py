# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of `build.py test`: run in order, timed, each with a hard limit; one honest total at the end."""

from __future__ import annotations

import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import build
from core.errors import LikenessError
from tests import extension
from tests.environments import Environment, clean_environ, find_python


@dataclass(frozen=True)
class Count:
    """What one stage came to."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    note: str = ""


@dataclass(frozen=True)
class Stage:
    """One line of the summary."""

    name: str
    run: Callable[[], Count]


def command_stage(name: str, command: list[str | Path], limit: float) -> Stage:
    """A check that passes or fails as a whole."""

    def check() -> Count:
        status = build.run(command, limit)
        return Count(passed=1) if status == 0 else Count(failed=1, note=explain_status(status, limit))

    return Stage(name, check)


def pytest_stage(
    name: str,
    environment: Environment,
    arguments: list[str | Path],
    limit: float,
    ready: Future[None] | None = None,
    **extra: str,
) -> Stage:
    """A pytest run in its own process; waits first for the environment that is being made."""

    def check() -> Count:
        if ready is not None:
            ready.result()
        with tempfile.TemporaryDirectory(prefix="likeness-junit-") as folder:
            report = Path(folder) / "junit.xml"
            # -P: the tree must not be importable by accident where the installed extension is tested.
            command = [environment.python, "-P", "-m", "pytest", "-q", "--no-header", f"--junitxml={report}"]
            status = build.run([*command, *arguments], limit, clean_environ(**extra))
            return count_report(report, status, limit)

    return Stage(name, check)


def explain_status(status: int, limit: float) -> str:
    """What an exit status of a child means."""
    if status == 124:
        return f"stopped after {limit:.0f} s"
    return f"killed by signal {-status}" if status < 0 else f"exit status {status}"


def count_report(report: Path, status: int, limit: float) -> Count:
    """Numbers from a JUnit file; a run that ended badly without a failed test counts as one failure."""
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    if report.is_file():
        for suite in ElementTree.parse(report).getroot().iter("testsuite"):
            totals = {key: value + int(suite.get(key, 0)) for key, value in totals.items()}
    failed = totals["failures"] + totals["errors"]
    passed = max(0, totals["tests"] - failed - totals["skipped"])
    if status and not failed:
        return Count(passed, 1, totals["skipped"], explain_status(status, limit))
    if not status and not totals["tests"]:
        return Count(failed=1, note="no test was run")
    return Count(passed, failed, totals["skipped"])


def reproducible() -> Count:
    """The zip is valid, and building it twice gives the same bytes."""
    with tempfile.TemporaryDirectory(prefix="likeness-package-") as folder:
        first = build.packaged(Path(folder) / "1")
        second = extension.write_zip(Path(folder) / "2" / first.name)
        same = extension.digest(first) == extension.digest(second)
    return Count(passed=2) if same else Count(passed=1, failed=1, note="built twice, the zip differs")


def lacking(version: str) -> Stage:
    """The line that stands for a Blender whose Python is not on this machine."""
    return Stage(
        f"Blender {version}", lambda: Count(skipped=1, note="its Python is not on this machine; not tested")
    )


def plan(quick: bool, pool: ThreadPoolExecutor) -> list[Stage]:
    """All stages, cheapest first. The other Blenders are installed meanwhile."""
    python, root = build.MAIN.python, build.ROOT
    pick: list[str | Path] = ["-m", "not slow"] if quick else []
    blender: list[str | Path] = [root / "tests" / "blender", *pick]
    stages = [
        command_stage("ruff", [python, "-m", "ruff", "check", "--quiet", "."], 120),
        command_stage("pyright", [python, "-m", "pyright"], 400),
        pytest_stage("core, without bpy", build.MAIN, [root / "tests" / "core", *pick], 1200),
        Stage("package", reproducible),
        pytest_stage("Blender of .venv", build.MAIN, blender, 1200),
    ]
    others = [("4.5", build.BLENDER45, "blender45"), ("5.2", build.BLENDER52, "blender52")]
    for version, environment, requirements in [] if quick else others:
        if not any(map(find_python, environment.versions)):
            stages.append(lacking(version))
            continue
        ready = pool.submit(build.setup, environment, requirements)
        stages.append(pytest_stage(f"Blender {version}", environment, blender, 900, ready))
    return stages


def run_stage(stage: Stage) -> tuple[Count, float]:
    """Run one stage; an expected failure before its first test is its failure, not the end of the run."""
    build.say(f"\n=== {stage.name}")
    began = time.monotonic()
    try:
        count = stage.run()
    except LikenessError as error:
        build.say(str(error))
        count = Count(failed=1, note=str(error))
    return count, time.monotonic() - began


def total_line(numbers: Sequence[int]) -> str:
    """The form that a CI reads."""
    return f"{numbers[0]} passed, {numbers[1]} failed, {numbers[2]} skipped"


def run_all(quick: bool) -> int:
    """Run every stage, whatever fails, and print the table and the total. Returns the exit status."""
    began = time.monotonic()
    build.setup(build.MAIN, "demo", "test")
    lines, totals = [f"{'setup':<20} {time.monotonic() - began:6.1f} s"], [0, 0, 0]
    with ThreadPoolExecutor(1) as pool:
        for stage in plan(quick, pool):
            count, seconds = run_stage(stage)
            numbers = (count.passed, count.failed, count.skipped)
            totals = [total + number for total, number in zip(totals, numbers, strict=True)]
            words = total_line(numbers)
            lines.append(
                f"{stage.name:<20} {seconds:6.1f} s  {words}{f'  ({count.note})' if count.note else ''}"
            )
    build.say("\n" + "\n".join(lines) + f"\n{'all':<20} {time.monotonic() - began:6.1f} s\n")
    sys.stderr.flush()
    build.say(total_line(totals))
    return 1 if totals[1] else 0
