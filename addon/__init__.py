# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender holds: registration, preferences, properties and the scene."""
