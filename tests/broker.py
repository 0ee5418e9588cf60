"""The broker of a test session: that of `tests.together`, which its processes share, or else one of its own."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext

from streams.embedded import EmbeddedKafka

SHARED = "TESTS_BROKER"
"""The variable that says where the shared broker is."""


class Shared(EmbeddedKafka):
    """A broker that another process started: to be used, not to be ended."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    def _servers(self, port: str) -> str:
        return self._address


def broker() -> AbstractContextManager[EmbeddedKafka]:
    """Entered, it runs."""
    address = os.environ.get(SHARED)
    return EmbeddedKafka() if address is None else nullcontext(Shared(address))
