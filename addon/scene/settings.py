# SPDX-License-Identifier: GPL-3.0-or-later
"""`BuildSettings`: how a double is put into a scene."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...core.errors import SettingsError
from ...core.filters import FilterSettings
from ...core.performance import EYE_ANGLE
from .materials import Look


@dataclass(frozen=True)
class BuildSettings:
    """The defaults are those of a plain import. A bad value is a SettingsError."""

    location: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Where the feet of the first person stand, metres. Ignored for a double that is there already."""
    rotation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Euler XYZ in radians; without rotation the person faces -Y, the front view."""
    spacing: float = 0.9
    """Metres between persons who stand beside each other."""
    materials: str | None = None
    """EEVEE or CYCLES; None keeps the set that a double wears, and gives a new one EEVEE's."""
    lights: str | None = "NEUTRAL"
    """Lighting set for a scene that has none yet (see `lights.SETS`); None leaves light and world alone."""
    look: Look | None = None
    """Colours, haircut and clothes; None takes what suits the avatar."""
    hair: bool = True
    clothes: bool = True
    camera: bool = True
    sound: bool = True
    """Put the capture's sound into the sequencer."""
    reference: bool = False
    """Show the capture's movie behind the camera view."""
    fps: float | None = None
    """Frames per second of the scene; None takes the performance's rate for the scene's only double."""
    first_frame: int = 0
    """Scene frame of time 0, the start of the media."""
    neck_share: float = 0.45
    """How much of the head's rotation the neck carries; the head carries the rest, and the sum is exact."""
    head_position: float = 1.0
    """How much of the head's position is keyed where a fit knows it: 0 keeps the person on the spot, 1 is
    exact.
    """
    eye_angle: float = EYE_ANGLE
    """Radians an eye turns at eyeLook weight 1, where no gaze was recorded."""
    relaxed: bool = True
    """Stand a new double with hanging arms and feet under the hips; False keeps the model's own pose."""
    filters: FilterSettings = field(default_factory=FilterSettings)
    decimate_error: float | None = None
    """Leave out keys as long as no weight changes by more than this; None keeps every sample."""

    def __post_init__(self) -> None:
        """Check the values a user can set."""
        if self.materials not in {None, "EEVEE", "CYCLES"}:
            raise SettingsError(f"Materials are {self.materials!r}.", "Choose EEVEE or CYCLES.")
        if not 0.0 <= self.neck_share <= 1.0:
            raise SettingsError(f"The neck's share is {self.neck_share:g}; it must be within 0 and 1.")
        if not 0.0 <= self.head_position <= 1.0:
            raise SettingsError(f"The head position is {self.head_position:g}; it must be within 0 and 1.")
        if self.fps is not None and not 0.01 <= self.fps <= 1000.0:
            raise SettingsError(f"The frame rate is {self.fps:g}; it must be within 0.01 and 1000.")
        if self.decimate_error is not None and not self.decimate_error >= 0.0:
            raise SettingsError(f"The decimation error is {self.decimate_error:g}; it must be 0 or more.")
