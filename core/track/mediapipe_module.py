# SPDX-License-Identifier: GPL-3.0-or-later
"""mediapipe, imported without what it demands and never needs, and kept quiet while it works."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import types
import warnings
from collections.abc import Iterator
from typing import Any

from ..errors import WorkerError

FIRST_WITH_METRICS = (0, 10, 35)
"""From this version on mediapipe sends metrics, so it is refused."""

_NOISE = re.compile(
    rb"^(?:[IW]\d{4} |INFO: Created TensorFlow Lite|WARNING: All log messages before absl::InitializeLog)"
)
_lock = threading.Lock()


def import_mediapipe() -> Any:
    """The mediapipe package. WorkerError when it is missing, broken or a version that sends metrics.

    Its drawing helpers, which are not used here, import matplotlib: an empty module stands in for it while
    mediapipe is imported, so that it need not be installed and takes no time.
    """
    # Its own use of protobuf, which it may not be told to change.
    warnings.filterwarnings("ignore", "SymbolDatabase.GetPrototype", UserWarning)
    warnings.filterwarnings("ignore", "MessageFactory class is deprecated", UserWarning)
    with _lock:
        _refuse_version()
        try:
            with _stand_in("matplotlib", "pyplot"):
                import mediapipe
        except ImportError as problem:
            raise WorkerError(
                f"The face detector cannot be used: mediapipe is missing or incomplete ({problem}).",
                "Make the worker environment in the preferences, or run build.py setup.",
            ) from problem
    return mediapipe


def _refuse_version() -> None:
    from importlib import metadata

    try:
        version = metadata.version("mediapipe")
    except metadata.PackageNotFoundError:
        return  # the import says so, or it is a build without metadata
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if numbers >= FIRST_WITH_METRICS:
        raise WorkerError(
            f"mediapipe {version} sends usage metrics over the network and is not used.",
            "Install one before 0.10.35: make the worker environment again.",
        )


@contextlib.contextmanager
def _stand_in(package: str, module: str) -> Iterator[None]:
    """An empty `package.module` while the block runs, unless the package is in use already."""
    if package in sys.modules:
        yield
        return
    parent, child = types.ModuleType(package), types.ModuleType(f"{package}.{module}")
    setattr(parent, module, child)
    sys.modules.update({parent.__name__: parent, child.__name__: child})
    try:
        yield
    finally:
        del sys.modules[child.__name__], sys.modules[parent.__name__]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop mediapipe's remarks from stderr while the block runs; errors and everything else pass.

    They come from C++ and by file descriptor, and no setting turns them off. Nested or simultaneous use is
    harmless. What is said in the very moment of a crash of the process may be lost.
    """
    sys.stderr.flush()
    try:
        true_stderr = os.dup(2)
    except OSError:  # no stderr at all, as under pythonw
        yield
        return
    read_end, write_end = os.pipe()
    os.dup2(write_end, 2)
    os.close(write_end)
    reader = threading.Thread(target=_pass_on, args=(read_end, true_stderr), daemon=True)
    reader.start()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(true_stderr, 2)  # also closes the pipe's last writing end, which ends the reader
        reader.join(timeout=5.0)
        os.close(true_stderr)


def _pass_on(read_end: int, target: int) -> None:
    """Copy lines that are not noise."""
    with os.fdopen(read_end, "rb") as lines:
        for line in lines:
            if not _NOISE.match(line):
                with contextlib.suppress(OSError):
                    os.write(target, line)
