# SPDX-License-Identifier: GPL-3.0-or-later
"""Quality against budget, drawn for people who choose one: `python -m tests.bench.skin_budget`.

Fits two heads with many budgets, one after the other in children on one thread, and draws
docs/skinning-budget.svg. What is fitted is kept in out/bench/skin-budget.json, so that a stopped sweep goes
on; `--again` starts anew.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from core.skin.problem import Budget
from tests.bench.skin_chart import Chart, Panel, Point, drawn
from tests.bench.skin_inputs import Subject, subject
from tests.bench.skin_score import Outcome, residuals
from tests.bench.skin_solve import solved

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "out" / "bench" / "skin-budget.json"
PICTURE = ROOT / "docs" / "skinning-budget.svg"
BONES = (10, 20, 40, 80, 160)
INFLUENCES = (2, 4, 8, 16)
INFLUENCES_BONES = (40, 80)
DEFAULT = Budget()
COEFFICIENTS = {
    "aura_avg": (1500, 3000, 6000, 12000, 24000),
    "double": (375, 750, 1500, 3000, 6000),
}
"""The influences' panel has the middle one; of bones that are not the default, every second is fitted."""
TITLES = {
    "aura_avg": "aura_avg: 267 shapes, 5,944 vertices",
    "double": "The double: 52 expressions; of its 25,944 vertices, those that they move",
}

Results = dict[str, list[dict[str, float]]]


def budgets(name: str) -> Iterator[Budget]:
    """Bones by coefficients, and bones by influences."""
    for coefficients in COEFFICIENTS[name]:
        yield Budget(DEFAULT.bones, DEFAULT.influences, coefficients)
    for bones in INFLUENCES_BONES:
        for influences in INFLUENCES:
            yield Budget(bones, influences, COEFFICIENTS[name][2])
    for bones in BONES:
        for coefficients in COEFFICIENTS[name][::2]:
            yield Budget(bones, DEFAULT.influences, coefficients)


def sweep(kept: Path) -> Results:
    """Fit what is not kept yet, and keep it."""
    results: Results = json.loads(kept.read_text()) if kept.is_file() else {}
    kept.parent.mkdir(parents=True, exist_ok=True)
    for name in COEFFICIENTS:
        entries = results.setdefault(name, [])
        for budget in dict.fromkeys(budgets(name)):
            wanted = asdict(budget)
            if not any(entry.items() >= wanted.items() for entry in entries):
                found = quality(subject(name), solved("fast", name, budget))
                entries.append({**wanted, **found})
                kept.write_text(json.dumps(results, indent=1))
                print(name, wanted, {key: round(value, 4) for key, value in found.items()}, flush=True)
    return results


def quality(chosen: Subject, outcome: Outcome) -> dict[str, float]:
    """Errors in mm over the vertices that some shape moves."""
    moved = np.any(chosen.deltas != 0, axis=(0, 2))
    residual = chosen.mm * residuals(chosen, outcome)[:, moved]
    lengths = np.linalg.norm(residual, axis=2)
    return {
        "rmse_mm": float(np.sqrt(np.square(residual).mean(dtype=np.float64))),
        "p999_mm": float(np.quantile(lengths, 0.999)),
        "max_mm": float(lengths.max()),
        "cpu_s": outcome.costs["cpu_s"],
    }


def chart(results: Results) -> Chart:
    """A row of a head, three panels each."""
    rows = []
    for name, entries in results.items():
        by_count = [entry for entry in entries if entry["influences"] == DEFAULT.influences]
        middle = COEFFICIENTS[name][2]
        by_influences = [
            entry
            for entry in entries
            if entry["coefficients"] == middle and entry["bones"] in INFLUENCES_BONES
        ]
        held = f"{DEFAULT.influences} influences"
        panels = (
            panel(f"RMSE of a coordinate, mm ({held})", by_count, "coefficients", "rmse_mm"),
            panel(f"99.9th percentile of distances, mm ({held})", by_count, "coefficients", "p999_mm"),
            panel(f"RMSE, mm ({middle:,} coefficients)", by_influences, "influences", "rmse_mm"),
        )
        rows.append((TITLES[name], panels))
    usual = f"{DEFAULT.bones} bones, {DEFAULT.influences} influences, {DEFAULT.coefficients:,} coefficients"
    return Chart("Bones", tuple(str(bones) for bones in BONES), tuple(rows), f"The default is {usual}.")


def panel(title: str, entries: Sequence[dict[str, float]], x: str, y: str) -> Panel:
    """A line for each number of bones."""
    lines = {
        str(bones): tuple(
            sorted(Point(float(entry[x]), entry[y]) for entry in entries if entry["bones"] == bones)
        )
        for bones in BONES
    }
    return Panel(title, x, {bones: points for bones, points in lines.items() if points})


def main(arguments: Sequence[str]) -> None:
    """Fit and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true", help="forget what is kept")
    parser.add_argument("--kept", type=Path, default=KEPT)
    parser.add_argument("--out", type=Path, default=PICTURE)
    options = parser.parse_args(arguments)
    if options.again:
        options.kept.unlink(missing_ok=True)
    results = sweep(options.kept)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(drawn(chart(results)), encoding="utf-8")
    print(options.out)


if __name__ == "__main__":
    main(sys.argv[1:])
