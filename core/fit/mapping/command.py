# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core map`: fit a mapping to pairs, derive one for a head model, convert scores with one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ...progress import Progress

Outcome = tuple[dict[str, Any], list[str]]


def add_map(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Declare `map` and its three parts."""
    parts = verbs.add_parser("map", help="scores of a face to FLAME's parameters").add_subparsers(
        dest="part", required=True, metavar="fit|derive|convert"
    )
    fit = parts.add_parser("fit", parents=[common], help="make a mapping from pairs of scores and parameters")
    fit.add_argument("pairs", type=Path, metavar="PAIRS", help=".npz, .csv or a folder of .npy files")
    fit.add_argument("-o", "--output", type=Path, required=True, metavar="MAPPING.npz")
    fit.add_argument("--order", choices=("mediapipe", "arkit"), help="of scores that carry no names")
    fit.add_argument("--sign", choices=("free", "jaw", "all"), default="free", help="what is not negative")
    fit.add_argument("--bias", action="store_true", help="zero scores may give something else than zero")
    fit.add_argument("--folds", type=int, default=5, metavar="N")
    fit.add_argument("--variant", default="", help="tag of the model that the parameters belong to")
    fit.set_defaults(run=run_fit)

    derive = parts.add_parser("derive", parents=[common], help="make a mapping for a head model, by geometry")
    derive.add_argument("model", type=Path, metavar="MODEL.npz")
    derive.add_argument("-o", "--output", type=Path, required=True, metavar="MAPPING.npz")
    derive.add_argument(
        "--cap4d", action="store_true", help="for CAP4D's 65 expressions of FLAME 2023 without a jaw"
    )
    derive.set_defaults(run=run_derive)

    convert = parts.add_parser("convert", parents=[common], help="add FLAME's parameters to scores")
    convert.add_argument("scores", type=Path, metavar="SCORES", help="performance or track .npz, or .csv")
    convert.add_argument("mapping", type=Path, metavar="MAPPING", help=".npz, or a folder of bs2exp.npy ...")
    convert.add_argument("-o", "--output", type=Path, required=True, metavar="FLAME.npz")
    convert.set_defaults(run=run_convert)


def run_fit(options: argparse.Namespace, progress: Progress) -> Outcome:
    """Fit a mapping to the user's pairs; its errors are printed and kept beside it as JSON."""
    from ...arkit import ARKIT_NAMES
    from .names import MEDIAPIPE_NAMES
    from .pairs import read_pairs
    from .regression import RegressionSettings, fit_mapping

    progress(0.0, "map", f"Reading {options.pairs.name}")
    order = {"arkit": ARKIT_NAMES, "mediapipe": MEDIAPIPE_NAMES, None: None}[options.order]
    pairs = read_pairs(options.pairs, order)
    progress(0.3, "map", f"Fitting {len(pairs.scores)} pairs")
    settings = RegressionSettings(options.sign, options.bias, options.folds)
    mapping, report = fit_mapping(pairs, settings, variant=options.variant)
    return _written(options.output, mapping, report)


def run_derive(options: argparse.Namespace, progress: Progress) -> Outcome:
    """Derive a mapping from our body's shapes to the parameters of a head model."""
    from ...head import load_model
    from ...head.embedding import load_embedding
    from .cap4d import with_cap4d_expressions
    from .geometry import Head, derive_mapping

    progress(0.0, "map", f"Reading {options.model.name}")
    source, target = (Head(m, load_embedding(m)) for m in (load_model("anny"), load_model(options.model)))
    if options.cap4d:
        target = Head(with_cap4d_expressions(target.model, options.model), target.embedding)
    progress(0.3, "map", "Matching shapes")
    return _written(options.output, *derive_mapping(source, target))


def run_convert(options: argparse.Namespace, progress: Progress) -> Outcome:
    """Write a performance with FLAME's parameters beside its weights."""
    from .mapping import Mapping
    from .published import read_published
    from .scores import read_scores, with_flame

    progress(0.0, "map", f"Reading {options.scores.name}")
    source = options.mapping
    mapping = read_published(source) if source.is_dir() else Mapping.load(source)
    performance = with_flame(read_scores(options.scores), mapping)
    performance.save(options.output)
    value = {
        "output": str(options.output),
        "frames": performance.frame_count,
        "expression": mapping.expression_count,
        "variant": mapping.variant,
        "unused": list(mapping.unused),
    }
    target = mapping.variant or "an unnamed model"
    lines = [f"{options.output}: {performance.frame_count} frames for {target}"]
    return value, lines + ([f"  note: not looked at: {', '.join(mapping.unused)}"] if mapping.unused else [])


def report_path(output: Path) -> Path:
    """Where the report of a mapping lies: beside it, with `.report.json` for its suffix."""
    return output.with_suffix(".report.json")


def _written(output: Path, mapping: Any, report: Any) -> Outcome:
    from ...errors import SettingsError
    from ...files import write_json

    mapping.save(output)
    try:
        write_json(report_path(output), report.to_dict())
    except OSError as problem:
        reason = problem.strerror or problem
        raise SettingsError(f"The report cannot be written beside {output}: {reason}.") from problem
    value = {"mapping": str(output), "report": str(report_path(output)), "variant": mapping.variant}
    return value, [str(output), *report.lines()]
