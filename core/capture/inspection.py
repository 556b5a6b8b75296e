# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what is in a capture, what is missing, what each part will be used for, and how good it is."""

from __future__ import annotations

from typing import Any

from ..errors import CaptureError
from .capture import Capture
from .face_mesh import read_face_mesh
from .images import image_facts
from .live_link import Reading
from .media import MediaFacts, media_facts
from .opaque import OpaqueFacts, describe_opaque
from .quality import Quality, measure
from .recorded import read_recording
from .report import Inspection, Part

_LISTED = 8


def inspect(capture: Capture) -> Inspection:
    """Look into every part of a capture. Damaged parts are listed as problems; nothing is written."""
    return _Inspector(capture).inspection()


class _Inspector:
    """Collects the report."""

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self.parts: list[Part] = []
        self.missing: list[str] = []
        self.problems: list[str] = []
        self.warnings: list[str] = list(capture.warnings)
        self.movie: MediaFacts | None = None
        self.quality: Quality | None = None
        self.opaque: list[OpaqueFacts] = []

    def inspection(self) -> Inspection:
        """The whole report."""
        reading: Reading | None = None
        for step in (self._movie, self._photos, self._meshes, self._flame):
            self._guarded(step)
        reading = self._guarded(self._weights)
        self._guarded(self._quality, reading)
        for member in self.capture.opaque:
            self._guarded(self._opaque, member, reading)
        self._others()
        self._missing()
        return Inspection(
            capture=self.capture,
            parts=tuple(self.parts),
            missing=tuple(self.missing),
            problems=tuple(self.problems),
            warnings=tuple(self.warnings),
            movie=self.movie,
            quality=self.quality,
            opaque=tuple(self.opaque),
        )

    def _guarded(self, step: Any, *arguments: Any) -> Any:
        try:
            return step(*arguments)
        except CaptureError as problem:
            self.problems.append(str(problem))
            return None

    def _movie(self) -> None:
        member = self.capture.movie
        if member is None:
            return
        self.movie = media_facts(member)
        facts = self.movie
        width, height = facts.display_size
        turned = f", stored turned by {facts.rotation} degrees" if facts.rotation else ""
        sound = "with sound" if facts.audio else "without sound"
        rate = f"about {facts.fps:.2f}" if facts.variable else f"{facts.fps:.3g}"
        known = (
            f"{facts.duration:.2f} s, {rate} frames/s, {width} x {height} px{turned}, {facts.codec}, {sound}"
        )
        use = (
            "picture and sound beside the double" if self.capture.weights_csv else "the face is tracked in it"
        )
        self.parts.append(Part("movie", member.name, member.size, known, use))

    def _photos(self) -> None:
        photos = self.capture.photos
        if not photos:
            return
        first = image_facts(photos[0])
        size = f"{first.width} x {first.height} px" if first.width else "size not known"
        if self.capture.kind == "frames":
            total = sum(member.size for member in photos)
            facts = f"{len(photos)} {first.format} frames, {size}"
            self.parts.append(
                Part("frames", f"{photos[0].name} ...", total, facts, "the face is tracked in them")
            )
            self._check_frames()
            return
        for member in photos[:_LISTED]:
            facts = image_facts(member)
            size = f"{facts.width} x {facts.height} px" if facts.width else "size not known"
            turned = f", shown turned by {facts.rotation} degrees" if facts.rotation else ""
            use = "likeness of the face: shape and colour"
            self.parts.append(Part("photo", member.name, member.size, f"{facts.format}, {size}{turned}", use))
        if len(photos) > _LISTED:
            self.warnings.append(f"{len(photos) - _LISTED} more photos are not listed.")

    def _check_frames(self) -> None:
        photos = self.capture.photos
        numbers = [int("".join(filter(str.isdigit, member.stem))[-18:] or 0) for member in photos]
        gaps = numbers[-1] - numbers[0] + 1 - len(numbers)
        if gaps > 0:
            self.warnings.append(
                f"{gaps} numbers are missing between {photos[0].name} and {photos[-1].name}."
            )
        sizes = {
            (f.width, f.height)
            for f in (image_facts(photos[i]) for i in (0, len(photos) // 2, len(photos) - 1))
        }
        if len(sizes) > 1:
            self.warnings.append("The frames do not all have the same size.")
        self.missing.append("Frames have no frame rate; 30 frames/s are assumed unless you set another.")

    def _meshes(self) -> None:
        for member in self.capture.face_meshes[:_LISTED]:
            mesh = read_face_mesh(member)
            width, height, depth = (round(1000 * value) for value in mesh.size)
            kind = "ARKit face mesh" if mesh.is_arkit else "mesh that is not ARKit's"
            counts = f"{len(mesh.vertices)} vertices, {len(mesh.faces)} faces"
            facts = f"{kind}, {counts}, {width} x {height} x {depth} mm"
            self.parts.append(Part("face mesh", member.name, member.size, facts, "shape of the face"))
            if not 0.05 < max(mesh.size) < 0.6:
                self.warnings.append(
                    f"{member.name} is {max(mesh.size):.3g} m large, which is no face in metres."
                )

    def _weights(self) -> Reading | None:
        member = self.capture.weights_csv
        if member is None:
            return None
        reading = read_recording(self.capture)
        assert reading is not None
        performance = reading.performance
        head = "with head rotation" if performance.head_rotation is not None else "no head rotation"
        gaze = "with gaze" if performance.gaze is not None else "no gaze"
        length = (
            f"{performance.frame_count} rows, {performance.duration:.2f} s, {performance.rate:.4g} rows/s"
        )
        facts = f"{length}, {head}, {gaze}"
        self.parts.append(
            Part("weights", member.name, member.size, facts, "the performance: expressions, head and eyes")
        )
        self.warnings.extend(reading.warnings)
        return reading

    def _quality(self, reading: Reading | None) -> None:
        if reading is None:
            return
        self.quality = measure(reading, self.movie)
        drift = self.quality.drift
        if drift is not None and abs(drift) > max(0.25, 2.0 / self.quality.rate):
            self.warnings.append(
                f"The weights are {abs(drift):.2f} s {'longer' if drift > 0 else 'shorter'} than the movie; "
                "check that both belong to one take."
            )

    def _flame(self) -> None:
        member = self.capture.flame_fit
        if member is None:
            return
        from ..fit.fit_npz import read_fit

        fit = read_fit(member)
        cameras = "a camera" if len(fit.camera_order) == 1 else f"{len(fit.camera_order)} cameras"
        facts = f"FLAME {fit.variant}, {fit.frame_count} frames before {cameras}"
        use = "FLAME parameters and cameras of another tracker, for CAP4D"
        self.parts.append(Part("flame", member.name, member.size, facts, use))

    def _opaque(self, member: Any, reading: Reading | None) -> None:
        counts = [self.movie.frames] if self.movie else []
        counts += [reading.rows] if reading else []
        facts = describe_opaque(member, counts)
        self.opaque.append(facts)
        use = "kept byte for byte, not decoded: its format is not documented"
        self.parts.append(Part("opaque", member.name, member.size, facts.sentence(), use))

    def _others(self) -> None:
        capture = self.capture
        used = {capture.movie, capture.weights_csv, capture.flame_fit}
        used |= {*capture.photos, *capture.face_meshes, *capture.opaque}
        others = [member for member in capture.members if member not in used]
        for member in others[:_LISTED]:
            self.parts.append(
                Part("other", member.name, member.size, f"{member.size} bytes", _other_use(member.basename))
            )
        if len(others) > _LISTED:
            self.warnings.append(f"{len(others) - _LISTED} more files are not used.")

    def _missing(self) -> None:
        capture = self.capture
        if capture.kind in ("leap", "live_link") and capture.movie is None:
            self.missing.append("There is no movie, so there is no sound and no picture to compare with.")
        if capture.weights_csv is None and capture.kind in ("leap", "live_link", "video", "frames"):
            source = "movie" if capture.movie else "frames" if capture.kind == "frames" else None
            end = (
                f"the face must be tracked in the {source}"
                if source
                else "only the likeness of the face can be made"
            )
            self.missing.append(f"There are no recorded weights: {end}.")
        if capture.kind == "leap" and not capture.face_meshes:
            self.missing.append(
                "There is no face mesh (faceGeometry*.obj), so the shape must come from the pictures."
            )
        if capture.kind == "leap" and not capture.photos:
            self.missing.append(
                "There is no photo (photo.jpg), so the first good frame of the movie takes its place."
            )
        if capture.kind == "photos":
            self.missing.append(
                "Photos have no movement: a still double is made, which any performance can drive."
            )
        if self.movie is not None and not self.movie.audio:
            self.missing.append("The movie has no sound.")


def _other_use(basename: str) -> str:
    lower = basename.lower()
    if lower in ("take.json", "frame_log.csv", "video_metadata.json", "audio_metadata.json"):
        return "facts of the take: start time, device"
    if lower == "likeness.json":
        return "who the person is: gender and shape"
    if lower == "thumbnail.jpg":
        return "not needed"
    if lower.endswith("_neutral.csv"):
        return "the neutral face of the app's calibration, which _cal.csv has applied already"
    if lower.endswith("_raw.csv"):
        return "not used, as the calibrated recording is there"
    return "not used"
