# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of long work on disk: what is noted of it, and a disk that has no room for it."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from core import __main__ as command
from core import checkpoint
from core.checkpoint import FileCheckpoint, note_of


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_note_is_told_without_the_state_and_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    kept = FileCheckpoint(path, "key", note="high take 1")
    kept.write({"a": np.arange(3)})
    assert note_of(path) == "high take 1"
    state = kept.load()
    assert state is not None and list(state) == ["a"]
    assert note_of(tmp_path / "none.npz") == note_of(tmp_path) == ""
    path.write_bytes(path.read_bytes()[:100])
    assert note_of(path) == ""


def test_work_goes_on_where_its_state_has_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tries again later, not at every step, and leaves the last whole state."""
    kept = FileCheckpoint(tmp_path / "state.npz", "key", seconds=0.0)
    kept.keep(lambda: {"a": np.arange(3)})
    monkeypatch.setattr(checkpoint.np, "savez", full)
    kept.keep(lambda: {"a": np.arange(4)})
    assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]
    state = kept.load()
    assert state is not None and len(state["a"]) == 3
    kept.seconds = 1e9
    kept.keep(lambda: pytest.fail("asked for at once again"))


def test_a_full_disk_is_no_defect(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    class Options:
        json, watch_stdin, run = True, False, staticmethod(full)

    monkeypatch.setattr(command, "parser", type("P", (), {"parse_args": lambda *_: Options}))
    monkeypatch.setattr(command, "_stop_cleanly", lambda _: None)
    assert command.main([]) == command.EXIT_ERROR
    told = capfd.readouterr()
    assert json.loads(told.out.splitlines()[-1])["error"] == "The disk is full."
    assert "Traceback" not in told.err
