# SPDX-License-Identifier: GPL-3.0-or-later
"""From 52 scores to FLAME: mappings that are read, fitted to pairs, or derived from the geometry of two
heads.

The pose of the head is no part of it: `core.fit.pose.head_pose` finds rotation and translation from
landmarks.
"""

from __future__ import annotations

from .geometry import Head, derive_mapping
from .mapping import FlameMotion, Mapping
from .names import MEDIAPIPE_NAMES
from .network import blending_weights, read_layers, read_network
from .pairs import Pairs, read_pairs
from .published import read_published
from .regression import RegressionSettings, fit_mapping

__all__ = [
    "MEDIAPIPE_NAMES",
    "FlameMotion",
    "Head",
    "Mapping",
    "Pairs",
    "RegressionSettings",
    "blending_weights",
    "derive_mapping",
    "fit_mapping",
    "read_layers",
    "read_network",
    "read_pairs",
    "read_published",
]
