"""The command line frame: finds the subcommand that is named, runs it, turns errors into exit codes.

Each module of this folder exposes `register(app)`, and begins with what its command is. Only the module of the called
subcommand is imported; a list of all is made of those first lines, so that `pastille --help` and quick commands do not
pay for numba or Faust. This file does not know what any command does.

Exit codes: 0 all well, 1 something was found, 2 wrong usage or settings.
"""

import ast
import errno
import importlib
import importlib.metadata
import sys
from collections.abc import Sequence
from enum import IntEnum
from importlib.resources import files
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from streams.errors import UserError
from streams.told import hear

__all__ = ["MODULES", "Exit", "UserError", "app_for", "main"]

MODULES: Final = (
    "demo", "kafka", "worker", "replay", "backtest", "simulate", "stress",
    "topics", "policy", "maintenance", "baseline", "deadletters", "doctor",
)  # fmt: skip
"""In the order in which they are listed."""


FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a disk says that has no room; a traceback's exit code would mean that something was found."""


INTERRUPTED: Final = 130
"""What a shell says of Ctrl-C."""


class Exit(IntEnum):
    """What a command's end means to a script."""

    OK = 0
    FOUND = 1
    USAGE = 2


def main(argv: Sequence[str] | None = None) -> None:
    """Run `pastille` with `argv` (default: the process's arguments) and leave with an exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["worker"]:
        hear()  # before more is imported: a container may be stopped at once
    try:
        app_for(arguments)(args=arguments, prog_name="pastille")
    except KeyboardInterrupt:  # while what the command needs is imported; later, it says itself how it ends
        sys.exit(INTERRUPTED)
    except UserError as error:
        _end(str(error))
    except OSError as error:
        if error.errno not in FULL:
            raise
        _end(f"the output cannot be written; got {error.strerror}; make room where standard output goes")


def _end(message: str) -> NoReturn:
    Console(stderr=True).print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True, highlight=False)
    sys.exit(Exit.USAGE)


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """The application with the subcommand that `arguments` name, with none where only the version is asked for, or
    with a list of all, which cannot be run."""
    app = _empty_app()
    named = next((word for word in arguments if not word.startswith("-")), None)
    if named in MODULES:
        importlib.import_module(f"{__name__}.{named}").register(app)
    elif list(arguments) != ["--version"]:
        for name in MODULES:
            app.command(name, help=_what_it_is(name))(_listed)
    return app


def _what_it_is(name: str) -> str:
    """The first line of a module without its name: `topics`: the topics a worker needs ..."""
    source = files(__name__).joinpath(f"{name}.py").read_text(encoding="utf-8")
    first, _, _ = (ast.get_docstring(ast.parse(source)) or "").partition("\n")
    _, _, what = first.partition("`: ")
    return what[:1].upper() + what[1:]


def _listed() -> None:
    """In place of a command that nobody named."""


def _empty_app() -> typer.Typer:
    # Local variables stay out of tracebacks: one of them may be a password.
    app = typer.Typer(
        name="pastille",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_show_locals=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(importlib.metadata.version("pastille"))
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Says in seconds which bank or payment method is down, how sure it is, and what still works."""
