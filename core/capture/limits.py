# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounds on what a capture may hold. Real ones stay far below; a hostile one is refused."""

from __future__ import annotations

MAX_MEMBERS = 200_000
"""Files in one capture: an hour of single frames at 50 frames/s still fits."""
MAX_DEPTH = 6
"""Folders below the top."""
MAX_DIRECTORY_BYTES = 64 << 20
"""Size of a zip's own table of contents."""
MAX_TOTAL_BYTES = 64 << 30
"""Unpacked size of everything together."""
MAX_RATIO = 300
"""Unpacked over packed size of one member; text and tables of numbers stay below 20."""
RATIO_FLOOR = 32 << 20
"""Members smaller than this are harmless at any ratio."""
MAX_READ_BYTES = 512 << 20
"""What one member may occupy in memory."""
MAX_JSON_BYTES = 4 << 20
MAX_OBJ_BYTES = 128 << 20
MAX_OBJ_VERTICES = 1_000_000
MAX_OBJ_CORNERS = 8_000_000
MAX_CSV_BYTES = 4 << 30
MAX_CSV_ROWS = 2_000_000
MAX_CSV_COLUMNS = 512
MAX_LINE_BYTES = 64 << 10
"""The app's widest row has 900 bytes."""
MAX_HEADER_BOX_BYTES = 128 << 20
"""Size of a movie's table of contents; a two-hour recording needs about 5 MB."""
SNIFF_BYTES = 4096
"""What is read of a member to tell what it is."""
