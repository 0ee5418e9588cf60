"""`python -m streams.demo.actor COMMAND ARGUMENTS…`: a command of the demo that learns its part before its cue.

While Kafka still starts, it imports what the command needs and, for the worker, loads the compiled loops. It says so
by one byte on its standard input, a socket, and waits there for its cue: a line of JSON, the environment to play in.
Then it is the command. Without a cue, because the demo has ended, it ends. Does not know what a command does.
"""

from __future__ import annotations

import json
import os
import socket
import sys

from streams.commands import app_for, main

READY = b"."


def learn(command: str) -> None:
    """Import what the command would import late, and compile or load every loop before payments wait for it."""
    app_for([command])
    if command == "worker":
        import streams.app  # noqa: F401
        from detector.warm import warm

        warm()
    if command == "simulate":
        import kafka  # noqa: F401


def cue() -> dict[str, str] | None:
    """Say that the part is learnt, and wait for the environment; None where none will come."""
    with socket.socket(fileno=os.dup(sys.stdin.fileno())) as stage:
        stage.sendall(READY)
        line = stage.makefile(encoding="utf-8").readline()
    environment: dict[str, str] | None = json.loads(line) if line else None
    return environment


def play(command: str, arguments: list[str]) -> None:
    """Learn, wait, and be the command."""
    learn(command)
    environment = cue()
    if environment is not None:
        os.environ |= environment
        main([command, *arguments])


if __name__ == "__main__":
    play(sys.argv[1], sys.argv[2:])
