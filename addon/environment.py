# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's Python environment: which interpreter a job gets, how one is checked and how one is made.

Jobs that need numpy alone run with Blender's own interpreter. The rest run in an environment of their own,
because all extensions share Blender's packages and heavy ones do not belong there. Making it is an explicit
act: it downloads the pinned packages below and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import Cancelled, WorkerError

PINS: tuple[str, ...] = (
    'numpy==1.26.4; python_version < "3.12"',
    'numpy==2.5.5; python_version >= "3.12"',
    "av==18.1.0",
    "pillow==13.0.0",
    "scipy==1.17.1",
    "numba==0.68.1",
    "llvmlite==0.50.0",
    'mediapipe==0.10.21; python_version < "3.12"',
    'mediapipe==0.10.33; python_version >= "3.12"',
    "opencv-python-headless==4.11.0.86",
    "protobuf==4.25.9",
    "attrs==26.1.0",
)
"""What the worker is made of, in the form that pip reads. A test holds it equal to the tree's own pins, where
the reason for each is. The list is complete and is installed as it is: what mediapipe asks for besides is
0.5 GB that face tracking never uses."""

MARKER = "likeness-environment.json"
"""Written last, so that an interrupted creation is never mistaken for an environment."""

PROBE = """
import json, sys
from importlib import metadata
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
packages = {name: version(name) for name in sys.argv[1:]}
print(json.dumps({"python": "%d.%d.%d" % sys.version_info[:3], "packages": packages}))
"""


def package_names() -> tuple[str, ...]:
    """Names of the pinned packages, each once."""
    return tuple(dict.fromkeys(pin.split("==")[0] for pin in PINS))


def pins_for(version: tuple[int, int]) -> tuple[str, ...]:
    """`name==version` of each package for a Python of this version, in the order of `PINS`."""
    chosen = []
    for pin in PINS:
        requirement, _, marker = (part.strip() for part in pin.partition(";"))
        limit = re.fullmatch(r'python_version (<|>=) "(\d+)\.(\d+)"', marker)
        if limit and (version < (int(limit[2]), int(limit[3]))) != (limit[1] == "<"):
            continue
        chosen.append(requirement)
    return tuple(chosen)


def interpreter_of(folder: Path) -> Path:
    """The interpreter inside an environment's folder, whether or not it is there."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def resolve(path: str) -> Path:
    """The interpreter that a user means who names one or the folder of an environment.

    Raises WorkerError when there is none.
    """
    given = Path(path)
    for candidate in (given, interpreter_of(given)):
        if candidate.is_file():
            return candidate
    raise WorkerError(
        f"{given} is neither a Python interpreter nor the folder of an environment.",
        "Choose another in the preferences, or create one there.",
    )


@dataclass(frozen=True)
class Report:
    """What was found when an interpreter was asked."""

    python: Path
    """The interpreter."""
    version: str
    """Its Python version."""
    packages: dict[str, str | None]
    """Installed version of each pinned package, None where it is missing."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the packages that are not there."""
        return tuple(name for name, version in self.packages.items() if version is None)

    def sentence(self) -> str:
        """The finding in one line."""
        if self.missing:
            return f"Python {self.version} lacks {', '.join(self.missing)}"
        found = ", ".join(f"{name} {version}" for name, version in self.packages.items())
        return f"Python {self.version} with {found}"


def check(python: Path, timeout: float = 60.0, names: Sequence[str] = ()) -> Report:
    """Ask an interpreter for its version and packages, the pinned ones or those of these `names`. Starts a
    process (about 0.1 s).

    Raises WorkerError when it does not run or answers nonsense.
    """
    command = [str(python), "-I", "-c", PROBE, *(names or package_names())]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=True)
        answer = json.loads(asked.stdout.splitlines()[-1])
        return Report(python, str(answer["python"]), dict(answer["packages"]))
    except subprocess.TimeoutExpired as error:
        raise WorkerError(
            f"{python} did not answer within {timeout:.0f} s.", "Choose another environment."
        ) from error
    except (OSError, subprocess.CalledProcessError, ValueError, LookupError, TypeError) as error:
        raise WorkerError(
            f"{python} does not run as Python.", "Choose another environment, or create one."
        ) from error


class Creation:
    """The making of an environment as a child process that can be polled and stopped.

    Same shape as a worker job: `poll()` until it returns True, then `result()`; `cancel()` at any time. The
    folder is removed again unless everything succeeded.
    """

    def __init__(self, folder: Path, python: str = sys.executable) -> None:
        """Start. `folder` must be absent, empty or an earlier environment of ours; raises WorkerError
        otherwise.
        """
        ours = (folder / MARKER).is_file() or (folder / "pyvenv.cfg").is_file()
        if folder.is_dir() and any(folder.iterdir()) and not ours:
            raise WorkerError(f"{folder} holds other files.", "Choose an empty folder for the environment.")
        self.folder = folder
        self.progress, self.stage, self.text = 0.0, "environment", "Making the environment"
        handle, name = tempfile.mkstemp(prefix="likeness-environment-", suffix=".log")
        self._handle, self._log = handle, Path(name)
        requirements = pins_for((sys.version_info[0], sys.version_info[1]))
        pip = [str(interpreter_of(folder)), "-I", "-m", "pip", "install", "--no-deps"]
        pip += ["--only-binary=:all:", "--no-input"]
        self._count = len(requirements)
        self._commands = [
            [python, "-I", "-m", "venv", "--clear", str(folder)],
            [*pip, "--disable-pip-version-check", "--progress-bar", "off", *requirements],
        ]
        self._error: WorkerError | None = None
        self._report: Report | None = None
        self._child: subprocess.Popen[Any] | None = None
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._next()

    def _next(self) -> None:
        command = self._commands.pop(0)
        try:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self._handle, stderr=self._handle, **_GROUP
            )
        except OSError as error:
            self._fail(f"{command[0]} cannot be started: {error.strerror}.")

    def _output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _fail(self, message: str) -> None:
        self._child = None
        self._error = WorkerError(message, "The environment was not made.")
        self._close()

    def poll(self) -> bool:
        """Look at the child without waiting; True when all is over."""
        if self._child is None:
            return True
        if self._child.poll() is None:
            self._read_progress()
            return False
        if self._child.returncode:
            self._fail(_explain(self._output()))
            return True
        if self._commands:
            self.progress, self.text = 0.2, "Downloading packages"
            self._next()
            return self._child is None
        self._child = None
        self._complete()
        return True

    def _read_progress(self) -> None:
        collected = re.findall(r"^Collecting (\S+)", self._output(), re.MULTILINE)
        if collected:
            self.progress = 0.2 + 0.6 * min(1.0, len(collected) / self._count)
            self.text = f"Downloading {collected[-1].replace('==', ' ')}"

    def _complete(self) -> None:
        try:
            self._report = check(interpreter_of(self.folder))
        except WorkerError as error:
            self._fail(error.message)
            return
        record = {"python": self._report.version, "packages": self._report.packages}
        (self.folder / MARKER).write_text(json.dumps(record, indent=2), encoding="utf-8")
        self.progress = 1.0
        self._close()

    def result(self) -> Report:
        """What was made. Raises WorkerError when it failed, Cancelled when it was stopped."""
        if self._error:
            raise self._error
        if self._report is None:
            raise Cancelled("The environment was not made: it was stopped.")
        return self._report

    def cancel(self) -> None:
        """Stop the child and remove what it had made."""
        child, self._child = self._child, None
        if child is not None and child.poll() is None:
            _end(child)
        self._close()

    def _close(self) -> None:
        """Forget the log, and unless all went well the folder too."""
        self._commands.clear()
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
            self._log.unlink(missing_ok=True)
        if self._report is None:
            shutil.rmtree(self.folder, ignore_errors=True)


_GROUP: dict[str, Any] = {"creationflags": 0x08000000} if os.name == "nt" else {"start_new_session": True}
"""Without a console on Windows; elsewhere a process group, because venv and pip have children."""


def _end(child: subprocess.Popen[Any]) -> None:
    """End a child and its children at once: what they were making is removed anyway."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if os.name == "nt":
            command = ["taskkill", "/F", "/T", "/PID", str(child.pid)]
            subprocess.run(command, capture_output=True, timeout=10, check=False)
        else:
            os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        child.kill()
    child.wait()


def _explain(log: str) -> str:
    """The one sentence in the output of venv or pip that matters."""
    if "ensurepip" in log or "No module named venv" in log:
        return "This Python lacks venv: install it (Debian: apt install python3-venv)."
    if re.search(r"NewConnectionError|ConnectTimeout|ReadTimeout|NameResolution|CERTIFICATE_VERIFY", log):
        return "The package index cannot be reached: check the network and the proxy."
    missing = re.search(r"No matching distribution found for (\S+)", log)
    if missing:
        return f"There is no ready-made package of {missing[1]} for this Python and system."
    if "No space left" in log:
        return "The disk is full."
    lines = [line for line in log.splitlines() if "ERROR" in line] or log.splitlines()[-1:] or ["no output"]
    return f"Making the environment failed: {' '.join(lines)[-300:]}"
