# SPDX-License-Identifier: GPL-3.0-or-later
"""The default solver: alternating exact solves of weights and transforms."""
