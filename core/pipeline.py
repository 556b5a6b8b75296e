# SPDX-License-Identifier: GPL-3.0-or-later
"""From a capture to an avatar: open, read the performance, shape the person, keep the media, report."""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .avatar import GENDERS, SUFFIX, Avatar, refuse_other_folder
from .capture import Capture, Member, open_capture, read_performance
from .capture.person import read_person
from .errors import AvatarError, ModelError, SettingsError
from .files import atomic_folder
from .footage import track_and_fit, wanted
from .head import HeadModel, load_model, model_path
from .performance import Performance
from .progress import Progress, silent, subrange
from .report import Report, frame_counts
from .texturing import TextureRequest, texture_or_warn

if TYPE_CHECKING:
    from .fit.likeness import Likeness
    from .track import Track

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
    tracking: bool | None = None,
    models: Sequence[Path] = (),
    texture: str = "track",
    texture_size: int = 0,
) -> Avatar:
    """The whole way: read, track, fit, texture, keep the media, write `out_folder` (NAME.avatar) with
    report.json.

    tracking: True insists on tracking the face in the footage, False leaves it out, None tracks where the
    footage and the libraries for it are there. models: folders that may hold a landmark model. texture: one
    of `core.texturing.TEXTURES`, of footage that was tracked. texture_size: px, 0 chooses by the footage.

    The folder is built beside its place and moved there when complete, so a failure or Cancelled leaves
    nothing. An avatar that is there already is replaced; performances of other captures in it are taken
    along. Recorded weights are the first performance, what was tracked in the footage is another. Errors:
    CaptureError, SettingsError, AvatarError, and WorkerError where tracking needs a library that is missing.
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
    model = load_model(MODEL)
    known = told_identity(model, person)
    found = None
    if wanted(capture, tracking, report):
        found = track_and_fit(
            capture,
            model,
            known,
            report,
            models,
            subrange(progress, 0.1, 0.45),
            recorded=performance is not None,
        )
    progress(0.45, "head", "Shaping the head")
    with report.stage("head"):
        values = head_values(model, person, found[1] if found else None)
    if found is not None and "gender" not in known:
        guess = values["identity"].get("gender", 0.5)
        report.warnings.append(
            f"The gender is guessed from the face's shape: {guess:.2f}, where 0 is male and 1 is female. "
            "Say it when you know it."
        )
    _note_what_is_missing(report, capture, performance, found is not None)
    try:
        with atomic_folder(out) as folder:
            avatar = Avatar(folder, name or capture.name, warnings=report.warnings, **values)
            avatar.provenance = _provenance(capture, known, performance, found)
            takes = [take for take in (performance, found[1].performance if found else None) if take]
            _keep_earlier(avatar, out, [take.name for take in takes])
            with report.stage("media"):
                _keep_media(avatar, capture, subrange(progress, 0.46, 0.54))
            progress(0.54, "write", "Writing the avatar")
            with report.stage("write"):
                avatar.save()
                for take in takes:
                    avatar.add_performance(take)
                if found:
                    avatar.add_track(found[1].performance.name, found[0])
            if found and texture != "off":
                request = TextureRequest(found[1].performance.name, texture, texture_size)
                texture_or_warn(avatar, capture, model, request, report, subrange(progress, 0.55, 0.99))
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
    inside = next(folder for folder in out.parents if folder.exists())
    if not inside.is_dir() or not os.access(inside, os.W_OK):
        raise AvatarError(f"{inside} is no folder that can be written to.", "Choose another place.")
    if capture.absolute() == out or out in capture.absolute().parents:
        raise AvatarError(f"{capture} lies in {out.name}, which would be replaced.", "Choose another name.")


def _performance(capture: Capture, report: Report) -> Performance | None:
    """The recorded performance; frames and warnings go to the report."""
    performance = read_performance(capture, report.warnings)
    report.frames = frame_counts(performance)
    return performance


def told_identity(model: HeadModel, person: Person) -> dict[str, float]:
    """Identity parameters that somebody told; SettingsError for a bad value."""
    gender = person.gender.lower()
    if gender not in GENDERS:
        raise SettingsError(
            f"The gender {person.gender!r} is not known.", "Choose female or male, or leave it out."
        )
    identity = {"gender": _GENDER_VALUES[gender]} if gender else {}
    identity |= {key: float(value) for key, value in (person.identity or {}).items()}
    for key, value in identity.items():
        if key not in model.identity_limits:
            near = difflib.get_close_matches(key, model.identity_names, 3, 0.3)
            raise ModelError(
                f"The head model has no identity parameter named {key!r}.",
                f"It has {', '.join(near)}." if near else "Look them up in the panel Double.",
            )
        low, high = model.identity_limits.get(key, (value, value))
        if not low <= value <= high:
            raise SettingsError(
                f"The identity parameter {key} is {value:g}; it goes from {low:g} to {high:g}."
            )
    return identity


def head_values(model: HeadModel, person: Person, likeness: Likeness | None = None) -> dict:
    """The fields of an Avatar that describe the head of `person`, fitted where there is a likeness."""
    identity = told_identity(model, person)
    if likeness is not None:
        identity = {key: round(float(value), 5) for key, value in likeness.person.values.items()} | identity
    coefficients = model.identity_coefficients(identity)
    detail = None if likeness is None else likeness.person.detail
    return {
        "model": model.name,
        "model_sha256": model.sha256,
        "gender": person.gender.lower(),
        "identity": identity,
        "appearance": {} if likeness is None else dict(likeness.appearance),
        "coefficients": coefficients,
        "vertices": model.rest(coefficients, detail=detail).vertices,
    }


def _note_what_is_missing(
    report: Report, capture: Capture, performance: Performance | None, fitted: bool
) -> None:
    if not fitted:
        report.warnings.append("The head has the chosen phenotypes; it is not fitted to the person's face.")
    if performance is None and not fitted:
        report.warnings.append(
            f"{capture.path.name} has no recorded weights, so the avatar has no performance: "
            "it needs face tracking, or a Live Link Face CSV beside the movie."
        )


def _provenance(
    capture: Capture,
    told: Mapping[str, float],
    performance: Performance | None,
    found: tuple[Track, Likeness] | None,
) -> dict:
    """Where each part of the avatar comes from."""
    parts: dict = {
        "capture": {"kind": capture.kind, "path": str(capture.path.absolute()), "name": capture.name}
    }
    if capture.metadata:
        parts["take"] = {str(key): str(value) for key, value in capture.metadata.items()}
    parts["head"] = f"identity parameters that the user chose, over the defaults of {model_path(MODEL).name}"
    if told:
        parts["told"] = told
    if found is not None:
        parts["head"] = f"fitted to {len(found[1].person.keyframes)} frames of {found[0].source}"
        parts["track"] = found[0].detector
        parts["performance"] = found[1].performance.source
    if performance is not None:
        parts["performance"] = performance.source
    return parts


def _keep_earlier(avatar: Avatar, earlier: Path, made: Sequence[str]) -> None:
    """Take along the id and the performances, but for those `made` anew, of the avatar about to be replaced.

    One that cannot be opened is an AvatarError: replacing it could destroy what can still be mended.
    """
    if not (earlier / "avatar.json").is_file():
        return
    old = Avatar.load(earlier)
    avatar.id = old.id
    for name, file in old.performance_files.items():
        if name not in made:
            target = avatar.folder / "performances" / file
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(old.performance_path(name), target)
            avatar.performance_files[name] = file
            if old.track_path(name).is_file():
                avatar.track_path(name).parent.mkdir(exist_ok=True)
                shutil.copy2(old.track_path(name), avatar.track_path(name))
            movie = old.face_track_path(name)
            if movie is not None and movie.is_file():
                avatar.texture_folder.mkdir(exist_ok=True)
                shutil.copy2(movie, avatar.texture_folder / movie.name)
                avatar.face_tracks[name] = movie.name
    kept = ", ".join(name for name in old.performance_files if name not in made)
    if old.provenance.get("capture", {}).get("path") != avatar.provenance["capture"]["path"]:
        avatar.warnings.append(
            f"{earlier.name} was made of another capture: its head was replaced"
            + (f", its performances were kept ({kept})." if kept else ".")
        )


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
