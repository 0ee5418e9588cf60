"""Who holds which sources: every index once and together, fairly, and with its owner as far as that goes."""

from __future__ import annotations

import inspect
import random
from collections.abc import Mapping

import pytest
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance, GroupCoordinator
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from streams.intake.assignor import SourceAssignor

TOPICS = {"payments": 8, "orders": 8, "pix": 4}


class Cluster:
    """What the client knows of topics."""

    def __init__(self, topics: Mapping[str, int]) -> None:
        self._topics = topics

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """None: not known."""
        return set(range(self._topics[topic])) if topic in self._topics else None


class Group:
    """Members by name; `place` is a rebalance, through the bytes that go over the wire."""

    def __init__(self, topics: Mapping[str, int] | None = None) -> None:
        self.topics = dict(TOPICS if topics is None else topics)
        self.members: dict[str, SourceAssignor] = {}
        self.reads: dict[str, list[str]] = {}
        self.held: dict[str, set[tuple[str, int]]] = {}

    def join(self, name: str, *reads: str) -> None:
        """A new member, which reads payments and orders where nothing is said."""
        self.members[name], self.reads[name] = SourceAssignor(), list(reads or ("payments", "orders"))

    def place(self, asleep: str = "") -> None:
        """All join anew but one who sleeps; the first of them, in any order, places."""
        awake = [name for name in self.members if name != asleep]
        said = {
            name: ConsumerProtocolMemberMetadata.decode(self.members[name].metadata(self.reads[name]).encode())
            for name in awake
        }
        placed = self.members[awake[0]].assign(Cluster(self.topics), said)
        for name in awake:
            assignment = ConsumerProtocolMemberAssignment.decode(placed[name].encode())
            self.members[name].on_assignment(assignment)
            self.held[name] = {(at.topic, at.partition) for at in assignment.partitions()}

    def indexes(self, name: str, topic: str = "payments") -> set[int]:
        """What a member holds of a topic."""
        return {partition for at, partition in self.held[name] if at == topic}


def test_the_client_asks_so() -> None:
    """It looks assignors up by name, and calls these three of each; only the first one is sent when it joins."""
    for method, asked in (
        (GroupCoordinator._lookup_assignor, "assignor.name == name"),
        (GroupCoordinator._perform_assignment, "assignor.assign(self._cluster, member_metadata)"),
        (GroupCoordinator._on_join_complete, "assignor.on_assignment(assignment)"),
        (CoordinatorGroupRebalance.perform_group_join, "metadata = assignor.metadata(topics)"),
    ):
        assert asked in inspect.getsource(method)


@pytest.mark.parametrize("seed", range(30))
def test_whoever_comes_and_goes_all_is_placed_once_together_and_fairly(seed: int) -> None:
    """After every rebalance; and no more moves than fairness asks for."""
    chance, group = random.Random(seed), Group()
    group.join("m0")
    group.place()
    for number in range(1, 12):
        before = {name: group.indexes(name) for name in group.members}
        if len(group.members) > 1 and chance.random() < 0.5:
            gone = chance.choice(sorted(group.members))
            del group.members[gone], group.held[gone], before[gone]
        else:
            group.join(f"m{chance.random()}-{number}")
        group.place()
        for topic in ("payments", "orders"):
            held = [index for name in group.members for index in group.indexes(name, topic)]
            assert sorted(held) == list(range(8)), f"seed {seed}"
        sizes = [len(group.indexes(name)) for name in group.members]
        assert max(sizes) - min(sizes) <= 1, f"seed {seed}"
        for name, had in before.items():
            assert group.indexes(name) == group.indexes(name, "orders")
            assert len(had & group.indexes(name)) >= min(len(had), 8 // len(group.members)), f"seed {seed}"


@pytest.mark.parametrize("name", ["a", "z"])
def test_a_new_worker_takes_the_place_of_a_dead_one(name: str) -> None:
    """Whatever it is called, the living one keeps what it had: the past of nothing else is read again."""
    group = Group()
    group.join("m1")
    group.join("m2")
    group.place()
    living, dead = group.indexes("m1"), group.indexes("m2")
    del group.members["m2"]
    group.join(name)
    group.place()
    assert (group.indexes("m1"), group.indexes(name)) == (living, dead)


@pytest.mark.parametrize("name", ["a", "z"])
def test_one_that_comes_late_gets_what_was_taken_up_last(name: str) -> None:
    """The one that was left took up all; it gives back what it has hardly begun to read."""
    group = Group()
    group.join("m1")
    group.join("m2")
    group.place()
    living = group.indexes("m1")
    del group.members["m2"]
    group.place()
    assert group.indexes("m1") == set(range(8))
    group.join(name)
    group.place()
    assert group.indexes("m1") == living


def test_one_that_slept_is_not_believed() -> None:
    """Two say that they hold an index: whoever knows the newer placing does."""
    group = Group()
    group.join("m1")
    group.join("m2")
    group.place()
    slept = group.indexes("m1")
    group.place(asleep="m1")
    group.join("m3")
    group.place(asleep="m1")
    kept = {name: group.indexes(name) for name in ("m2", "m3")}
    group.place()
    assert all(group.indexes(name) <= kept[name] for name in kept)
    assert group.indexes("m1") == set(range(8)) - group.indexes("m2") - group.indexes("m3")
    assert len(group.indexes("m1")) < len(slept)


def test_feeds_are_placed_among_those_who_read_them() -> None:
    """A topic goes to members that read it, and nobody has more of all than need be."""
    group = Group()
    group.join("shops")
    group.join("both", "payments", "orders", "pix")
    group.join("pix", "pix")
    group.place()
    assert {topic for topic, _ in group.held["pix"]} == {"pix"}
    assert group.indexes("pix", "pix") | group.indexes("both", "pix") == set(range(4))
    for name in ("shops", "both"):
        assert len(group.indexes(name)) == 4
        assert group.indexes(name, "orders") == group.indexes(name)


@pytest.mark.parametrize("workers", [2, 3, 4, 5])
def test_a_small_feed_is_dealt_out_beside_a_large_one(workers: int) -> None:
    """Feeds of different sizes, read by all: each is shared by itself, so that none sits on few workers."""
    group = Group({"card": 12, "card orders": 12, "pix": 4, "pix orders": 4})
    for number in range(workers):
        group.join(f"m{number}", *group.topics)
        group.place()
    for topic, count in group.topics.items():
        sizes = [len(group.indexes(name, topic)) for name in group.members]
        assert (sum(sizes), max(sizes) - min(sizes) <= 1) == (count, True)
    whole = [len(group.held[name]) for name in group.members]
    assert max(whole) - min(whole) <= 4, "an index of each feed at most"


def test_a_topic_nobody_knows_waits() -> None:
    """Its partitions come with the next rebalance; all else is placed."""
    group = Group({"payments": 2})
    group.join("m1")
    group.place()
    assert group.held["m1"] == {("payments", 0), ("payments", 1)}


@pytest.mark.parametrize("user_data", [b"", b"\xc1", b"\xff\xff", b"\x92\xa1x\x90", b"\x92\x01\x91\x93\x01\x02\x03"])
def test_words_we_do_not_understand_claim_nothing(user_data: bytes) -> None:
    """Such a member is placed like one that is new."""
    group = Group()
    group.join("m1")
    group.place()
    said = {
        "m1": group.members["m1"].metadata(["payments"]),
        "odd": ConsumerProtocolMemberMetadata(0, ["payments"], user_data),
    }
    placed = group.members["m1"].assign(Cluster(TOPICS), said)
    assert dict(placed["m1"].assignment) == {"payments": [0, 1, 2, 3]}
    assert dict(placed["odd"].assignment) == {"payments": [4, 5, 6, 7]}
