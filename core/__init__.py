# SPDX-License-Identifier: GPL-3.0-or-later
"""Likeness without Blender: readers, models, fitting; also the worker (`python -m core`)."""
