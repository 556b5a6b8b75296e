# SPDX-License-Identifier: GPL-3.0-or-later
"""From numpy to bpy: a person in a scene, lit and ready to render. Start at `build.build`."""
