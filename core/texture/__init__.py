# SPDX-License-Identifier: GPL-3.0-or-later
"""The person's own face as pictures in the head atlas: still, face track, predicted texture, light, colours.

Runs in the worker, except `predicted`, which Blender reads.
"""
