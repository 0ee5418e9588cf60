"""`python -m tests.warm`: compile every loop as a start does, and sooner: what the compiler leaves is not collected.

That takes 0.9 GB for a minute and a half, which a worker that compiles may not have.
"""

from __future__ import annotations

import gc

from detector.warm import warm

if __name__ == "__main__":
    gc.disable()
    warm()
