"""`pastille policy check`: whether a policy file can be used, and what it comes to.

It words and prints; what a policy may say is the detector's business.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from detector.contracts.policy import NEVER, EvidenceRules, Policy, PolicyError, Rule, load_policy
from streams.commands import Exit
from streams.policy_file import policy_text

__all__ = ["register"]

PolicyFile = Annotated[Path, typer.Argument(help="The TOML file.", show_default=False)]
_PAGE = {"live": "live", "shadow": "shadow: every outage is a warning"}

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def register(app: typer.Typer) -> None:
    """Add the `policy` commands."""
    policy = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
    policy.callback()(_group)
    policy.command()(check)
    app.add_typer(policy, name="policy")


def _group() -> None:
    """Check the policy: the operator's rules and limits."""


def check(file: PolicyFile, as_json: AsJson = False) -> None:
    """Read a policy file as a whole, and print what it comes to, or everything that is wrong, line by line.

    Exit code 0: it can be used. 1: it has mistakes. 2: it cannot be read.

    [bold]Example[/]: pastille policy check deploy/policy.toml
    """
    text = policy_text(file)
    try:
        policy = load_policy(text, str(file))
    except PolicyError as error:
        _print_findings(error, as_json)
        raise typer.Exit(Exit.FOUND) from None
    _print_policy(file, policy, as_json)


def _print_findings(error: PolicyError, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"ok": False, "findings": [asdict(finding) for finding in error.findings]}))
        return
    console = Console(soft_wrap=True, highlight=False)
    for finding in error.findings:
        console.print(f"[bold red]{escape(error.name)}:{finding.line}:[/] {escape(finding.message)}")
    console.print(f"{len(error.findings)} to mend")


def _print_policy(file: Path, policy: Policy, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"ok": True, "version": policy.version, "policy": json.loads(policy.canonical())}))
        return
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"[bold green]ok[/] {escape(str(file))}, version {policy.version}")
    for name, words in _summary(policy).items():
        console.print(f"  {name:<12} {escape(words)}")


def _summary(policy: Policy) -> dict[str, Any]:
    never = [method for method, wait_ms in policy.answers.items() if wait_ms == NEVER and method != "default"]
    return {
        "all red": _rule(policy.all_red, policy.min_merchants),
        "all pending": _rule(policy.all_pending, policy.min_merchants),
        "overdue": f"after {_seconds(policy.answers['default'])}; never for {', '.join(sorted(never)) or 'none'}",
        "leaf": " and ".join(policy.dimensions),
        "scopes": f"{len(policy.overrides)} with rules of their own",
        "evidence": _evidence(policy.evidence),
        "page": _PAGE[policy.page_mode],
    }


def _evidence(rules: EvidenceRules) -> str:
    bars = f"once in {rules.page_years:g} years pages, once in {rules.ticket_years:g} warns"
    return {
        "live": f"live: what a healthy scope shows {bars}",
        "shadow": f"shadow: only warns; live, {bars}",
        "off": "off: the rules above alone",
    }[rules.mode]


def _rule(rule: Rule, merchants: int) -> str:
    return f"{rule.voters} voters of {merchants} merchants or more, for {_seconds(rule.after_ms)}"


def _seconds(time_ms: int) -> str:
    return "never" if time_ms == NEVER else f"{time_ms / 1000:g} s"
