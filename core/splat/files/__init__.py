# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians in the files of others: PLY, animated PLY, SPZ, glTF, GaussianAvatars' and CAP4D's models.

In memory everything is in the frame of the head (metres, +X the subject's left, +Y up, +Z out of the face);
each module says what the axes of its file are and converts on the way.
"""
