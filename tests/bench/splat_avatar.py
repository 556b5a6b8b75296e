# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench of Gaussian heads by itself: `python tests/bench/splat_avatar.py [TAKE ...] [--steps N]`.

`python build.py bench splat_avatar` runs the same; see `bench_splat_avatar`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench import bench_splat_avatar

TAKES = ("expressions", "talking", "sample")


def main() -> None:
    """Print figures and where the sheets are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*TAKES, []])
    parser.add_argument("--out", type=Path, default=bench_splat_avatar.OUT)
    parser.add_argument("--steps", type=int, default=0, help="0: those of the preset")
    parser.add_argument("--preset", default="default")
    options = parser.parse_args()
    names = options.names or TAKES
    figures = bench_splat_avatar.run(names, options.out, options.steps, options.preset)
    for name, value in figures.items():
        print(f"{name:<44} {value:>10.4g}")
    print("\n".join(bench_splat_avatar.NOTES))


if __name__ == "__main__":
    main()
