# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian avatars: Gaussians bound to a head, how they are drawn, trained and written."""
