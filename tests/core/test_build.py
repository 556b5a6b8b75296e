# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools of the tree: what ships, how an environment is found and mended, how a test run is counted."""

from __future__ import annotations

import os
import re
import sys
import time
import tomllib
import zipfile
from pathlib import Path

import pytest

import build
from core.errors import LikenessError, WorkerError
from tests import environments, extension, stages
from tests.environments import Environment

posix_only = pytest.mark.skipif(os.name == "nt", reason="fakes interpreters with shell scripts")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small source tree that build.py takes for its own."""
    names = (
        "LICENSE",
        "blender_manifest.toml",
        "CHANGELOG.md",
        "core/a.py",
        "core/data/model.npz",
        "addon/b.py",
    )
    rubbish = (
        "core/__pycache__/a.pyc",
        "core/.hidden",
        "ui/c.py.orig",
        "core/data/sample_truth.npz",
        "core/x.tmp",
    )
    for name in (*names, *rubbish, "tests/t.py", "build.py", "README.md"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    monkeypatch.setattr(extension, "ROOT", tmp_path / "tree")
    return tmp_path / "tree"


def test_the_zip_has_what_ships_in_order(tree: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(extension.write_zip(tmp_path / "a.zip")) as archive:
        assert archive.namelist() == [
            "__init__.py",
            "CHANGELOG.md",
            "LICENSE",
            "addon/b.py",
            "blender_manifest.toml",
            "core/a.py",
            "core/data/model.npz",
        ]
        assert archive.read("__init__.py").decode() == extension.ENTRY


def test_equal_trees_give_equal_zips(tree: Path, tmp_path: Path) -> None:
    first = extension.digest(extension.write_zip(tmp_path / "a.zip"))
    os.utime(tree / "core" / "a.py", (1, 1))
    (tree / "core" / "a.py").chmod(0o700)
    assert extension.digest(extension.write_zip(tmp_path / "b.zip")) == first
    (tree / "core" / "a.py").write_text("# changed\n")
    assert extension.digest(extension.write_zip(tmp_path / "c.zip")) != first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "b.zip", "c.zip", "tree"]


def test_a_module_that_does_not_compile_does_not_ship(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("x = (\n")
    with pytest.raises(LikenessError, match=r"ops/bad\.py, line 1: "):
        extension.require_syntax("ops/bad.py", path)


def test_the_manifest_is_one_with_the_tree(root: Path) -> None:
    manifest = tomllib.loads((root / "blender_manifest.toml").read_text(encoding="utf-8"))
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert manifest["version"] == project["version"]
    assert f"## {manifest['version']}" in (root / "CHANGELOG.md").read_text(encoding="utf-8")
    for text in (manifest["tagline"], *manifest["permissions"].values()):
        assert 0 < len(text) <= 64
        assert text[-1].isalnum()
    assert set(manifest["permissions"]) <= {"files", "network", "clipboard", "camera", "microphone"}


def test_pins_are_exact_and_agree(root: Path) -> None:
    """One version of a package per Python, over all files, apart from Blender, its numpy and the tracker."""
    seen: dict[str, set[str]] = {}
    for path in sorted((root / "requirements").glob("*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                pin = re.fullmatch(r'([\w.-]+)==([\w.+]+)(; python_version [<>]=? "[\d.]+")?', line)
                assert pin, f"{path.name}: {line}"
                seen.setdefault(pin[1].lower(), set()).add(pin[2])
    assert {name for name, versions in seen.items() if len(versions) > 1} == {*("bpy", "numpy", "mediapipe")}


def test_complete_files_are_installed_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[list[str], list[str]]] = []
    monkeypatch.setattr(
        environments,
        "pip_install",
        lambda _where, files, options, _progress: calls.append(
            ([file.name for file in files], list(options))
        ),
    )
    for name, text in {"test.txt": "a==1\n", "demo.txt": "# why\n# pip: --no-deps\nb==1\n"}.items():
        (tmp_path / name).write_text(text)
    files = [tmp_path / "test.txt", tmp_path / "demo.txt"]
    environments.install(Environment(tmp_path / "venv", ("3.11",)), files, lambda *_: None)
    assert calls == [(["demo.txt"], ["--no-deps"]), (["test.txt"], [])]


def test_no_file_names_a_place_of_one_machine(root: Path) -> None:
    """Pins say what, the user's pip says where from."""
    for path in [
        *(root / "requirements").glob("*.txt"),
        root / "build.py",
        *(root / "tests" / "gui").glob("*.py"),
    ]:
        assert "://" not in path.read_text(encoding="utf-8"), path


@posix_only
def test_a_python_is_one_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shims that point nowhere, 32-bit builds and packages without venv are passed over."""
    answers = {
        "shim": "exit 127",
        "small": "echo 3.99 False",
        "other": "echo 3.98 True",
        "silent": "exit 0",
        "good": "echo 3.99 True",
        "later": "echo 3.99 True",
    }
    for name, answer in answers.items():
        path = tmp_path / name / "python3.99"
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\n{answer}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join(str(tmp_path / name) for name in ("nowhere", *answers)))
    assert environments.find_python("3.99") == str(tmp_path / "good" / "python3.99")
    assert environments.find_python("3.97") is None


def test_no_python_is_one_sentence_with_a_cure(tmp_path: Path) -> None:
    with pytest.raises(
        WorkerError, match=r"No working 64-bit Python 3\.97 or 3\.96 .*apt-get install python3\.97"
    ):
        environments.make(Environment(tmp_path / "venv", ("3.97", "3.96")), lambda *_: None)
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("ERROR: No matching distribution found for bpy==5.0.1", "no wheel of bpy==5.0.1"),
        (
            "Retrying ... NewConnectionError(...)\nERROR: No matching distribution found for av==1",
            "cannot reach",
        ),
        ("ERROR: Could not install: [Errno 28] No space left on device", "disk is full"),
        ("Collecting x\nERROR: Cannot install a and b\nmore", "Cannot install a and b"),
        ("", "pip failed"),
    ],
)
def test_a_failed_install_is_explained(log: str, said: str, tmp_path: Path) -> None:
    assert said in str(environments.explain(log, Environment(tmp_path / ".venv", ("3.11",))))


def test_an_environment_is_redone_when_its_pins_change(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "venv", ("3.11",))
    pins = tmp_path / "demo.txt"
    pins.write_text("a==1\n")
    environment.python.parent.mkdir(parents=True)
    environment.python.touch()
    record = environment.folder / environments.RECORD
    assert not environments.is_ready(environment, [pins])
    record.write_text(f'{{"demo.txt": "{environments.fingerprint(environment, pins)}"}}')
    assert environments.is_ready(environment, [pins])
    assert not environments.prepare(environment, [pins], lambda *_: pytest.fail("nothing is to be done"))
    pins.write_text("a==2\n")
    assert not environments.is_ready(environment, [pins])
    record.write_text("{ damaged")
    assert not environments.is_ready(environment, [pins])


def test_children_see_nothing_of_our_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("BLENDER_USER_RESOURCES", "/elsewhere")
    env = environments.clean_environ(BLENDER_USER_CONFIG="/here")
    assert "/elsewhere" not in env.values()
    assert env["BLENDER_USER_CONFIG"] == "/here"


@pytest.mark.parametrize(
    ("xml", "status", "expected"),
    [
        ('<testsuites><testsuite tests="5" failures="1" errors="1" skipped="1"/></testsuites>', 1, (2, 2, 1)),
        ('<testsuites><testsuite tests="5" failures="0" errors="0" skipped="1"/></testsuites>', 0, (4, 0, 1)),
        # Crashed or hung after the report was written: not a pass.
        (
            '<testsuites><testsuite tests="5" failures="0" errors="0" skipped="0"/></testsuites>',
            -11,
            (5, 1, 0),
        ),
        (None, 124, (0, 1, 0)),
        ('<testsuites><testsuite tests="0" failures="0" errors="0" skipped="0"/></testsuites>', 0, (0, 1, 0)),
        (None, 0, (0, 1, 0)),
    ],
)
def test_a_test_run_is_counted_honestly(
    tmp_path: Path, xml: str | None, status: int, expected: tuple[int, int, int]
) -> None:
    report = tmp_path / "junit.xml"
    if xml:
        report.write_text(xml)
    count = stages.count_report(report, status, 60)
    assert (count.passed, count.failed, count.skipped) == expected


@posix_only
def test_a_child_that_hangs_is_ended_with_its_own_children(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys, time\n"
        "deaf = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)'\n"
        "child = subprocess.Popen([sys.executable, '-c', deaf])\n"
        "open(sys.argv[1], 'w').write(str(child.pid))\n"
        "time.sleep(60)"
    )
    assert build.run([sys.executable, "-c", code, tmp_path / "pid"], timeout=6.0) == 124
    grandchild = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 10
    while is_running(grandchild) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(grandchild)


def is_running(pid: int) -> bool:
    """Whether a process exists and is not merely waiting to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
