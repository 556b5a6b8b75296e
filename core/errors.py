# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors a user can cause or mend. Everything else is a defect and raises as it is."""

from __future__ import annotations


class LikenessError(Exception):
    """A failure with one sentence for the user: which file or value, what was expected, what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class CaptureError(LikenessError):
    """A capture is unreadable, hostile or not what its name says."""


class ModelError(LikenessError):
    """A head model file is missing, damaged or of another kind."""


class AvatarError(LikenessError):
    """An avatar folder is missing, damaged or from a newer version."""


class SplatError(LikenessError):
    """A file or set of Gaussians is damaged, hostile or of another kind."""


class WorkerError(LikenessError):
    """The worker process or its environment failed."""


class SettingsError(LikenessError):
    """A setting has a value that cannot be used."""


class Cancelled(LikenessError):
    """The user stopped the work; nothing is left half-written."""
