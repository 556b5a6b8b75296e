# SPDX-License-Identifier: GPL-3.0-or-later
"""What a trained head weighs in each format, and how near the file is to the avatar itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.avatar import Avatar
from core.splat.acting import Acting
from core.splat.camera_path import shots
from core.splat.driving import driving
from core.splat.export import export_animated, moments
from core.splat.files.animated_ply import FORMS
from core.splat.files.exchange import read_splats, write_splats
from core.splat.player import Player
from core.splat.raster import render

FRAMES = 48
"""Of the animation."""
STILL = ("ply", "spz", "glb")
WHITE = (1.0, 1.0, 1.0)


def figures(avatar: Avatar, folder: Path) -> dict[str, float]:
    """Megabytes, and dB inside the head against the avatar, of files written into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    player, driven = Player.of(avatar), driving(avatar)
    acting = driven.acting_of(driven.performance)
    acting = acting.at(np.unique(np.linspace(0, len(acting) - 1, FRAMES).astype(int)))
    found = {"file_npz_mb": _megabytes(avatar.splats_path)}
    for form in FORMS:
        path = folder / f"animated_{form}.ply"
        told = export_animated(player, acting, path, form).value
        found[f"file_animated_{form}_mb"] = _megabytes(path)
        found |= {
            f"file_animated_{form}_psnr_db": told["psnr"],
            f"file_animated_{form}_worst_db": told["worst_psnr"],
        }
    return found | still(player, acting.at(np.array([FRAMES // 2])), folder)


def still(player: Player, acting: Acting, folder: Path) -> dict[str, float]:
    """Of the formats of one moment."""
    view = shots("front", acting, player.splats.surface.rest, None, 512)[0].views(acting)[0]
    given = next(moments(player, acting))
    own = player.draw(acting.weights[0], acting.gaze[0], view, WHITE)
    inside, found = own.alpha > 0.5, {}
    for ending in STILL:
        path = folder / f"still.{ending}"
        write_splats(path, given)
        off = (render(read_splats(path), view, WHITE).image - own.image)[inside]
        found[f"file_{ending}_mb"] = _megabytes(path)
        found[f"file_{ending}_psnr_db"] = -10.0 * float(np.log10(max(float(np.mean(off**2)), 1e-10)))
    return found


def _megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6
