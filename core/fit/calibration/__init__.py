# SPDX-License-Identifier: GPL-3.0-or-later
"""Landmark embeddings by calibration: a model is shown to the detectors, what they see is cast back on it.

No embedding is copied, so any head model gets one, with no licence attached: `calibrate.calibrate(model)`.
"""
