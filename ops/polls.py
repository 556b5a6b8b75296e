# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditions that several operators share, each with the reason that a grey button shows."""

from __future__ import annotations

from ..addon import compressing, session
from ..addon.kinds import Context
from ..addon.runtime import SESSION


class NeedsDouble:
    """Mix-in: there must be a double, and no job that will change it."""

    @classmethod
    def poll(cls, context: Context) -> bool:
        """Whether a double is chosen."""
        if SESSION.job.active:
            cls.poll_message_set(f"{SESSION.job.label}: stop it or wait for it")  # type: ignore[attr-defined]
            return False
        if session.active_root(context) is None:
            cls.poll_message_set("Import a capture first")  # type: ignore[attr-defined]
            return False
        return True


class NeedsPerformance(NeedsDouble):
    """Mix-in: the double must have a performance."""

    @classmethod
    def poll(cls, context: Context) -> bool:
        """Whether the chosen double has a performance."""
        if not super().poll(context):
            return False
        root = session.active_root(context)
        if root is None or not root.likeness.performance:
            cls.poll_message_set("This double has no performance: add one first")  # type: ignore[attr-defined]
            return False
        return True


class NeedsFootage(NeedsPerformance):
    """Mix-in: the performance must have been fitted to footage."""

    @classmethod
    def poll(cls, context: Context) -> bool:
        """Whether the chosen double plays a performance that was fitted to footage."""
        if not super().poll(context):
            return False
        root = session.active_root(context)
        if root is None or not session.can_show_footage(root):
            cls.poll_message_set("This performance was recorded and not fitted to footage")  # type: ignore[attr-defined]
            return False
        return True


class NeedsShapes:
    """Mix-in: there must be a mesh with shape keys, not being edited, and no job."""

    @classmethod
    def poll(cls, context: Context) -> bool:
        """Whether there is something to compress."""
        target = compressing.target_of(context)
        if SESSION.job.active:
            reason = f"{SESSION.job.label}: stop it or wait for it"
        elif target is None:
            reason = "Select a mesh that has shape keys"
        elif target.mode == "EDIT":
            reason = "Leave edit mode first"
        else:
            return True
        cls.poll_message_set(reason)  # type: ignore[attr-defined]
        return False


class NeedsCompressed:
    """Mix-in: a compressed mesh, its armature or its original must be chosen, and no job may run."""

    @classmethod
    def poll(cls, context: Context) -> bool:
        """Whether there is a compressed mesh."""
        if SESSION.job.active:
            cls.poll_message_set(f"{SESSION.job.label}: stop it or wait for it")  # type: ignore[attr-defined]
            return False
        if compressing.compressed_of(context) is None:
            cls.poll_message_set("Compress a mesh to bones first, or select one")  # type: ignore[attr-defined]
            return False
        return True
