# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressed skinning: dense shape keys as few bones with sparse weights and a sparse transform matrix.

Kavan, Doublestein, Prazak, Cioffi, Roble: Compressed Skinning for Facial Blendshapes, SIGGRAPH 2024.
"""
