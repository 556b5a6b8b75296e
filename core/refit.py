# SPDX-License-Identifier: GPL-3.0-or-later
"""Solve a tracked performance of an avatar again, with one of its frames as the neutral face."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .avatar import Avatar
from .capture import Member
from .errors import AvatarError, SettingsError
from .files import read_json, write_json
from .footage import scanned
from .head import load_model
from .performance import Performance
from .progress import Progress, silent
from .report import Report


def refit(
    folder: Path | str, neutral_time: float, performance: str = "", progress: Progress = silent
) -> tuple[Avatar, Performance]:
    """Fit the avatar in `folder` again from the track that it keeps, so that the face at `neutral_time` (s)
    is its resting one. The head and the performance are replaced; identity parameters that were told stay.

    performance: name, by default the first that has a track. AvatarError when none was tracked; SettingsError
    for a time outside the take.
    """
    from .fit.likeness import fit_likeness
    from .track import Track

    avatar = Avatar.load(folder)
    name = performance or _tracked(avatar)
    path = avatar.track_path(name)
    if not path.is_file():
        raise AvatarError(
            f"The performance {name!r} was not tracked from footage.",
            "Choose one that was, or import the footage.",
        )
    track = Track.load(path)
    if not track.time[0] <= neutral_time <= track.time[-1]:
        raise SettingsError(
            f"{neutral_time:.3f} s is outside of {name!r}.",
            f"It goes from {track.time[0]:.3f} s to {track.time[-1]:.3f} s.",
        )
    model = load_model(avatar.model)
    known = avatar.provenance.get("told", {})
    mesh = avatar.media_path("mesh")
    meshes = [Member(mesh.name, mesh.stat().st_size, mesh)] if mesh is not None and mesh.is_file() else []
    scan = scanned(meshes, model, known, Report())
    likeness = fit_likeness(
        track, model, known=known, scan=scan, name=name, neutral_time=neutral_time, progress=progress
    )
    person = likeness.person
    avatar.identity = {key: round(float(value), 5) for key, value in person.values.items()}
    avatar.coefficients = model.identity_coefficients(avatar.identity)
    avatar.vertices = model.rest(avatar.coefficients, detail=person.detail).vertices
    avatar.provenance["neutral"] = f"the face at {neutral_time:.3f} s of {name!r}"
    solved = replace(likeness.performance, name=name)
    avatar.add_performance(solved)
    _note(avatar, likeness.figures)
    return avatar, solved


def _tracked(avatar: Avatar) -> str:
    for name in avatar.performances:
        if avatar.track_path(name).is_file():
            return name
    raise AvatarError(
        f"{avatar.name} keeps no track, so there is nothing to fit again.", "Import footage of the face."
    )


def _note(avatar: Avatar, figures: dict[str, float]) -> None:
    path = avatar.folder / "report.json"
    if path.is_file():
        write_json(path, {**read_json(path, AvatarError), "fit": figures})
