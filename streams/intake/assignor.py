"""Which member of the counters' group holds which sources: each keeps what it has, as far as that is fair.

A source that moves is read again from where it was committed; with the client's own range assignor a worker that
comes may move every source, and a worker that died moves those of the living. Here an index of all topics stays
together and with its owner; what is free goes to who has least; who has too much gives up what it took up last, for
that is hardly read yet. Members say what they have in the metadata of their request to join, and the number of the
placing they got it from: it tells an owner from one that slept. (Numbers begin anew where all members do, so one that
slept through that is believed, and what it claims is read again: that costs time, no counts.) Knows no connection, nor
what a source says.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import msgspec
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

__all__ = ["SourceAssignor"]

log = logging.getLogger(__name__)

VERSION: Final = 0


class _Said(msgspec.Struct, array_like=True):
    """What a member says of itself: the placing it knows, and by topic and partition the placing it got each from."""

    placing: int = 0
    held: list[tuple[str, int, int]] = []


_decoder = msgspec.msgpack.Decoder(_Said)


class SourceAssignor(AbstractPartitionAssignor):  # type: ignore[misc]  # aiokafka ships no types
    """One member's. The client calls it as it calls its own assignors, which are classes: every name is theirs."""

    name = "pastille-sources"

    def __init__(self) -> None:
        self._said = _Said()

    def metadata(self, topics: Iterable[str]) -> Any:
        """What this member sends when it joins."""
        return ConsumerProtocolMemberMetadata(VERSION, sorted(topics), msgspec.msgpack.encode(self._said))

    def on_assignment(self, assignment: Any) -> None:
        """Note what this member got; what it had before it has for as long as before."""
        since = {(topic, partition): placing for topic, partition, placing in self._said.held}
        placing = _read(assignment.user_data).placing
        places = sorted((at.topic, at.partition) for at in assignment.partitions())
        self._said = _Said(placing, [(*place, since.get(place, placing)) for place in places])

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        """Place every index of every topic that a member reads."""
        said = {member: _read(metadata.user_data) for member, metadata in members.items()}
        placed: dict[str, dict[str, list[int]]] = {member: {} for member in members}
        for topics, readers in _together(cluster, members):
            load = {member: sum(map(len, placed[member].values())) for member in readers}
            owners = _owners(topics, {member: said[member] for member in readers})
            for member, mine in _shared(sorted(set().union(*topics.values())), owners, load).items():
                placed[member] |= {topic: [at for at in mine if at in there] for topic, there in topics.items()}
        number = msgspec.msgpack.encode(_Said(1 + max((one.placing for one in said.values()), default=0)))
        return {
            member: ConsumerProtocolMemberAssignment(VERSION, sorted(mine.items()), number)
            for member, mine in placed.items()
        }


def _read(user_data: bytes | None) -> _Said:
    """What a member says; of one that says nothing we understand, that it has nothing."""
    try:
        return _decoder.decode(user_data or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Said()


def _together(cluster: Any, members: Mapping[str, Any]) -> list[tuple[dict[str, set[int]], list[str]]]:
    """The partitions of topics that are read by the same members and have equally many, for their indexes stay
    together, and these members. So feeds of different sizes are dealt out each by itself."""
    readers: dict[str, set[str]] = {}
    for member, metadata in members.items():
        for topic in metadata.subscription:
            readers.setdefault(topic, set()).add(member)
    found: dict[tuple[frozenset[str], int], dict[str, set[int]]] = {}
    for topic, its in sorted(readers.items()):
        there = cluster.partitions_for_topic(topic)
        if there is None:
            log.warning("intake: nothing is known of topic %s; its sources are placed when it is", topic)
        else:
            found.setdefault((frozenset(its), len(there)), {})[topic] = set(there)
    return [(topics, sorted(its)) for (its, _), topics in found.items()]


def _owners(topics: Collection[str], said: Mapping[str, _Said]) -> dict[int, tuple[int, str]]:
    """Who has each index, and from which placing on. Of two that say so, one was away when the other got it: whoever
    knows the newer placing has it."""
    best: dict[int, tuple[int, int, str]] = {}
    for member in sorted(said):
        for topic, index, since in said[member].held:
            claim = said[member].placing, -since, member
            if topic in topics and (index not in best or claim[:2] > best[index][:2]):
                best[index] = claim
    return {index: (-since, member) for index, (_, since, member) in best.items()}


def _shared(indexes: list[int], owners: Mapping[int, tuple[int, str]], load: Mapping[str, int]) -> dict[str, list[int]]:
    """The indexes of each member, whose numbers differ by one at most."""
    mine: dict[str, list[int]] = {member: [] for member in load}
    for index in sorted(indexes, key=lambda index: (owners.get(index, (0, ""))[0], index)):
        if index in owners:
            mine[owners[index][1]].append(index)
    least, more = divmod(len(indexes), len(mine))
    # Who has most may keep one more than others, and then who has least to do elsewhere.
    order = sorted(mine, key=lambda member: (-len(mine[member]), load[member], member))
    room = {member: least + (place < more) for place, member in enumerate(order)}
    kept = {member: held[: room[member]] for member, held in mine.items()}
    free = sorted(set(indexes).difference(*kept.values()))
    for member in sorted(order, key=lambda member: (load[member], member)):
        wanted = room[member] - len(kept[member])
        kept[member] += free[:wanted]
        del free[:wanted]
    return {member: sorted(held) for member, held in kept.items()}
