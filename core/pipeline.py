# SPDX-License-Identifier: GPL-3.0-or-later
"""From a capture to an avatar: open, read the performance, shape the person, keep the media, report."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .avatar import GENDERS, SUFFIX, Avatar, refuse_other_folder
from .capture import Capture, Member, open_capture, read_performance
from .capture.person import read_person
from .errors import AvatarError, SettingsError
from .files import atomic_folder
from .head import HeadModel, load_model, model_path
from .performance import Performance
from .progress import Progress, silent, subrange
from .report import Report, frame_counts

MODEL = "anny"
_GENDER_VALUES = {"female": 1.0, "male": 0.0}


@dataclass(frozen=True)
class Person:
    """What the capture cannot say yet, and the user can: who it is."""

    gender: str = ""
    """One of `avatar.GENDERS`; empty leaves the model's default."""
    identity: Mapping[str, float] | None = None
    """Named identity parameters of the head model."""


def make_avatar(
    capture_path: Path | str,
    out_folder: Path | str,
    progress: Progress = silent,
    identity: Mapping[str, float] | None = None,
    gender: str | None = None,
    name: str = "",
) -> Avatar:
    """The whole way for what exists: read, shape, keep the media, write `out_folder` (NAME.avatar) with
    report.json.

    The folder is built beside its place and moved there when complete, so a failure or Cancelled leaves
    nothing. An avatar that is there already is replaced; performances of other captures in it are taken
    along. A capture without recorded weights gives an avatar without a performance and a warning. Errors:
    CaptureError, SettingsError, AvatarError.
    """
    out, report = Path(out_folder).absolute(), Report()
    _check_out(out, Path(capture_path))
    progress(0.0, "read", "Opening the capture")
    with report.stage("read"):
        capture = open_capture(Path(capture_path))
        told = read_person(capture)
        person = Person(gender or told.gender, {**told.identity, **(identity or {})})
        report.warnings += capture.warnings
    report.warnings += [
        f"{member.basename} has no public description: it is kept byte for byte and not decoded."
        for member in capture.opaque
    ]
    progress(0.1, "performance", "Reading recorded weights")
    with report.stage("performance"):
        performance = _performance(capture, report)
    progress(0.3, "head", "Shaping the head")
    with report.stage("head"):
        values = head_values(load_model(MODEL), person)
        report.warnings.append("The head has the chosen phenotypes; it is not fitted to the person's face.")
    try:
        with atomic_folder(out) as folder:
            avatar = Avatar(folder, name or capture.name, warnings=report.warnings, **values)
            avatar.provenance = _provenance(capture, performance)
            _keep_earlier(avatar, out, performance)
            with report.stage("media"):
                _keep_media(avatar, capture, subrange(progress, 0.4, 0.9))
            progress(0.9, "write", "Writing the avatar")
            with report.stage("write"):
                avatar.save()
                if performance is not None:
                    avatar.add_performance(performance)
            report.write(folder / "report.json")
    except OSError as problem:
        raise AvatarError(
            f"The avatar cannot be written to {out}: {problem.strerror or problem}."
        ) from problem
    progress(1.0, "done", f"{out.name} is ready")
    return Avatar.load(out)


def _check_out(out: Path, capture: Path) -> None:
    """Nothing of the user's may be written over: not another folder, not the capture itself."""
    if out.suffix != SUFFIX:
        raise AvatarError(f"{out.name} is not a name for an avatar.", f"Choose a name that ends in {SUFFIX}.")
    refuse_other_folder(out)
    if capture.absolute() == out or out in capture.absolute().parents:
        raise AvatarError(f"{capture} lies in {out.name}, which would be replaced.", "Choose another name.")


def _performance(capture: Capture, report: Report) -> Performance | None:
    """The recorded performance; frames and warnings go to the report."""
    performance = read_performance(capture, report.warnings)
    report.frames = frame_counts(performance)
    if performance is None:
        report.warnings.append(
            f"{capture.path.name} has no recorded weights, so the avatar has no performance: "
            "it needs face tracking, or a Live Link Face CSV beside the movie."
        )
    return performance


def head_values(model: HeadModel, person: Person) -> dict:
    """The fields of an Avatar that describe the head of `person`; SettingsError for a bad value."""
    gender = person.gender.lower()
    if gender not in GENDERS:
        raise SettingsError(
            f"The gender {person.gender!r} is not known.", "Choose female or male, or leave it out."
        )
    identity = {"gender": _GENDER_VALUES[gender]} if gender else {}
    identity |= {key: float(value) for key, value in (person.identity or {}).items()}
    for key, value in identity.items():
        low, high = model.identity_limits.get(key, (value, value))
        if not low <= value <= high:
            raise SettingsError(
                f"The identity parameter {key} is {value:g}; it goes from {low:g} to {high:g}."
            )
    coefficients = model.identity_coefficients(identity)
    return {
        "model": model.name,
        "model_sha256": model.sha256,
        "gender": gender,
        "identity": identity,
        "coefficients": coefficients,
        "vertices": model.rest(coefficients).vertices,
    }


def _provenance(capture: Capture, performance: Performance | None) -> dict:
    """Where each part of the avatar comes from."""
    parts: dict = {
        "capture": {"kind": capture.kind, "path": str(capture.path.absolute()), "name": capture.name}
    }
    if capture.metadata:
        parts["take"] = {str(key): str(value) for key, value in capture.metadata.items()}
    parts["head"] = f"identity parameters that the user chose, over the defaults of {model_path(MODEL).name}"
    if performance is not None:
        parts["performance"] = performance.source
    return parts


def _keep_earlier(avatar: Avatar, earlier: Path, performance: Performance | None) -> None:
    """Take along the id and the other performances of the avatar that is about to be replaced.

    One that cannot be opened is an AvatarError: replacing it could destroy what can still be mended.
    """
    if not (earlier / "avatar.json").is_file():
        return
    old = Avatar.load(earlier)
    avatar.id = old.id
    for name, file in old.performance_files.items():
        if performance is None or name != performance.name:
            target = avatar.folder / "performances" / file
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(old.performance_path(name), target)
            avatar.performance_files[name] = file


def _keep_media(avatar: Avatar, capture: Capture, progress: Progress) -> None:
    """Take packed members out into media/, byte for byte, and note plain files where they lie."""
    wanted = media_members(capture)
    total = sum(member.size for _, member in wanted) or 1
    done = 0
    for role, member in wanted:
        progress(done / total, "media", f"Keeping {member.basename}")
        path = member.path
        if path is None:
            path = member.extract_to(
                avatar.folder / "media", _free_name(avatar.folder / "media", member.basename)
            )
        avatar.add_media(role, path)
        done += member.size


def media_members(capture: Capture) -> list[tuple[str, Member]]:
    """(role, member) of everything worth keeping; of a long sequence of frames only the first."""
    single = [("movie", capture.movie), ("weights", capture.weights_csv)]
    found = [(role, member) for role, member in single if member is not None]
    photos = capture.photos[:1] if capture.kind == "frames" else capture.photos
    found += [("photo", member) for member in photos]
    found += [("mesh", member) for member in capture.face_meshes]
    return found + [("opaque", member) for member in capture.opaque]


def _free_name(folder: Path, name: str) -> str:
    """`name`, numbered where a member of another folder of the capture has taken it, in any case."""
    taken = {path.name.lower() for path in folder.iterdir()} if folder.is_dir() else set()
    stem, dot, suffix = name.rpartition(".")
    n, free = 1, name
    while free.lower() in taken:
        n += 1
        free = f"{stem}_{n}.{suffix}" if dot and stem else f"{name}_{n}"
    return free
