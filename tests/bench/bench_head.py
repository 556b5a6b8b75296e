# SPDX-License-Identifier: GPL-3.0-or-later
"""The body's forward pass: loading, shaping and posing, beside the anny package where it is installed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from core.arkit import ARKIT_NAMES
from core.head import load_model, model_path
from core.head.storage import load_file
from core.rotation import normalized, to_matrix

TARGETS = {"load_s": 0.3, "pose_ms": 10.0}


def run() -> dict[str, float]:
    """Seconds to load; milliseconds to shape a person and to pose one with 52 actions and every joint
    turned.
    """
    rng = np.random.default_rng(0)
    model = load_model("anny")
    coefficients = model.identity_coefficients({"gender": 0.3})
    rest = model.rest(coefficients)
    weights = rng.random(len(ARKIT_NAMES))
    turns = to_matrix(
        normalized(np.c_[np.full((model.joint_count, 1), 8.0), rng.normal(size=(model.joint_count, 3))])
    )
    rotations = dict(zip(model.joint_names, turns, strict=True))
    face_only = {name: rotations[name] for name in ("neck01", "neck02", "neck03", "head", "eye.L", "eye.R")}
    results = {
        "vertices": float(model.mesh_vertex_count),
        "load_s": median_seconds(lambda: load_file(model_path("anny")), 5),
        "rest_ms": 1000 * median_seconds(lambda: model.rest(coefficients), 20),
        "pose_ms": 1000 * median_seconds(lambda: model.pose(rest, weights, rotations), 20),
        "pose_face_ms": 1000 * median_seconds(lambda: model.pose(rest, weights, face_only), 20),
    }
    return results | against_the_package(weights, results)


def against_the_package(weights: np.ndarray, ours: dict[str, float]) -> dict[str, float]:
    """The same forward pass by the anny package, one person, and how many times longer it takes."""
    try:
        import torch
        from anny.models.phenotype import Anny
    except ImportError:
        return {}
    from core.head.anny_source import RIG

    model = Anny(
        rig=RIG,
        topology="makehuman",
        local_changes="default",
        facial_actions="all",
        phenotypes="all",
        skinning_method="lbs",
    )
    actions = {name: torch.tensor([weight]) for name, weight in zip(ARKIT_NAMES, weights, strict=True)}
    phenotypes = {"gender": torch.tensor([0.3])}
    with torch.no_grad():
        package = 1000 * median_seconds(lambda: model(None, phenotypes, None, actions), 5)
    return {"package_ms": package, "package_over_ours": package / (ours["rest_ms"] + ours["pose_ms"])}


def median_seconds(call: Callable[[], object], times: int) -> float:
    """Median wall time of `call` after one run that is not counted."""
    call()
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)
