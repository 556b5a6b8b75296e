# SPDX-License-Identifier: GPL-3.0-or-later
"""What the session knows and the file does not: the running job and facts that panels show without
computing them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class JobStatus:
    """The one job that may run at a time, as the panels show it."""

    label: str = ""
    """What is being made; empty while nothing runs."""
    progress: float = 0.0
    """0..1."""
    text: str = ""
    """What it does right now."""
    icon: int = 0
    """Icon of a small picture of what is being worked on, 0 where there is none."""
    stop_requested: bool = False
    """Set by the Stop button; the operator that owns the job obeys at its next tick."""

    @property
    def active(self) -> bool:
        """Whether a job runs."""
        return bool(self.label)

    def begin(self, label: str) -> None:
        """Take the slot."""
        self.label, self.progress, self.text, self.stop_requested = label, 0.0, "Starting", False
        self.icon = 0

    def end(self) -> None:
        """Free the slot."""
        self.label, self.progress, self.text, self.stop_requested = "", 0.0, "", False
        self.icon = 0


@dataclass
class Session:
    """Everything of this kind, made anew when the extension is enabled."""

    job: JobStatus = field(default_factory=JobStatus)
    log: list[str] = field(default_factory=list)
    """Lines of the last quality report or failure, for the panel."""
    quiet: int = 0
    """Above 0 while sliders are set without anything following."""
    lacking: dict[str, str] = field(default_factory=dict)
    """By purpose, tracking, compressing or splats: what the worker lacked for it, in a sentence."""
    log_is_error: bool = False
    """Whether it is a failure of what no operator could report."""


SESSION = Session()
"""The only instance."""


@contextmanager
def quietly() -> Iterator[None]:
    """Set sliders without anything following."""
    SESSION.quiet += 1
    try:
        yield
    finally:
        SESSION.quiet -= 1


def reset() -> None:
    """Forget everything, as at the start."""
    SESSION.job.end()
    SESSION.log.clear()
    SESSION.log_is_error = False
    SESSION.lacking.clear()
