"""What is done to workers and brokers, one deed at a time; each puts things right again before it is over.

Knows processes and Kafka's admin client; not what is expected afterwards.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from typing import Self

from kafka import TopicPartition
from kafka.errors import KafkaError

from streams.admin import admin_client
from streams.embedded import EmbeddedKafka
from streams.errors import UserError
from tests.faults.line import Line
from tests.integration.workers import Stage, WorkerProcess, judged_ms, wait_for

PREFERRED = 0
"""Of the two kinds of election: the replica that is named first, while it is in sync."""
FROZEN_S = 60.0
AWAY_S = 40.0
STORM_STARTS = 6
STORM_S = 3.0
FULL_BYTES = 64 * 1024
"""No file of a full broker grows past this: writing says so, as it would on a full disk."""
WORKERS = 2
OK = 200
LOOK_S = 0.3
NEAR_MS = 5_000
AGAIN_S = 240.0


class Ground:
    """Two workers on three brokers, under load; `deeds` by name."""

    def __init__(self, kafka: EmbeddedKafka, stage: Stage, options: list[str]) -> None:
        self.kafka, self.stage, self._options = kafka, stage, options
        self.deeds: dict[str, Callable[[], None]] = {
            "worker killed": self.kill_judge, "other worker killed": self.kill_other,
            "worker frozen": self.freeze_worker, "worker's network cut": self.cut_network,
            "workers come and go": self.storm, "leaders moved": self.move_leaders, "broker killed": self.kill_broker,
            "broker frozen": self.freeze_broker, "broker's disk full": self.fill_broker,
        }  # fmt: skip
        self._before: dict[str, Callable[[], None]] = {"worker's network cut": self._seat_behind_line}
        self._line: Line | None = None
        self._broker = 0
        self.restarts = 0

    def begin(self) -> None:
        """Start both, and wait until they judge near the clock."""
        for _ in range(WORKERS):
            self.hire()
        self.wait_until_near()

    def hire(self) -> WorkerProcess:
        """Start a worker."""
        return self.stage.worker(*self._options)

    def prepare(self, name: str) -> None:
        """What must be so before a deed, and is no part of it."""
        if name in self._before:
            self._before[name]()

    def end(self) -> None:
        """Leave nothing behind but the workers."""
        if self._line is not None:
            self._line.close()

    def living(self) -> list[WorkerProcess]:
        """The workers that run."""
        return [worker for worker in self.stage.workers if worker.process.poll() is None]

    def wait_until_near(self) -> float:
        """Until a boundary after now is judged that is no older than a few seconds; how many seconds it took.

        What was judged until now says nothing: for some seconds the boundary is young, though nobody moves it.
        """
        began_s, now_ms = time.monotonic(), _now_ms()
        wait_for(lambda: self._is_near(now_ms), self.stage, "judging near the clock", AGAIN_S, LOOK_S)
        return time.monotonic() - began_s

    def _is_near(self, since_ms: int) -> bool:
        """Whether it is so; a worker that gave up by itself is started again, as whoever runs it would."""
        for _ in range(WORKERS - len(self.living())):
            self.restarts += 1
            self.hire()
        try:
            return judged_ms(self.stage) > max(since_ms, _now_ms() - NEAR_MS)
        except OSError:  # it ended while it was asked
            return False

    def rebuilt(self) -> dict[int, float]:
        """Events that each living worker has read again since it started, by its process id."""
        found: dict[int, float] = {}
        for worker in self.living():
            with contextlib.suppress(OSError, AssertionError):  # it ends while it is asked
                found[worker.process.pid] = sum(
                    value for (_, labels), value in worker.metrics("pastille_events_total").items()
                    if ("result", "rebuilt") in labels
                )  # fmt: skip
        return found

    # Workers

    def kill_judge(self) -> None:
        """SIGKILL for the worker that judges; another is hired."""
        self._kill(lambda worker: worker.metric("pastille_judge_active") == 1)

    def kill_other(self) -> None:
        """SIGKILL for the one that only counts."""
        self._kill(lambda worker: worker.metric("pastille_judge_active") != 1)

    def freeze_worker(self) -> None:
        """SIGSTOP for a minute: it wakes up as somebody whose partitions others have."""
        worker = self._one(lambda worker: worker.metric("pastille_judge_active") == 1)
        self.stage.workers.remove(worker)  # whoever asks it how far it is would wait, and learn nothing of the others
        time.sleep(2 * LOOK_S)
        try:
            worker.process.send_signal(signal.SIGSTOP)
            time.sleep(FROZEN_S)
        finally:
            worker.process.send_signal(signal.SIGCONT)
            self.stage.workers.append(worker)

    def cut_network(self) -> None:
        """The one that judges reaches no broker for a minute, and no connection ends; then all that waited arrives."""
        assert self._line is not None, "the worker behind it was hired before"
        self._line.cut()
        time.sleep(FROZEN_S)
        self._line.mend()

    def _seat_behind_line(self) -> None:
        """One worker reaches the brokers through a line that can be cut, and it has the Judge."""
        self._line = Line(int(server.split(":")[1]) for server in self.kafka.bootstrap.split(","))
        plain = self.living()
        behind = self.stage.worker(*self._options, program=self._line.program)
        wait_for(lambda: behind.get("/health/ready")[0] == OK, self.stage, "ready behind the line", AGAIN_S)
        for worker in plain:
            worker.end()
        self.hire()
        wait_for(lambda: behind.metric("pastille_judge_active") == 1, self.stage, "judging behind the line", AGAIN_S)
        self.wait_until_near()

    def storm(self) -> None:
        """A third worker comes and goes, sooner than the groups can settle."""
        for _ in range(STORM_STARTS):
            guest = self.hire()
            time.sleep(STORM_S)
            guest.end(signal.SIGKILL if guest.process.pid % 2 else signal.SIGTERM)

    def _kill(self, whom: Callable[[WorkerProcess], bool]) -> None:
        self._one(whom).end(signal.SIGKILL)
        self.hire()

    def _one(self, whom: Callable[[WorkerProcess], bool]) -> WorkerProcess:
        return next((worker for worker in self.living() if whom(worker)), self.living()[0])

    # Brokers

    def move_leaders(self) -> None:
        """Every partition of the feed is led by the next of its replicas."""
        topic = self.stage.feed.payments
        with admin_client(self.stage.settings) as admin:
            [described] = admin.describe_topics([topic])
            moved = {
                TopicPartition(topic, one["partition_index"]): [*one["replica_nodes"][1:], one["replica_nodes"][0]]
                for one in described["partitions"]
            }
            admin.alter_partition_reassignments(moved)
            admin.elect_leaders(PREFERRED, {topic: [at.partition for at in moved]})

    def kill_broker(self) -> None:
        """SIGKILL, and a start a while later."""
        number = self._next_broker()
        self.kafka.kill(number)
        time.sleep(AWAY_S)
        self.kafka.restart(number)

    def freeze_broker(self) -> None:
        """SIGSTOP: connections stay and nothing answers, as where a network is cut; then it goes on."""
        pid = self.kafka.pids[self._next_broker() - 1]
        os.kill(pid, signal.SIGSTOP)
        time.sleep(AWAY_S)
        os.kill(pid, signal.SIGCONT)

    def fill_broker(self) -> None:
        """It cannot write any more and gives up by itself; later there is room again."""
        number = self._next_broker()
        resource.prlimit(self.kafka.pids[number - 1], resource.RLIMIT_FSIZE, (FULL_BYTES, FULL_BYTES))
        time.sleep(AWAY_S)
        self.kafka.restart(number)

    def _next_broker(self) -> int:
        self._broker = self._broker % 3 + 1
        return self._broker


class Watch(threading.Thread):
    """Asks again and again how old the newest boundary judged is; `oldest_s` is the most it was while entered."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(daemon=True)
        self._stage, self._ended = stage, threading.Event()
        self._newest_ms = _now_ms()
        self.oldest_s = 0.0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        """The thread."""
        while not self._ended.wait(LOOK_S):
            with contextlib.suppress(OSError, AssertionError):  # a worker that ends while it is asked
                self._newest_ms = max(self._newest_ms, judged_ms(self._stage))
            self.oldest_s = max(self.oldest_s, (_now_ms() - self._newest_ms) / 1000)


def tried(deed: Callable[[], None]) -> str:
    """Do it; what went wrong with the doing itself, in words."""
    try:
        deed()
    except (KafkaError, UserError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _now_ms() -> int:
    return time.time_ns() // 10**6
