# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample capture: a person who exists nowhere says "Hello. I am your likeness." Made by `build.py
sample`.
"""
