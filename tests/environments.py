# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual environments from pinned requirement files: find a Python, make one, install, say what is missing.

Standard library only: build.py uses it before anything is installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import WorkerError

Progress = Callable[[float, str, str], None]
# What the bpy module links to, and the Debian package that has it.
LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libXrender.so.1": "libxrender1",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libXxf86vm.so.1": "libxxf86vm1",
    "libgomp.so.1": "libgomp1",
    "libstdc++.so.6": "libstdc++6",
}
# Loaded only when EEVEE renders, which aborts without it.
GPU_LIBRARIES = {"libEGL.so.1": "libegl1 libgl1-mesa-dri"}
PROBE = """
import ctypes, json, os, sys
lacking = []
for name in sys.argv[1:]:
    try:
        ctypes.CDLL(name)
    except OSError:
        lacking.append(name)
try:
    import bpy
    error = ""
except Exception as problem:
    error = f"{type(problem).__name__}: {problem}"
print(json.dumps([lacking, error]), flush=True)
os._exit(0)
"""
RECORD = ".likeness-setup.json"
FOREIGN = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


@dataclass(frozen=True)
class Environment:
    """One virtual environment, there or to be made."""

    folder: Path
    """Where it lives."""
    versions: tuple[str, ...]
    """Python versions that it may have ("3.11"), best first."""

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def clean_environ(**extra: str) -> dict[str, str]:
    """Variables for a child process: nothing of the caller's Python or Blender settings leaks in."""
    kept = {k: v for k, v in os.environ.items() if k not in FOREIGN and not k.startswith("BLENDER_")}
    return {**kept, **extra}


def ask(command: Sequence[str], timeout: float = 120, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a child to its end and keep what it prints; a status that is not 0 is the caller's business."""
    env = clean_environ(**extra)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout, env=env)


def python_candidates(version: str) -> Iterator[str]:
    """Interpreters that may be of this version, likeliest first; not yet tried."""
    if f"{sys.version_info[0]}.{sys.version_info[1]}" == version:
        yield getattr(sys, "_base_executable", sys.executable)
    for folder in os.get_exec_path():
        yield str(Path(folder) / (f"python{version}.exe" if os.name == "nt" else f"python{version}"))
    if os.name == "nt":
        yield launcher_answer(version)
    home = Path.home()
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", home / ".local/share/uv/python"))
    places = (
        (Path(os.environ.get("PYENV_ROOT", home / ".pyenv")) / "versions", f"{version}.*/bin/python"),
        (home / ".pyenv/pyenv-win/versions", f"{version}.*/python.exe"),
        (uv, f"cpython-{version}.*/bin/python"),
        (Path(os.environ.get("APPDATA", home)) / "uv/python", f"cpython-{version}.*/python.exe"),
        (Path("/Library/Frameworks/Python.framework/Versions"), f"{version}/bin/python{version}"),
        (Path("/opt/homebrew/bin"), f"python{version}"),
    )
    for folder, pattern in places:
        yield from (str(path) for path in sorted(folder.glob(pattern), reverse=True))


def launcher_answer(version: str) -> str:
    """The interpreter that the Windows launcher `py` knows for this version, or an empty string."""
    command = ["py", f"-{version}", "-c", "import sys; print(sys.executable)"]
    try:
        return ask(command, 30).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def find_python(version: str) -> str | None:
    """The first 64-bit interpreter of this version that runs and can make environments.

    Each candidate is really run: shims may point nowhere, and Linux packages may lack venv.
    """
    code = "import sys, ensurepip, venv; print('%d.%d' % sys.version_info[:2], sys.maxsize > 2**32)"
    for candidate in dict.fromkeys(python_candidates(version)):
        if not candidate or not Path(candidate).is_file():
            continue
        try:
            tried = ask([candidate, "-I", "-c", code], 30)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if tried.returncode == 0 and tried.stdout.split() == [version, "True"]:
            return candidate
    return None


def is_ready(environment: Environment, requirements: Sequence[Path]) -> bool:
    """Whether these requirement files, as they are now, are installed. Starts no process."""
    return environment.python.exists() and not outdated(environment, requirements)


def outdated(environment: Environment, requirements: Sequence[Path]) -> list[Path]:
    """The requirement files that were not installed into this environment as they are now."""
    record = environment.folder / RECORD
    try:
        known = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    except ValueError:
        known = {}
    return [path for path in requirements if known.get(path.name) != fingerprint(environment, path)]


def fingerprint(environment: Environment, requirements: Path) -> str:
    """What an installed requirement file depends on, as one hash: the pins, the Python and the place."""
    settings = environment.folder / "pyvenv.cfg"
    made_of = settings.read_bytes() if settings.is_file() else b""
    parts = (requirements.read_bytes(), str(environment.folder).encode(), made_of)
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def prepare(environment: Environment, requirements: Sequence[Path], progress: Progress) -> bool:
    """Make the environment and install requirement files; returns at once with False when nothing changed.

    Raises WorkerError when no fitting Python or wheel is found. The next run takes up an interrupted one.
    """
    if is_ready(environment, requirements):
        return False
    make(environment, progress)
    install(environment, requirements, progress)
    record = {path.name: fingerprint(environment, path) for path in requirements}
    target = environment.folder / RECORD
    if target.is_file():
        record = {**json.loads(target.read_text(encoding="utf-8")), **record}
    partial = target.with_suffix(".tmp")
    partial.write_text(json.dumps(record, indent=1), encoding="utf-8")
    partial.replace(target)
    return True


def make(environment: Environment, progress: Progress) -> None:
    """Create the virtual environment unless a working one of a fitting version is there."""
    code = "import sys, pip; print('%d.%d' % sys.version_info[:2])"
    if environment.python.exists():
        tried = ask([str(environment.python), "-I", "-c", code])
        if tried.stdout.strip() in environment.versions:
            return
    python = next(filter(None, map(find_python, environment.versions)), None)
    if python is None:
        first = environment.versions[0]
        raise WorkerError(
            f"No working 64-bit Python {' or '.join(environment.versions)} with venv was found.",
            f"Install one: apt-get install python{first} python{first}-venv, or: uv python install {first}",
        )
    progress(0.0, "environment", f"Making {environment.folder.name} with {python}")
    made = ask([python, "-m", "venv", "--clear", str(environment.folder)])
    if made.returncode:
        said = (made.stderr or made.stdout).strip()[-300:]
        raise WorkerError(f"{python} cannot make an environment: {said}")


def install(environment: Environment, requirements: Sequence[Path], progress: Progress) -> None:
    """Install requirement files with pip, wheels only, so that a missing one is named instead of compiled.

    A file with the line `# pip: --no-deps` is complete: it is installed first and just as it is.
    """
    complete = [path for path in requirements if is_complete(path)]
    others = [path for path in requirements if path not in complete]
    for files, options in ((complete, ["--no-deps"]), (others, [])):
        if files:
            pip_install(environment, files, options, progress)


def is_complete(path: Path) -> bool:
    """Whether a requirement file names all that its packages need."""
    return "# pip: --no-deps" in path.read_text(encoding="utf-8").splitlines()


def pip_install(
    environment: Environment, requirements: Sequence[Path], options: Sequence[str], progress: Progress
) -> None:
    """Run pip once. Raises WorkerError with what it said."""
    lines = [line for path in requirements for line in path.read_text(encoding="utf-8").splitlines()]
    count = max(1, sum(1 for line in lines if re.match(r"[\w.-]+==", line)))
    command = [str(environment.python), "-I", "-m", "pip", "install", "--only-binary=:all:", "--no-input"]
    command += [*options, *(part for path in requirements for part in ("-r", str(path)))]
    env = clean_environ(PIP_PROGRESS_BAR="off")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    ) as pip:
        log: list[str] = []
        try:
            for line in pip.stdout or ():
                log.append(line.strip())
                found = sum(1 for entry in log if entry.startswith(("Collecting", "Requirement already")))
                progress(0.6 * min(1.0, found / count), "install", package_name(line))
        except BaseException:
            pip.terminate()
            raise
    if pip.returncode:
        raise explain("\n".join(log), environment)
    progress(1.0, "install", f"{count} pinned packages in {environment.folder.name}")


def package_name(line: str) -> str:
    """What a line of pip's output is about, in a word."""
    if line.startswith("Installing collected packages"):
        return "unpacking"
    found = re.match(r"(?:Collecting|Requirement already satisfied:) ([\w.-]+)", line)
    return found[1] if found else ""


def explain(log: str, environment: Environment) -> WorkerError:
    """The one fact in pip's output that matters, as an error."""
    if re.search(r"NewConnectionError|ConnectTimeout|ReadTimeout|NameResolution|CERTIFICATE_VERIFY", log):
        hint = "Check network, proxy and `pip config list`, then repeat."
        return WorkerError("pip cannot reach its package index.", hint)
    missing = re.search(r"No matching distribution found for ([^\s;]+)", log)
    if missing:
        where = f"{platform.system()} {platform.machine()}"
        return WorkerError(
            f"There is no wheel of {missing[1]} for the Python of {environment.folder.name} on {where}.",
            f"To see which there are: {environment.python} -m pip index versions {missing[1].split('=')[0]}",
        )
    if "No space left" in log:
        return WorkerError(
            f"The disk is full: {environment.folder.name} cannot be completed.", "It needs up to 4 GB."
        )
    lines = [line for line in log.splitlines() if "ERROR" in line] or log.splitlines()[-1:]
    return WorkerError(f"pip failed: {' '.join(lines)[-400:]}")


def check_blender(environment: Environment) -> list[str]:
    """Import bpy once in a child; returns the system packages that only EEVEE lacks.

    Raises WorkerError with the packages to install when the import fails.
    """
    names = [*LIBRARIES, *GPU_LIBRARIES] if sys.platform.startswith("linux") else []
    tried = ask([str(environment.python), "-I", "-c", PROBE, *names], timeout=300)
    try:
        lacking, error = json.loads(tried.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        lacking, error = [], f"exit status {tried.returncode}: {tried.stderr.strip()[-200:]}"
    if error:
        (environment.folder / RECORD).unlink(missing_ok=True)
        packages = " ".join(LIBRARIES[name] for name in lacking if name in LIBRARIES)
        hint = f"Run: apt-get install {packages}" if packages else ""
        raise WorkerError(f"Blender's module cannot be imported ({error}).", hint)
    return [GPU_LIBRARIES[name] for name in lacking if name in GPU_LIBRARIES]
