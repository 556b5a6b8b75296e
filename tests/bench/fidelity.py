# SPDX-License-Identifier: GPL-3.0-or-later
"""The fidelity bench by itself: `python tests/bench/fidelity.py [CAPTURE ...] [--blender] [--out DIR]`.

`python build.py bench fidelity` runs the same; see `bench_fidelity`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench import bench_fidelity


def main() -> None:
    """Print figures and where the sheets are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*bench_fidelity.CAPTURES, []])
    parser.add_argument("--out", type=Path, default=bench_fidelity.OUT)
    parser.add_argument("--blender", action="store_true", help="also render two moments of each (minutes)")
    options = parser.parse_args()
    figures = bench_fidelity.run(
        options.names or tuple(bench_fidelity.CAPTURES), options.out, options.blender
    )
    for name, value in figures.items():
        print(f"{name:<40} {value:>10.4g}")
    print("\n".join(bench_fidelity.NOTES))


if __name__ == "__main__":
    main()
