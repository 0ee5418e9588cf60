"""A consumer group: who is a member, who is believed dead, which generation holds, and who gets which partitions.

Eager, as the product's groups are: all give back, then all are given. A member learns of it with its next heartbeat;
one that does not answer is waited for until its session is over, and then goes on unaware, as a second owner. Does not
know what members do with partitions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Protocol

from aiokafka import TopicPartition

from tests.simulation.process import Process

HEARTBEAT_S = 2.0
SESSION_S = 6.0
ALL_BACK_S = 0.5
PROMOTED = 0.7
"""Of the times that a seat is given: to the member that stood by."""

Assign = Callable[[Sequence["Member"], Random], Mapping["Member", frozenset[TopicPartition]]]


class Member(Protocol):
    """A client in a group."""

    process: Process
    generation: int

    def revoked(self) -> None:
        """Everything is given back."""

    def assigned(self, at: frozenset[TopicPartition], generation: int) -> None:
        """These are the member's now."""


class Group:
    """The members in the order of their ids, and the generation that may commit."""

    def __init__(self, name: str, assign: Assign, random: Random) -> None:
        self.name = name
        self.generation = 0
        self.members: list[Member] = []
        self.known: list[Member] = []
        """Members, and those that are believed dead."""
        self._assign, self._random = assign, random
        self._is_due = asyncio.Event()
        self._gave_back: set[int] = set()

    def join(self, member: Member) -> None:
        """A client asks to be a member; its place is by an id that it is given now."""
        self.members.insert(self._random.randrange(len(self.members) + 1), member)
        self.known.append(member)
        self.rebalance()

    def leave(self, member: Member) -> None:
        """A client goes."""
        self.known = [one for one in self.known if one is not member]
        self._drop(member)

    def come_back(self, process: Process) -> None:
        """The heartbeats of a process are heard again: who was believed dead gives all back and joins anew."""
        for member in [one for one in self.known if one.process is process and one not in self.members]:
            self.known.remove(member)
            member.revoked()
            self.join(member)

    def rebalance(self) -> None:
        """Place everything anew."""
        self._is_due.set()

    def may_commit(self, member: Member, generation: int) -> bool:
        """Whether the coordinator takes a commit of this member."""
        return member in self.members and generation == self.generation

    def expire(self, process: Process) -> None:
        """The session of a process that did not answer is over."""
        if not process.answers:
            for member in [one for one in self.members if one.process is process]:
                self._drop(member)

    def _drop(self, member: Member) -> None:
        if member in self.members:
            self.members.remove(member)
            self.rebalance()

    async def run(self) -> None:
        """Place whenever there is a reason to. Never returns."""
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            self._gave_back.clear()
            await self._all_back()
            if self._is_due.is_set():
                continue
            self.generation += 1
            for member, at in self._assign(self.members, self._random).items():
                self._give(member, at, self.generation)

    async def _all_back(self) -> None:
        """Every member gives back with its next heartbeat; who does not answer is waited for or forgotten."""
        while True:
            for member in self.members:
                if id(member) not in self._gave_back:
                    self._ask_back(member)
            await asyncio.sleep(self._random.uniform(0.05, HEARTBEAT_S))
            if all(member.process.answers for member in self.members):
                break
        for member in self.members:
            if id(member) not in self._gave_back:
                self._ask_back(member)
        await asyncio.sleep(self._random.uniform(0.01, ALL_BACK_S))

    def _ask_back(self, member: Member) -> None:
        if member.process.answers:
            self._gave_back.add(id(member))
            member.process.when_running(member.revoked)

    def _give(self, member: Member, at: frozenset[TopicPartition], generation: int) -> None:
        def told() -> None:
            if generation == self.generation and member in self.members:
                member.process.when_running(lambda: member.assigned(at, generation))

        asyncio.get_running_loop().call_later(self._random.uniform(0.0, 1.0), told)


def by_range(sizes: Mapping[str, int]) -> Assign:
    """Kafka's range assignor: of every topic each member gets a run of indexes."""

    def assign(members: Sequence[Member], _random: Random) -> dict[Member, frozenset[TopicPartition]]:
        found: dict[Member, set[TopicPartition]] = {member: set() for member in members}
        for topic, size in sizes.items():
            each, more = divmod(size, max(1, len(members)))
            first = 0
            for number, member in enumerate(members):
                last = first + each + (number < more)
                found[member] |= {TopicPartition(topic, index) for index in range(first, last)}
                first = last
        return {member: frozenset(at) for member, at in found.items()}

    return assign


def to_one(at: TopicPartition, changelog: TopicPartition) -> Assign:
    """Faust's assignor, less patient: one partition that any member may get, most often the one that stood by; and its
    table's changelog, which another one reads, too, to stand by."""
    stands_by: list[Member] = []

    def assign(members: Sequence[Member], random: Random) -> dict[Member, frozenset[TopicPartition]]:
        order = random.sample(members, k=len(members))
        if random.random() < PROMOTED:
            order.sort(key=lambda member: member not in stands_by)
        stands_by[:] = order[1:2]
        given = {member: {changelog} for member in stands_by} | {member: {at, changelog} for member in order[:1]}
        return {member: frozenset(given.get(member, ())) for member in members}

    return assign
