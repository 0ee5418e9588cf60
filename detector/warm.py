"""`python -m detector.warm`: compile every loop once, so that no batch of events waits for the compiler.

Knows which modules have loops, not what they do: importing one brings its loops from the cache or compiles them at
their first call, and the smallest call does.
"""

from __future__ import annotations

import numpy as np

from detector.counting.hashing import hash_bytes, order_payment


def warm() -> None:
    """Call every loop with the smallest input it takes."""
    hash_bytes(np.zeros(1, np.uint8), 0, 1)
    order_payment(np.uint64(1), 0)


if __name__ == "__main__":
    warm()
