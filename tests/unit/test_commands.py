"""The frame of the command line: which commands a call pays for."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from streams.commands import MODULES, app_for

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


@pytest.mark.parametrize("name", MODULES)
def test_a_command_that_is_listed_is_there(name: str) -> None:
    """Who names it gets it, alone: a command, or a group of them."""
    app = app_for([name, "--help"])
    assert len(app.registered_commands) + len(app.registered_groups) == 1
    assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0
