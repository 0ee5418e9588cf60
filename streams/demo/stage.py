"""The demo's processes: a Kafka, its topics, the worker and the simulator as the commands they are.

Owns starting and surely ending them: with the demo end its processes and its folder, however it ends. Does not know
what is shown of them.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from streams.demo.scene import PARTITIONS, POLICY, simulator_arguments
from streams.embedded import EmbeddedKafka
from streams.embedded.process import Guard
from streams.ending import Ending
from streams.errors import UserError
from streams.settings import Settings
from streams.topics import create_topics
from streams.trial import delete_trial, may_be_left, require_broker, trial_settings, trial_variables

__all__ = ["Stage"]

LOOPBACK: Final = "127.0.0.1"
TAIL_LINES: Final = 20
QUICK_S: Final = 3
WARM_S: Final = 600
END_S: Final = 12
KEPT: Final = ("PASTILLE_CACHE",)
_ACTOR: Final = (sys.executable, "-m", "streams.demo.actor")

Say = Callable[[str], None]


class Stage:
    """Everything that runs; entered, it is up, left, it is gone. `broker` none starts a Kafka of its own.

    `settings` connect to what it plays on, `metrics_url` is the worker's. On a broker of yours topics and groups have
    names of their own, and are deleted in the end.
    """

    def __init__(self, broker: str | None, say: Say, ending: Ending) -> None:
        self._broker, self._say, self._ending = broker, say, ending
        self._stack = ExitStack()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._folder: Path | None = None
        self.settings: Settings
        self.metrics_url = ""

    def __enter__(self) -> Self:
        try:
            self._set_up(self._stack)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def check(self) -> None:
        """UserError with the end of its log where a process has ended by itself."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise UserError(f"the {name} ended by itself; got:\n{self._log_tail(name)}")

    def _leave(self) -> None:
        self._ending.leave("" if self._broker is None else may_be_left(self.settings))
        self._stack.close()

    def _set_up(self, stack: ExitStack) -> None:
        if self._broker is not None:
            self.settings = trial_settings("pastille-demo", self._broker)
        self._folder = Path(tempfile.mkdtemp(prefix="pastille-demo-"))
        stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        guard = Guard(self._folder)
        stack.callback(guard.close)
        if self._broker is None:
            # What the environment says of another Kafka must not reach this one.
            for name in [name for name in os.environ if name.startswith("PASTILLE_") and name not in KEPT]:
                del os.environ[name]
        # What children keep in temporary folders goes into ours, and goes with it.
        os.environ["TMPDIR"] = str(self._folder)
        # They learn their parts beside Kafka's start, so that no payment waits for an import or the compiler.
        cues = {name: self._call(guard, name, arguments, stack) for name, arguments in self._cast().items()}
        variables = self._own_kafka(stack) if self._broker is None else self._your_kafka(guard, stack)
        self._say("creating the topics")
        create_topics(self.settings, PARTITIONS, 1 if self._broker is None else None)
        for name, cue in cues.items():
            self._wait_until_ready(name, cue)
        self._say("starting the worker and the shops")
        # Children take their settings from the environment, as in production.
        line = json.dumps(variables | self._own_variables()) + "\n"
        for cue in cues.values():
            with suppress(OSError):  # it has ended by itself, and `check` says so with its log
                cue.sendall(line.encode())

    @staticmethod
    def _cast() -> dict[str, list[str]]:
        """Who plays: the commands and their arguments."""
        return {"worker": [], "simulate": simulator_arguments()}

    def _own_variables(self) -> dict[str, str]:
        assert self._folder is not None
        port = _free_port()
        self.metrics_url = f"http://{LOOPBACK}:{port}/metrics"
        policy = self._folder / "policy.toml"
        policy.write_text(POLICY, encoding="utf-8")
        return {"PASTILLE_POLICY": str(policy), "PASTILLE_HTTP_PORT": str(port)}

    def _call(self, guard: Guard, name: str, arguments: list[str], stack: ExitStack) -> socket.socket:
        """Start a process that learns its part; the socket takes its cue."""
        ours, theirs = socket.socketpair()
        stack.callback(ours.close)
        with theirs:
            self._start(guard, name, [*_ACTOR, name, *arguments], theirs)
        return ours

    def _wait_until_ready(self, name: str, cue: socket.socket) -> None:
        cue.settimeout(QUICK_S)
        try:
            is_ready = cue.recv(1)
        except TimeoutError:
            self._say("compiling the counting loops; the first time this takes a minute or two")
            cue.settimeout(WARM_S)
            is_ready = cue.recv(1)
        if not is_ready:
            raise UserError(f"the {name} does not start; got:\n{self._log_tail(name)}")

    def _own_kafka(self, stack: ExitStack) -> dict[str, str]:
        self._say("starting Kafka")
        kafka = stack.enter_context(EmbeddedKafka())
        self.settings = kafka.settings()
        return kafka.environment()

    def _your_kafka(self, guard: Guard, stack: ExitStack) -> dict[str, str]:
        require_broker(self.settings)
        stack.callback(delete_trial, self.settings)
        stack.callback(self._end, guard)  # first: a group that has members is not deleted
        return trial_variables(self.settings)

    def _end(self, guard: Guard) -> None:
        for process in self._running.values():
            process.terminate()
        until_s = time.monotonic() + END_S
        for process in self._running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until_s - time.monotonic()))
            guard.kill(process)

    def _start(self, guard: Guard, name: str, command: list[str], stdin: socket.socket) -> None:
        assert self._folder is not None
        with (self._folder / f"{name}.log").open("wb") as log:
            self._running[name] = guard.run(command, log, stdin)

    def _log_tail(self, name: str) -> str:
        assert self._folder is not None
        text = (self._folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-TAIL_LINES:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
