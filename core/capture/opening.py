# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell by content what a file or folder is, and sort its members into their roles."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import CaptureError
from .capture import Capture
from .container import list_members
from .limits import SNIFF_BYTES
from .member import Member, read_heads, reason
from .naming import (
    SUFFIX_KINDS,
    calibration_rank,
    capture_name,
    is_matte,
    natural_key,
    sequences,
    spread,
    take_stem,
    words_for,
)
from .results import holds_results
from .sniff import IMAGES, MOVIES, kind_of_bytes
from .take import take_facts

MINIMUM_FRAMES = 12
"""Numbered pictures in one row that count as a sequence; fewer are photos."""
_SAMPLE = 64
"""Pictures of a long sequence that are looked into; the others are what their extension says."""
_LIKELY = frozenset(SUFFIX_KINDS) | {".csv", ".txt", ".json", ".bin"}
_MOST_LOOKS = 2_000
"""Files that are looked into at most; what comes after them is not used."""
_ARCHIVE_SUFFIXES = (".zip", ".rar", ".7z", ".gz", ".tgz", ".tar")
_META_HUMAN = (".mhaical", ".cptake")
_NEEDS = "A capture is a Leap archive, a Live Link Face take or CSV, a movie, photos or a folder of frames."


def open_capture(path: Path | str) -> Capture:
    """Open a capture: a file, a folder or a zip, told by its content. Only headers are read and nothing is
    written.

    CaptureError when it is missing, hostile, damaged or holds nothing that can be used.
    """
    try:
        path = Path(path).expanduser().absolute()
        path = path if path.name not in ("", "..") else path.resolve()
        if not path.exists():
            raise CaptureError(f"{path.name or path} does not exist.", "Check the path.")
    except (OSError, ValueError, RuntimeError) as problem:
        raise CaptureError(f"The path cannot be used: {reason(problem)}.", "Check the path.") from problem
    members, warnings = list_members(path)
    return _Sorter(path, members, warnings).capture()


@dataclass
class _Sorter:
    """Members by what they are, and the decisions that follow."""

    path: Path
    members: list[Member]
    warnings: list[str]
    kinds: dict[Member, str] = field(default_factory=dict)
    table: Member | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def capture(self) -> Capture:
        """The capture, of the first kind that fits."""
        if any(member.name == "avatar.json" for member in self.members):
            raise CaptureError(
                f"{self.path.name} is a finished avatar, not a capture.", "Open it as an avatar instead."
            )
        self._look_into_members()
        self.table = self._table()
        self._read_facts()
        for attempt in (self._leap, self._live_link, self._video, self._pictures):
            found = attempt()
            if found is not None:
                return found
        raise self._nothing_usable()

    def _look_into_members(self) -> None:
        pictures = [m for m in self.members if SUFFIX_KINDS.get(m.suffix) in IMAGES]
        trusted = set(pictures) - set(spread(pictures, _SAMPLE))
        self.kinds = {m: SUFFIX_KINDS[m.suffix] for m in trusted}
        others = [m for m in self.members if m not in trusted]
        others.sort(key=lambda m: (m.suffix not in _LIKELY, m.name.count("/")))
        self.kinds.update(dict.fromkeys(others[_MOST_LOOKS:], "binary"))
        self._look_into(others[:_MOST_LOOKS])

    def _read_facts(self) -> None:
        """Facts of the take whose table is used, where several takes lie in one folder."""
        near = [m for m in self.members if self.table is None or m.folder == self.table.folder]
        self.facts = take_facts(near, self.warnings)

    def _look_into(self, members: list[Member]) -> None:
        for member, head in zip(members, read_heads(members, SNIFF_BYTES), strict=True):
            if not isinstance(head, CaptureError):
                self.kinds[member] = self._kind(member, kind_of_bytes(head))
            elif len(self.members) == 1:
                raise head
            else:
                self.warnings.append(f"{head.message} It was left out.")
                self.kinds[member] = "damaged"

    def _kind(self, member: Member, kind: str) -> str:
        """The kind, with a warning where the name promises another."""
        expected = SUFFIX_KINDS.get(member.suffix)
        if expected and kind != expected and not {kind, expected} <= MOVIES:
            self.warnings.append(
                f"{member.name} is {words_for(kind)}, not {words_for(expected)} as its name says."
            )
        return kind

    def _of(self, *kinds: str) -> list[Member]:
        return [member for member in self.members if self.kinds[member] in kinds]

    def _leap(self) -> Capture | None:
        """A Leap archive: an ARKit mesh or data.bin beside a photo or a movie of the known names."""
        meshes = sorted(
            (m for m in self._of("obj") if m.stem.lower().startswith("facegeometry")), key=natural_key
        )
        opaque = [m for m in self.members if m.basename.lower() in ("data.bin", "data.txt")]
        photos = [
            m
            for m in self._of(*IMAGES)
            if m.basename.lower() in ("photo.jpg", "1.jpg", "photo.png", "photo.heic")
        ]
        movie = next((m for m in self._of(*MOVIES) if m.stem.lower() == "arvideo"), None)
        opaque = [m for m in opaque if self.kinds[m] not in ("weights", "empty", "damaged")]
        if not (meshes or movie or (opaque and photos)):
            return None
        photos.sort(key=lambda m: (m.stem.lower() != "photo", m.name.count("/"), m.name))
        others = [m for m in self._of(*MOVIES) if m.stem.lower() != "textures"]
        return self._made(
            "leap",
            movie=movie or self._largest(others, "movies"),
            photos=tuple(photos[:1]) or tuple(m for m in self._of(*IMAGES) if m.stem.lower() != "scalp")[:1],
            face_meshes=tuple(meshes),
            weights_csv=self.table,
            opaque=tuple(opaque),
        )

    def _live_link(self) -> Capture | None:
        """A Live Link Face take: a table of weights, or the files that only this app writes."""
        table = self.table
        meta_human = any(
            m.suffix in _META_HUMAN or m.basename.lower() == "depth_data.bin" for m in self.members
        )
        is_take = "slate" in self.facts or "startTimecode" in self.facts
        movies = self._of(*MOVIES)
        if table is None and not meta_human and not is_take:
            return None
        if table is None and not movies:
            why = (
                "a MetaHuman Animator take, which has depth data instead of ARKit weights"
                if meta_human
                else "a take"
            )
            raise CaptureError(
                f"{self.path.name} is {why}, and without its movie there is nothing to use.",
                "Add the take's movie, or record in the 'Live Link (ARKit)' mode of the app.",
            )
        if table is None and meta_human:
            self.warnings.append(
                "This is a MetaHuman Animator take: it has depth data instead of ARKit weights, "
                "so the face must be tracked from its movie."
            )
        if table is not None and len(self.members) == 1 and self.members[0].entry is None:
            self._add_take_of(table)
            movies = self._of(*MOVIES)
        thumbnails = [m for m in self._of(*IMAGES) if m.basename.lower() == "thumbnail.jpg"]
        return self._made(
            "live_link",
            movie=self._movie_of(table, movies),
            photos=tuple(m for m in self._of(*IMAGES) if m not in thumbnails),
            weights_csv=table,
            opaque=tuple(m for m in self.members if m.basename.lower() == "depth_data.bin"),
        )

    def _add_take_of(self, table: Member) -> None:
        """For a CSV chosen alone inside its take folder: the movie of the same name, and take.json, beside
        it.
        """
        folder, stem = table.file.parent, take_stem(table)
        for suffix in (".mov", ".mp4", ".MOV", ".MP4"):
            path = folder / (stem + suffix)
            if path.is_file() and not path.is_symlink():
                movie = Member(path.name, path.stat().st_size, path)
                added = [movie]
                break
        else:
            return
        for basename in ("take.json", "frame_log.csv", "video_metadata.json"):
            path = folder / basename
            if path.is_file() and not path.is_symlink():
                member = Member(path.name, path.stat().st_size, path)
                added.append(member)
        self.members.extend(added)
        self._look_into(added)
        self._read_facts()

    def _table(self) -> Member | None:
        """The table of weights to use: the calibrated one before the plain one before the raw one."""
        tables = self._of("weights")
        usable = [m for m in tables if not m.stem.lower().endswith("_neutral")]
        if not usable:
            return tables[0] if len(tables) == 1 and len(self.members) == 1 else None
        usable.sort(key=lambda m: (calibration_rank(m), -m.size, m.name))
        chosen = usable[0]
        rivals = [m for m in usable[1:] if calibration_rank(m) == calibration_rank(chosen)]
        if rivals:
            self.warnings.append(
                f"There are {len(rivals) + 1} recordings of weights; {chosen.name} is used "
                "because it is the longest. Open another one by itself to use it."
            )
        return chosen

    def _movie_of(self, table: Member | None, movies: list[Member]) -> Member | None:
        """The movie that is named like the table, else the largest."""
        if table is not None:
            same = [m for m in movies if m.stem.lower() == take_stem(table).lower()]
            same.sort(key=lambda m: m.folder != table.folder)
            if same:
                return same[0]
        return self._largest(movies, "movies")

    def _video(self) -> Capture | None:
        if holds_results(self.members):
            raise CaptureError(
                f"{self.path.name} is a finished Leap result, not a capture.",
                "Use File > Import > Leap Result for it.",
            )
        movies = self._of(*MOVIES)
        if not movies:
            return None
        pictures = tuple(self._of(*IMAGES)[:MINIMUM_FRAMES])
        return self._made("video", movie=self._largest(movies, "movies"), photos=pictures)

    def _pictures(self) -> Capture | None:
        pictures = self._of(*IMAGES)
        if not pictures:
            return None
        pictures = [m for m in pictures if not is_matte(m)] or pictures
        groups = sequences(pictures)
        longest = max(groups, key=len)
        if len(longest) < MINIMUM_FRAMES:
            return self._made("photos", photos=tuple(sorted(pictures, key=natural_key)))
        if len(longest) < len(pictures):
            self.warnings.append(
                f"{len(pictures) - len(longest)} pictures are not part of the numbered sequence "
                "and were left out."
            )
        return self._made("frames", photos=tuple(longest))

    def _largest(self, movies: list[Member], what: str) -> Member | None:
        if not movies:
            return None
        chosen = max(movies, key=lambda m: (m.size, m.name))
        if len(movies) > 1:
            self.warnings.append(
                f"There are {len(movies)} {what}; {chosen.name} is used because it is the largest."
            )
        return chosen

    def _made(self, kind: str, **roles: Any) -> Capture:
        archives = [m.name for m in self._of("zip", "archive") if m.suffix in _ARCHIVE_SUFFIXES]
        if archives:
            self.warnings.append(
                f"{archives[0]} is an archive inside the capture and was not opened; unpack it to use it."
            )
        fits = [m for m in self._of("zip", "archive") if m.basename.lower() == "fit.npz"]
        return Capture(
            kind=kind,
            path=self.path,
            name=capture_name(self.path),
            members=tuple(self.members),
            flame_fit=min(fits, key=lambda m: (m.name.count("/"), m.name), default=None),
            metadata=MappingProxyType(dict(self.facts)),
            warnings=tuple(self.warnings),
            **roles,
        )

    def _nothing_usable(self) -> CaptureError:
        name = self.path.name
        if len(self.members) == 1:
            what = words_for(self.kinds[self.members[0]])
            if self.kinds[self.members[0]] == "zip":
                return CaptureError(
                    f"{name} holds only another archive.", "Unpack it and choose what is inside."
                )
            return CaptureError(f"{name} is {what}, not a capture.", _NEEDS)
        return CaptureError(f"{name} holds no movie, no photo, no face mesh and no recorded weights.", _NEEDS)
