# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb `refit-flame`: a take made for one release of FLAME as a take of another."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SettingsError
from ..progress import Progress


def add_refit_flame(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Declare it."""
    verb = verbs.add_parser(
        "refit-flame",
        parents=[common],
        help="carry a FLAME take over to another release, through the vertices",
    )
    verb.add_argument(
        "take", type=Path, metavar="TAKE.npz", help="CAP4D's fit.npz or GaussianAvatars' flame_param.npz"
    )
    verb.add_argument(
        "--source", type=Path, required=True, metavar="MODEL", help="the FLAME file it was made for"
    )
    verb.add_argument(
        "--target", type=Path, required=True, metavar="MODEL", help="the FLAME file to carry it to"
    )
    verb.add_argument(
        "--cameras", type=Path, metavar="FIT.npz", help="cameras for a fit.npz, where TAKE has none"
    )
    verb.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.npz")
    verb.set_defaults(run=run_refit_flame)


def run_refit_flame(options: argparse.Namespace, progress: Progress) -> tuple[dict[str, Any], list[str]]:
    """Write the re-fitted take and say how far its surface is from the source's.

    A target without a jaw gives a fit.npz in CAP4D's form, every other one a flame_param.npz.
    """
    from ..head.flame import load_flame, refit
    from .fit_npz import FlameFit, read_arrays, read_fit, with_parameters, write_fit
    from .flame_param import FlameTake, read_flame_param, write_flame_param

    output = options.output.absolute()
    if output.suffix != ".npz" or not output.parent.is_dir():
        raise SettingsError(f"{output} is no place for a take.", "Name an .npz in a folder that exists.")
    progress(0.0, "refit-flame", "Reading the models")
    source, target = (load_flame(path.absolute()) for path in (options.source, options.target))
    fit: FlameFit | None = None
    if "eyes_pose" in read_arrays(options.take):
        given = read_flame_param(options.take, source.variant).parameters
    else:
        fit = read_fit(options.take)
        given = fit.parameters
    cameras = read_fit(options.cameras) if options.cameras else fit
    if not target.has_jaw and cameras is None:
        raise SettingsError(
            "A fit.npz needs cameras, and a flame_param.npz has none.", "Give them with --cameras."
        )
    progress(0.2, "refit-flame", f"Fitting {given.frame_count} frames")
    found = refit(source, given, target)
    if target.has_jaw or cameras is None:
        write_flame_param(output, FlameTake(found.parameters))
    else:
        write_fit(output, with_parameters(cameras, found.parameters))
    value = {
        "take": str(output),
        "frames": given.frame_count,
        "from": source.variant,
        "to": target.variant,
        "error_mm": round(float(np.sqrt(np.mean(found.error_mm**2))), 4),
        "worst_frame_mm": round(float(found.error_mm.max()), 4),
        "worst_vertex_mm": round(found.worst_mm, 4),
    }
    return value, [
        f"{output}: {given.frame_count} frames, FLAME {source.variant} to {target.variant}",
        f"  surfaces differ by {value['error_mm']} mm rms, {value['worst_frame_mm']} mm in the worst frame",
    ]
