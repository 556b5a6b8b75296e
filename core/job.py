# SPDX-License-Identifier: GPL-3.0-or-later
"""One worker process: `python -m core VERB ...` started, watched and stopped. Knows no bpy.

How the child finds its code: it is started in the folder that holds `core/`, with `-E` and `-s`. So `-m
core` finds the package next to us, first on the path and wherever the extension is installed; PYTHONPATH,
PYTHONHOME and the user's site-packages, which may belong to Blender or to another Python, have no say. `-I`
and `-P` would take that folder off the path as well. The folder holds nothing but our own code, so nothing
foreign is put in front of the environment. Relative paths in the arguments would be taken from that folder:
give absolute ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from . import errors
from .errors import Cancelled, LikenessError, WorkerError
from .progress import Progress, silent

ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds `core/`."""
EXIT_CANCELLED = 130
GRACE = 5.0
"""Seconds that a cancelled worker has to clean up before it is killed."""

_READ_OUT = 1.0
_LINE_LIMIT = 64 * 1024**2
_TAIL_LINES = 40
_WINDOWS = os.name == "nt"


@dataclass(frozen=True)
class JobEvent:
    """One report of progress."""

    progress: float
    """0..1"""
    stage: str
    """Short name of the stage."""
    text: str
    """A phrase for the user."""
    preview: str = ""
    """Path of a small picture of what is being worked on, where the worker has made one."""


class Job:
    """A running worker. Call `poll()` now and then (it never waits), or `wait()` in a script.

    When `done`, either `result` is a dict or `error` is a LikenessError: the worker's own, Cancelled, or
    WorkerError with the end of the worker's log when it died, was killed or did not speak the protocol.
    """

    def __init__(
        self,
        arguments: Sequence[str | os.PathLike[str]],
        python: str | os.PathLike[str] = sys.executable,
        root: str | os.PathLike[str] = ROOT,
        grace: float = GRACE,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Start `python -m core ARGUMENTS --json`; WorkerError when the interpreter cannot be started.

        `environ`: environment variables over our own.
        """
        self.arguments = [os.fspath(argument) for argument in arguments]
        self.result: dict[str, Any] | None = None
        self.error: LikenessError | None = None
        self.done = False
        self._grace = grace
        self._kill_at: float | None = None
        self._read_until: float | None = None
        self._messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        options = ["-E", "-s", "-u", "-X", "utf8", "-m", "core"]
        command = [os.fspath(python), *options, *self.arguments, "--json", "--watch-stdin"]
        self._child = _start(command, Path(root), environ or {})
        self._readers = [
            threading.Thread(target=self._read_stdout, args=(self._child.stdout,), daemon=True),
            threading.Thread(target=self._read_stderr, args=(self._child.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def poll(self) -> list[JobEvent]:
        """The reports since the last call. Never waits; sets `done`, `result` and `error` when the worker
        has ended.
        """
        if self.done:
            return []
        now = time.monotonic()
        ended = self._child.poll() is not None
        if not ended and self._kill_at is not None and now > self._kill_at:
            _kill(self._child)
        if ended and self._read_until is None:
            self._read_until = now + _READ_OUT
        # The pipes end with the worker, unless a child of its own has inherited them: that one is not
        # waited for.
        reading = any(reader.is_alive() for reader in self._readers)
        over = self._read_until is not None and (not reading or now > self._read_until)
        events = self._drain()
        if over:
            self._finish()
        return events

    def wait(self, progress: Progress = silent, timeout: float | None = None) -> dict[str, Any]:
        """Block until the end, passing reports on, and return the result or raise the error.

        Whatever interrupts the wait (Ctrl+C, a Cancelled raised by `progress`, the timeout in s as
        WorkerError) stops the worker first.
        """
        end = None if timeout is None else time.monotonic() + timeout
        try:
            while not self.done:
                for event in self.poll():
                    progress(event.progress, event.stage, event.text)
                if end is not None and time.monotonic() > end:
                    raise WorkerError(f"The worker took longer than {timeout:g} s.", "It was stopped.")
                time.sleep(0.0 if self.done else 0.02)
        except BaseException:
            self.stop()
            raise
        if self.error is not None:
            raise self.error
        return self.result or {}

    def cancel(self) -> None:
        """Ask the worker to end, and kill it when the grace is over. Returns at once; keep polling until
        `done`.
        """
        if self.done or self._kill_at is not None:
            return
        self._kill_at = time.monotonic() + self._grace
        # Closing stdin is the request that works everywhere, also on Windows without a console.
        with contextlib.suppress(OSError):
            if self._child.stdin is not None:
                self._child.stdin.close()
        if not _WINDOWS and self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child.pid, signal.SIGINT)

    def stop(self) -> None:
        """Cancel and wait until the worker is gone; at most the grace and a moment."""
        self.cancel()
        while not self.done:
            self.poll()
            time.sleep(0.01)

    @property
    def log(self) -> str:
        """The last lines of the worker's log."""
        return "\n".join(self._tail)

    def _read_stdout(self, stream: IO[bytes]) -> None:
        with stream, contextlib.suppress(OSError, ValueError):
            while line := stream.readline(_LINE_LIMIT):
                message = _message(line)
                if message is None:
                    self._tail.append(line[:500].decode("utf-8", "replace").rstrip())
                else:
                    self._messages.put(message)

    def _read_stderr(self, stream: IO[bytes]) -> None:
        with stream, contextlib.suppress(OSError, ValueError):
            while line := stream.readline(65_536):
                self._tail.append(line.decode("utf-8", "replace").rstrip())

    def _drain(self) -> list[JobEvent]:
        events: list[JobEvent] = []
        while True:
            try:
                message = self._messages.get_nowait()
            except queue.Empty:
                return events
            if "result" in message:
                result = message["result"]
                self.result = result if isinstance(result, dict) else {"value": result}
            elif "error" in message:
                self.error = _error(message)
            else:
                events.append(_event(message))

    def _finish(self) -> None:
        self.done = True
        code = self._child.wait()
        if self._child.stdin is not None:
            with contextlib.suppress(OSError):
                self._child.stdin.close()
        if code:
            _kill(self._child)  # what a dead worker has started has no use any more
        if self.result is not None and code == 0 and self.error is None:
            return
        self.result = None
        if self._kill_at is not None or (self.error is None and code == EXIT_CANCELLED):
            self.error = Cancelled("Cancelled.")
        elif self.error is None:
            self.error = WorkerError(f"The worker {_ending(code)}.", self._hint())

    def _hint(self) -> str:
        """The end of the log, as far as a message can carry it."""
        tail = self.log.strip()[-1200:]
        return f"Its last words:\n{tail}" if tail else "It left no message."


def run(
    arguments: Sequence[str | os.PathLike[str]], progress: Progress = silent, **options: Any
) -> dict[str, Any]:
    """Run a worker to its end and return its result; see `Job` and `Job.wait`."""
    return Job(arguments, **options).wait(progress)


def clean_environment() -> dict[str, str]:
    """Our environment variables without those that steer a Python and may be meant for another one."""
    dropped = ("PYTHON", "__PYVENV_LAUNCHER__", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(dropped)}


def _start(command: list[str], root: Path, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """The child in a process group of its own: a Ctrl+C in Blender's terminal is ours to pass on."""
    if not (root / "core" / "__main__.py").is_file():
        raise WorkerError(f"The worker's code is missing in {root}.", "Install the extension again.")
    # CREATE_NEW_PROCESS_GROUP and CREATE_NO_WINDOW, by value because other systems lack the names.
    flags = 0x00000200 | 0x08000000 if _WINDOWS else 0
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(
            command,
            cwd=root,
            env=clean_environment() | dict(environ),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            start_new_session=not _WINDOWS,
            creationflags=flags,
        )
    except OSError as problem:
        raise WorkerError(
            f"The worker's Python {command[0]} cannot be started: {problem.strerror or problem}.",
            "Choose or create its environment in the preferences.",
        ) from problem


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the worker and what it has started, without asking."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if _WINDOWS:
            subprocess.run(
                ["taskkill", "/F", "/T", "/PID", str(child.pid)], capture_output=True, timeout=10, check=False
            )
        else:
            # The child leads a session of its own, so its group has its number.
            os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        child.kill()


def _message(line: bytes) -> dict[str, Any] | None:
    """The JSON object on a line of the protocol, or None for what a library printed there."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    known = isinstance(message, dict) and not message.keys().isdisjoint({"progress", "result", "error"})
    return message if known else None


def _event(message: dict[str, Any]) -> JobEvent:
    value = message.get("progress")
    fraction = float(value) if isinstance(value, int | float) else 0.0
    stage, text, preview = (str(message.get(key, "")) for key in ("stage", "text", "preview"))
    return JobEvent(min(max(fraction, 0.0), 1.0), stage, text, preview)


def _error(message: dict[str, Any]) -> LikenessError:
    """The worker's error as the class it was there; an unknown class is a WorkerError."""
    kind: Callable[[str, str], LikenessError] = WorkerError
    found = getattr(errors, str(message.get("kind", "")), None)
    if isinstance(found, type) and issubclass(found, LikenessError):
        kind = found
    return kind(str(message["error"]), str(message.get("hint", "")))


def _ending(code: int) -> str:
    if code == 0:
        return "ended without a result"
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit status {code}"
