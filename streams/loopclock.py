"""How much time went by, by the clock of the running event loop.

That clock is the machine's monotonic one, and in a simulation the simulated one. Does not know what o'clock it is.
"""

from __future__ import annotations

import asyncio

__all__ = ["loop_s"]


def loop_s() -> float:
    """Seconds on a clock that never goes back; only differences mean something."""
    return asyncio.get_running_loop().time()
