# SPDX-License-Identifier: GPL-3.0-or-later
"""From observed landmarks to a person and a performance.

A fit is a few named residuals (landmarks, contacts, scores, time) over a head model that is evaluated at its
landmarks only, handed to one Gauss-Newton solver with limits. Needs numpy; whole takes need scipy as well.
"""
