# SPDX-License-Identifier: GPL-3.0-or-later
"""`build.py bench`: every `bench_NAME.py` of this folder, each in a process of its own.

A bench module has `run() -> dict[str, float]` (figures, the unit at the end of the name), and may have
`TARGETS: dict[str, float]` (figures that must not be larger), `MINIMA: dict[str, float]` (not smaller) and
`NOTES: list[str]` (lines for people, such as what was left out).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LIMIT = 3000 if os.environ.get("LIKENESS_BENCH_FULL") else 900
"""s of a bench."""


def names() -> list[str]:
    """All benches."""
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def measure_here(name: str) -> dict[str, Any]:
    """Run one bench in this process: figures, bounds and which of them are missed."""
    sys.path[:0] = [str(ROOT), str(HERE)]
    spec = importlib.util.spec_from_file_location(f"bench_{name}", HERE / f"bench_{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    figures = {key: float(value) for key, value in module.run().items()}
    bounds = {"most": getattr(module, "TARGETS", {}), "least": getattr(module, "MINIMA", {})}
    found = {"figures": figures, **bounds, "notes": list(getattr(module, "NOTES", []))}
    return {**found, "missed": list(missed(figures, bounds["most"], bounds["least"]))}


def missed(
    figures: Mapping[str, float], most: Mapping[str, float], least: Mapping[str, float]
) -> Iterator[str]:
    """Names of figures beyond their bound; a figure that was not measured is missed too."""
    for key, bound in most.items():
        if not figures.get(key, float("inf")) <= bound:
            yield key
    for key, bound in least.items():
        if not figures.get(key, float("-inf")) >= bound:
            yield key


def measure(name: str) -> dict[str, Any]:
    """Run one bench in a child; a child that fails gives its last words instead of figures."""
    with tempfile.TemporaryDirectory(prefix="likeness-bench-") as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, str(HERE), "--one", name, "--result", str(result)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
        except subprocess.TimeoutExpired:
            return {"error": f"stopped after {LIMIT} s"}
        if result.is_file():
            return json.loads(result.read_text())
    words = (done.stderr or done.stdout).strip().splitlines()
    return {"error": words[-1] if words else f"exit status {done.returncode}"}


def lines(name: str, result: dict[str, Any]) -> Iterator[str]:
    """A result for people."""
    if "error" in result:
        yield f"{name}: FAILED, {result['error']}"
    for key, value in result.get("figures", {}).items():
        bound = f"  (at most {result['most'][key]:g})" if key in result["most"] else ""
        bound = f"  (at least {result['least'][key]:g})" if key in result["least"] else bound
        yield f"{name:<12} {key:<40} {value:>10.4g}{bound}{'  MISSED' if key in result['missed'] else ''}"
    for note in result.get("notes", []):
        yield f"{name:<12} {note}"


def main(arguments: Sequence[str]) -> int:
    """Status 0 when every bench ran and kept its bounds."""
    parser = argparse.ArgumentParser(prog="build.py bench")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        options.result.write_text(json.dumps(measure_here(options.one)))
        sys.stdout.flush()
        # bpy 4.5 hangs at interpreter exit while anything is registered.
        os._exit(0)
    unknown = sorted(set(options.names) - set(names()))
    if unknown:
        parser.error(f"no bench is named {', '.join(unknown)}; there are: {', '.join(names())}")
    results = {}
    for name in options.names or names():
        results[name] = measure(name)
        if not options.json:
            print("\n".join(lines(name, results[name])), flush=True)
    if options.json:
        machine = {
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "system": platform.platform(),
        }
        print(json.dumps({"machine": machine, "benches": results}, indent=1))
    return 1 if any("error" in result or result["missed"] for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
