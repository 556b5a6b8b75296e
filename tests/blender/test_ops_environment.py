# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's environment: pins, checking, and a creation that leaves nothing when it ends early."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest
from ops_support import Importer

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("version", [(3, 11), (3, 13)])
def test_the_pins_are_those_of_the_tree(module: Importer, version: tuple[int, int]) -> None:
    lines = (ROOT / "requirements" / "demo.txt").read_text().splitlines()
    for pin in module("addon.environment").pins_for(version):
        assert any(re.match(rf"{re.escape(pin)}\s*(;|$)", line) for line in lines), pin


def test_every_python_gets_each_package_once(module: Importer) -> None:
    environment = module("addon.environment")
    for version in ((3, 11), (3, 12), (3, 13), (3, 14)):
        names = [pin.split("==")[0] for pin in environment.pins_for(version)]
        assert sorted(names) == sorted(environment.package_names())


def test_a_python_is_asked_for_its_packages(module: Importer) -> None:
    report = module("addon.environment").check(Path(sys.executable))
    assert report.version == ".".join(map(str, sys.version_info[:3]))
    assert report.packages["numpy"]


def test_what_is_no_python_is_named(module: Importer, tmp_path: Path) -> None:
    environment, errors = module("addon.environment"), module("core.errors")
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho hello\n")
    script.chmod(0o755)
    with pytest.raises(errors.WorkerError, match="does not run as Python"):
        environment.check(script)
    with pytest.raises(errors.WorkerError, match="neither a Python interpreter"):
        environment.resolve(str(tmp_path / "nothing"))


@pytest.mark.parametrize("seconds", [0.0, 0.3, 1.5])
def test_a_stopped_creation_leaves_nothing(module: Importer, tmp_path: Path, seconds: float) -> None:
    environment, errors = module("addon.environment"), module("core.errors")
    creation = environment.Creation(tmp_path / "env")
    time.sleep(seconds)
    creation.poll()
    creation.cancel()
    assert creation.poll()
    time.sleep(0.5)
    assert not (tmp_path / "env").exists()
    with pytest.raises(errors.Cancelled):
        creation.result()


def test_a_failed_creation_leaves_nothing(module: Importer, tmp_path: Path) -> None:
    environment, errors = module("addon.environment"), module("core.errors")
    false = tmp_path / "false"
    false.write_text("#!/bin/sh\necho 'Error: ensurepip is not available' >&2\nexit 1\n")
    false.chmod(0o755)
    creation = environment.Creation(tmp_path / "env", str(false))
    for _ in range(100):
        if creation.poll():
            break
        time.sleep(0.05)
    with pytest.raises(errors.WorkerError, match="lacks venv"):
        creation.result()
    assert not (tmp_path / "env").exists()


def test_a_folder_with_other_files_is_left_alone(module: Importer, tmp_path: Path) -> None:
    environment, errors = module("addon.environment"), module("core.errors")
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(errors.WorkerError, match="holds other files"):
        environment.Creation(tmp_path)
    assert (tmp_path / "letters.txt").read_text() == "mine"
