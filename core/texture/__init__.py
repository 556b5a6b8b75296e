# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's own colours: what footage shows of a face, as pictures in the head atlas."""
