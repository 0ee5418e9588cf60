"""Which version of a Judge's state a snapshot holds.

Knows a number; not what the state is made of.
"""

from __future__ import annotations

VERSION = 9
"""Of what a snapshot keeps. Raise it with every change of an array, of a field, or of what one means."""


class OtherVersion(ValueError):
    """A snapshot was written by another version of Pastille, whose Judge keeps other things."""
