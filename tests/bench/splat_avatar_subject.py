# SPDX-License-Identifier: GPL-3.0-or-later
"""A subject of the fidelity bench as an avatar on disk, and its mesh with track in held-out pictures."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from core.avatar import Avatar
from core.pipeline import Person, head_values
from core.texture.footage import footage_pictures
from core.texture.measure import measure
from core.texture.picture_file import write_picture
from tests.bench.fidelity_compare import Comparison, Seen
from tests.bench.fidelity_subject import CAPTURES, Subject, fitted

Array = np.ndarray


def avatar_of(subject: Subject, folder: Path) -> Avatar:
    """Head and performance of all pictures; albedo and colours of those that the texture may know."""
    shutil.rmtree(folder, ignore_errors=True)
    capture, _, likeness, model = fitted(subject.name)
    avatar = Avatar.create(folder, subject.name, **head_values(model, Person(), likeness))
    avatar.provenance["capture"] = {"path": str(CAPTURES[subject.name].absolute())}
    avatar.add_performance(likeness.performance)
    avatar.texture_folder.mkdir(exist_ok=True)
    write_picture(avatar.texture_folder / "albedo.png", subject.still.albedo)
    avatar.textures["albedo"] = "albedo.png"
    avatar.colours = measure(subject.taught, capture, subject.taught.atlas, subject.still).colours()
    avatar.save()
    return avatar


def on_the_mesh(subject: Subject, samples: set[int], most: int) -> Iterator[Seen]:
    """The double in some samples, in pictures of `most` px at most. The track's picture of a sample that it
    does not know is the mean of its neighbours'.
    """
    comparison, tracked = Comparison(subject), subject.track_pictures()
    at, texture = -1, None
    for index, footage, _ in footage_pictures(subject.capture, subject.head.performance, most=most):
        while at < index:
            texture, at = next(tracked, texture), at + 1
        if index in samples:
            yield comparison.seen(index, footage, texture)
