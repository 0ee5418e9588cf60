"""The frame of the command line: which commands a call pays for."""

from __future__ import annotations

import errno
import importlib.metadata
import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from streams import commands
from streams.commands import MODULES, UserError, app_for, main

LISTED = """
import sys
from streams.commands import app_for
app_for(["--help"])
print(*sorted({"numpy", "numba", "faust", "aiokafka", "kafka", "aiohttp"} & set(sys.modules)))
"""


def test_the_version_needs_no_command() -> None:
    """`--version` says it without importing what commands need; beside a command, that one is there."""
    app = app_for(["--version"])
    told = CliRunner().invoke(app, ["--version"])
    assert (told.exit_code, told.output) == (0, importlib.metadata.version("pastille") + "\n")
    assert (app.registered_commands, app.registered_groups) == ([], [])
    assert app_for(["--version", "topics"]).registered_groups


def test_the_list_says_what_each_command_is() -> None:
    """Every command is listed, with the first line of its module in a person's words, and none is imported for it."""
    listed = {command.name: command.help for command in app_for(["--help"]).registered_commands}
    assert tuple(listed) == MODULES
    for name, said in listed.items():
        assert re.fullmatch(r"[A-Z][^`]+\.", said or ""), f"{name}: {said}"
    assert subprocess.run([sys.executable, "-c", LISTED], capture_output=True, text=True, check=True).stdout == "\n"


def test_an_interrupt_before_the_command_begins_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its imports take most of a second, and Ctrl-C ends it then as it does later."""

    def interrupted(_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "app_for", interrupted)
    with pytest.raises(SystemExit) as ended:
        main(["doctor"])
    assert ended.value.code == 130


def test_output_that_has_no_room_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, not a traceback's 1, which would say that something was found; any other error stays one."""

    def ends_with(number: int) -> None:
        def app(**_: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(commands, "app_for", lambda _: app)
        main(["topics", "check"])

    with pytest.raises(SystemExit) as ended:
        ends_with(errno.ENOSPC)
    assert ended.value.code == 2
    assert "the output cannot be written; got No space left on device; make room" in capsys.readouterr().err
    with pytest.raises(PermissionError):
        ends_with(errno.EACCES)


def test_where_to_begin_is_refused_as_any_other_setting() -> None:
    """What; got; do: a place that a worker cannot begin at is told like the variable's."""
    refused = CliRunner().invoke(app_for(["worker"]), ["worker", "--from", "latest"])
    assert isinstance(refused.exception, UserError)
    assert "must be 'committed-or-recent' or 'earliest'; got 'latest'; set it like --from" in str(refused.exception)


@pytest.mark.parametrize("name", MODULES)
def test_a_command_that_is_listed_is_there(name: str) -> None:
    """Who names it gets it, alone: a command, or a group of them."""
    app = app_for([name, "--help"])
    assert len(app.registered_commands) + len(app.registered_groups) == 1
    assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0
