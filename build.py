#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything a contributor runs: setup, demo, test, package, bench, sample, gui-test, clean.

Standard library only, any Python from 3.11 on. `python3 build.py VERB --help` tells about each verb.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit(f"build.py needs Python 3.11 or later; this is {sys.version.split()[0]}.")

# From the tree: only the standard library is needed for these.
from core.errors import LikenessError
from tests.environments import Environment, check_blender, clean_environ, is_ready, prepare
from tests.extension import SHIPPED_FOLDERS, digest, installed, package

ROOT = Path(__file__).resolve().parent
SAMPLE = ROOT / "core" / "data" / "sample" / "likeness_sample.zip"
DEMO_SECONDS = 330
MAIN = Environment(ROOT / ".venv", ("3.11", "3.13"))
BLENDER45 = Environment(ROOT / ".venv45", ("3.11",))
BLENDER52 = Environment(ROOT / ".venv52", ("3.13",))


def say(text: str) -> None:
    """Print one line at once, so that it keeps its place among the output of children."""
    print(text, flush=True)


def run(
    command: Sequence[str | Path], timeout: float | None = None, env: Mapping[str, str] | None = None
) -> int:
    """Run a child with our output and end its whole process group; status 124: time ran out."""
    words, group = [str(part) for part in command], os.name != "nt"
    child = subprocess.Popen(words, env=env or clean_environ(), cwd=ROOT, start_new_session=group)
    try:
        return child.wait(timeout)
    except subprocess.TimeoutExpired:
        return 124
    finally:
        if child.poll() is None:
            end(child)


def end(child: subprocess.Popen[bytes]) -> None:
    """Ask a child and everything it started to stop, then insist."""
    if os.name == "nt":
        child.kill()
    else:
        os.killpg(child.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(10)
        # Whoever of the group is left did not listen.
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    child.wait(10)


# --- environments


def setup(environment: Environment, *names: str) -> None:
    """Make or complete an environment from requirements/NAME.txt; costs nothing when all is there already.

    Raises LikenessError when no fitting Python, wheel or system library is found.
    """
    files = [ROOT / "requirements" / f"{name}.txt" for name in names]
    began, shown = time.monotonic(), sys.stdout.isatty()

    def show(_fraction: float, stage: str, text: str) -> None:
        if stage == "environment":
            say(text)
        elif shown and text:
            print(
                f"\r\033[K{environment.folder.name}: {time.monotonic() - began:.0f} s, {text}",
                end="",
                flush=True,
            )

    if not is_ready(environment, files):
        say(f"Installing {' and '.join(names)} requirements into {environment.folder.name} ...")
        prepare(environment, files, show)
        lacking = check_blender(environment)
        say(f"{chr(13) if shown else ''}{environment.folder.name} is ready: {time.monotonic() - began:.0f} s")
        if lacking:
            say(f"Note: EEVEE cannot render here; to have it: apt-get install {' '.join(lacking)}")


# --- verbs


def packaged(out: Path) -> Path:
    """Build and check the zip, and say so."""
    setup(MAIN, "demo")
    target = package(out, MAIN)
    say(f"Packaged {target} ({target.stat().st_size / 1e6:.2f} MB, sha256 {digest(target)[:16]})")
    return target


def verb_setup(options: argparse.Namespace) -> int:
    """Make or complete the environment."""
    began = time.monotonic()
    setup(MAIN, *(["demo", "test"] if options.all else ["demo"]))
    say(f"Environment ready: {MAIN.python} ({time.monotonic() - began:.1f} s)")
    return 0


def require_capture(given: str | None) -> Path:
    """The capture that was named, else the sample that ships."""
    capture = Path(given).resolve() if given else SAMPLE
    if not capture.exists():
        raise LikenessError(f"{capture} does not exist.", "Name a capture, or run `build.py sample`.")
    return capture


def verb_demo(options: argparse.Namespace) -> int:
    """Capture to rendered double, with the zip that ships, as a user does it headless."""
    began = time.monotonic()
    capture = require_capture(options.capture)
    out = Path(options.out).resolve()
    setup(MAIN, "demo")
    with installed(MAIN) as env:
        script = Path(env["LIKENESS_EXTENSION"]) / "addon" / "batch.py"
        command: list[str | Path] = [MAIN.python, script, "--", capture, "--out", out]
        command += ["--preset", options.preset] if options.preset else []
        command += ["--frames", options.frames] if options.frames else []
        if not options.full:
            command += ["--budget", str(int(max(60, DEMO_SECONDS - (time.monotonic() - began))))]
        status = run(command, None, env)
    if status:
        raise LikenessError(f"The demo failed with status {status}; see above.")
    say(f"Demo done in {time.monotonic() - began:.0f} s: {out}")
    return 0


def verb_test(options: argparse.Namespace) -> int:
    """Every check, the zip in every Blender that this machine has a Python for."""
    from tests import stages

    return stages.run_all(quick=options.quick)


def verb_package(options: argparse.Namespace) -> int:
    """Build and check the zip."""
    packaged(Path(options.out).resolve())
    return 0


def verb_bench(options: argparse.Namespace) -> int:
    """Measure, in Blender's module with the zip installed."""
    setup(MAIN, "demo", "test", "bench")
    with installed(MAIN) as env:
        flags = ["--json"] if options.json else []
        return run([MAIN.python, ROOT / "tests" / "bench", *flags, *options.names], 7200, env)


def verb_sample(_options: argparse.Namespace) -> int:
    """Rebuild the sample capture that ships."""
    setup(MAIN, "demo", "test")
    with installed(MAIN) as env:
        return run(
            [MAIN.python, ROOT / "tests" / "blender" / "make_sample.py", "--out", SAMPLE.parent], 3600, env
        )


def verb_gui_test(options: argparse.Namespace) -> int:
    """Drive a real Blender window; status 77 when this machine cannot have one."""
    from tests.gui import session

    capture = require_capture(options.capture)
    root = Path(options.root).resolve() if options.root else None
    with tempfile.TemporaryDirectory(prefix="likeness-zip-") as folder:
        made = packaged(Path(folder))
        pip = [MAIN.python, "-I", "-m", "pip"]
        return session.main(made, capture, Path(options.out).resolve(), root, pip)


def verb_clean(options: argparse.Namespace) -> int:
    """Remove what can be made again."""
    names = ["build", "dist", "out", ".pytest_cache", ".ruff_cache", ".hypothesis"]
    names += [".venv", ".venv45", ".venv52"] if options.all else []
    for name in names:
        shutil.rmtree(ROOT / name, ignore_errors=True)
    for folder in [path for top in (*SHIPPED_FOLDERS, "tests") for path in (ROOT / top).rglob("__pycache__")]:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="build.py", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(function: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        name = function.__name__.removeprefix("verb_").replace("_", "-")
        made = verbs.add_parser(name, help=function.__doc__, description=function.__doc__)
        made.set_defaults(run=function)
        return made

    verb(verb_setup).add_argument("--all", action="store_true", help="also what the tests need (3.5 GB)")
    demo = verb(verb_demo)
    demo.add_argument(
        "capture", nargs="?", help="archive, take, video or folder; default: the sample that ships"
    )
    demo.add_argument("--out", default="out/demo", metavar="DIR")
    demo.add_argument("--preset", metavar="NAME", help="FAST, STANDARD, MID or PATH")
    demo.add_argument("--frames", metavar="A-B", help="only these frames of the scene")
    demo.add_argument("--full", action="store_true", help="full size and all frames, however long it takes")
    verb(verb_test).add_argument("--quick", action="store_true", help="no slow tests, one Blender version")
    verb(verb_package).add_argument("--out", default="dist", metavar="DIR")
    bench = verb(verb_bench)
    bench.add_argument("names", nargs="*", metavar="NAME", help="only these; default: all in tests/bench")
    bench.add_argument("--json", action="store_true")
    verb(verb_sample)
    gui = verb(verb_gui_test)
    gui.add_argument("--root", metavar="DIR", help="folder for the Debian root that carries Blender (1.1 GB)")
    gui.add_argument("--out", default="out/gui", metavar="DIR")
    gui.add_argument("--capture", metavar="PATH", help="default: the sample that ships")
    verb(verb_clean).add_argument("--all", action="store_true", help="the environments too")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Run one verb; every expected failure is one sentence and status 1."""
    options = parse(arguments)
    # A polite stop ends our children too: they have their own process groups.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return int(options.run(options))
    except LikenessError as error:
        print(f"build.py: {error}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print("build.py: stopped.", file=sys.stderr, flush=True)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
