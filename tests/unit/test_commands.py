"""The frame of the command line: which commands a call pays for."""

from __future__ import annotations

import importlib.metadata

from typer.testing import CliRunner

from streams.commands import app_for


def test_the_version_needs_no_command() -> None:
    """`--version` says it without importing what commands need; beside a command, that one is there."""
    app = app_for(["--version"])
    told = CliRunner().invoke(app, ["--version"])
    assert (told.exit_code, told.output) == (0, importlib.metadata.version("pastille") + "\n")
    assert (app.registered_commands, app.registered_groups) == ([], [])
    assert app_for(["--version", "topics"]).registered_groups
