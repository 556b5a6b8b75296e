# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line, the worker and the farm task: `python -m core VERB ...`.

With `--json` stdout carries one JSON object per line: `{"progress": 0.42, "stage": "...", "text": "..."}`,
and last `{"result": {...}}` or `{"error": "...", "hint": "...", "kind": "CaptureError"}`. The log goes to
stderr. Exit status: 0 done, 1 an error that the message explains, 2 wrong usage, 70 a defect in Likeness,
130 cancelled (SIGINT, SIGTERM or a closed stdin with `--watch-stdin`); nothing half-written is left in any
of these cases.
"""

from __future__ import annotations

import os

if __name__ == "__main__":
    # Fits solve many small systems, which several threads of BLAS slow down (a clip's fit by four, on two
    # cores that others use too), and whose last digits depend on their number. Read when numpy is first
    # imported, which the imports below do.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import contextlib
import errno
import json
import signal
import sys
import threading
import time
import traceback
from typing import IO, Any

from .commands import add_verbs
from .errors import Cancelled, LikenessError, WorkerError
from .progress import Previews

EXIT_ERROR, EXIT_DEFECT, EXIT_CANCELLED = 1, 70, 130
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_MIN_INTERVAL = 0.05


class Reporter:
    """Says what happens: as JSON lines for a program, as text for a person."""

    def __init__(self, as_json: bool) -> None:
        """Take stdout for the protocol; what else is printed, also by C libraries, goes to stderr then."""
        self._json: IO[str] | None = None
        self._last_stage, self._last_time = "", 0.0
        self._last_said: dict[str, Any] = {"progress": 0.0, "stage": "", "text": ""}
        if as_json:
            Previews.show = self.preview
            sys.stdout.flush()
            self._json = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace", newline="\n")
            os.dup2(2, 1)

    def close(self) -> None:
        """Say no more, and look at no more previews. Stdout stays where other output went."""
        if self._json is None:
            return
        Previews.show = None
        with contextlib.suppress(OSError):  # the reader may be what went away
            self._json.close()
        self._json = None

    def progress(self, fraction: float, stage: str, text: str) -> None:
        """Report progress, at most 20 times a second within a stage."""
        now = time.monotonic()
        if stage == self._last_stage and now - self._last_time < _MIN_INTERVAL and fraction < 1.0:
            return
        self._last_stage, self._last_time = stage, now
        self._last_said = {"progress": round(fraction, 4), "stage": stage, "text": text}
        if self._json is not None:
            self._send(self._last_said)
        else:
            print(f"{fraction:4.0%} {stage}: {text}", file=sys.stderr)

    def preview(self, path: str) -> None:
        """Repeat the last report with a picture of the work."""
        if self._json is not None:
            self._send({**self._last_said, "preview": path})

    def result(self, value: dict[str, Any], lines: list[str]) -> None:
        """Report the result: `value` to a program, `lines` to a person."""
        if self._json is not None:
            self._send({"result": value})
        else:
            print("\n".join(lines))

    def error(self, error: LikenessError) -> None:
        """Report the one error that ends the work."""
        if self._json is not None:
            # The reader may be what went away.
            with contextlib.suppress(OSError):
                self._send({"error": error.message, "hint": error.hint, "kind": type(error).__name__})
        print(error if isinstance(error, Cancelled) else f"Error: {error}", file=sys.stderr)

    def _send(self, message: dict[str, Any]) -> None:
        assert self._json is not None
        self._json.write(json.dumps(message, ensure_ascii=True) + "\n")
        self._json.flush()


def parser() -> argparse.ArgumentParser:
    """The command line of all verbs."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="speak the worker protocol on stdout")
    common.add_argument("--watch-stdin", action="store_true", help=argparse.SUPPRESS)
    top = argparse.ArgumentParser(
        prog="python -m core",
        description="Likeness without Blender.",
        epilog="Exit status: 0 done, 1 error, 2 wrong usage, 70 defect, 130 cancelled.",
    )
    add_verbs(top.add_subparsers(dest="verb", required=True, metavar="VERB"), common)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return the exit status."""
    options = parser().parse_args(arguments)
    reporter = Reporter(options.json)
    try:
        return _run(options, reporter)
    finally:
        reporter.close()


def _run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Run the verb, whatever comes of it; the exit status."""
    _stop_cleanly(options.watch_stdin)
    try:
        value, lines = options.run(options, reporter.progress)
        reporter.result(value, lines)
        return 0
    except (KeyboardInterrupt, Cancelled) as stop:
        told = stop if isinstance(stop, Cancelled) and stop.hint else None
        reporter.error(told or Cancelled("Cancelled.", "Nothing was written."))
        return EXIT_CANCELLED
    except BrokenPipeError:
        # Whoever read the output is gone, so there is nobody to work for.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_CANCELLED
    except LikenessError as error:
        reporter.error(error)
        return EXIT_ERROR
    except Exception as defect:  # noqa: BLE001  the last line of defence: a defect must reach whoever waits
        if isinstance(defect, OSError) and defect.errno in _FULL:
            reporter.error(WorkerError("The disk is full.", "Make room, then try again."))
            return EXIT_ERROR
        traceback.print_exc()
        what = f"{type(defect).__name__}: {defect}"
        problem = f"The worker met a defect of its own: {what}"
        reporter.error(WorkerError(problem, "Please report it with the log."))
        return EXIT_DEFECT


def _stop_cleanly(watch_stdin: bool) -> None:
    """Turn the first SIGINT, SIGTERM or end of stdin into KeyboardInterrupt, and ignore more during the
    clean-up.

    It is no Exception, so no handler of an expected failure on the way swallows it.
    """
    stops = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]

    def stop(_number: int, _frame: object) -> None:
        for number in stops:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in stops:
        signal.signal(number, stop)
    if watch_stdin:
        threading.Thread(target=_interrupt_at_end_of_stdin, daemon=True).start()


def _interrupt_at_end_of_stdin() -> None:
    """Whoever started us closes stdin to cancel; it also closes when that process dies."""
    with contextlib.suppress(OSError, ValueError):
        while os.read(0, 4096):
            pass
    if os.name == "nt":
        signal.raise_signal(signal.SIGINT)
    else:
        # To the process and not to this thread, so that a blocking call of the main thread wakes up.
        os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
