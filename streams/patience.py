"""How long clients wait for Kafka, and Kafka for a member of a group: one place, because each hangs on the others.

A broker that stands still keeps its connections, so only a time tells. Its partitions have new leaders, and its groups
a new coordinator, once the other brokers miss it (9 s by default); who asks it waits no longer than that, and who does
not looks where the leaders are so often that it finds the new ones. Knows no client.
"""

from __future__ import annotations

from typing import Final

__all__ = ["HEARTBEAT_S", "IDLE_MS", "METADATA_MS", "MISSED_S", "REQUEST_MS", "SESSION_S"]

SESSION_S: Final = 6.0
"""A member that says nothing for so long is gone, and others have its sources: the least that a broker grants by
default (`group.min.session.timeout.ms`). A worker compiles before it joins and counts beside the event loop, so that
heartbeats go on meanwhile."""
HEARTBEAT_S: Final = 2.0
"""Two may be lost of the three in a session."""
REQUEST_MS: Final = 7_000
"""Longer than any answer takes that Kafka holds back on purpose: to join a group takes up to a session, a fetch half
a second. Not much longer: a group's new coordinator gives its members one session to find it."""
IDLE_MS: Final = 10 * 365 * 86_400_000
"""Never: after so long without a fetch Kafka's client takes its member out of the group, and waits for a fetch before
it comes back. Who stands by has nothing to fetch, and who waits for a write to be taken fetches nothing meanwhile."""
METADATA_MS: Final = 5_000
"""Where the leaders are is asked anew so often: who waits for an answer of an old one would learn it from that."""
MISSED_S: Final = 12.0
"""After so long the others must have missed a broker that is gone, and name it no more: who asked it asks again, and
once more where it only stood still (`streams.admin.ANSWER_MS`)."""
