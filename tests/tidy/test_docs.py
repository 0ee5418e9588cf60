"""The docs are true where a machine can tell: links lead somewhere, examples are understood, names exist."""

import json
import re
import shlex
from typing import Any

import pytest
from typer.main import get_command

from detector.contracts.models import OrderEvent, PaymentEvent
from detector.contracts.policy import load_policy
from streams.commands import MODULES, app_for
from streams.metrics import METRICS
from streams.settings import ELSEWHERE, known_variables
from tests.tidy.source import PRODUCT, ROOT

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")]
)
FENCE = re.compile(r"^[ ]*```([\w ]*)\n(.*?)^[ ]*```", re.MULTILINE | re.DOTALL)
KNOWN = {*known_variables(), *ELSEWHERE}
EXTERNAL_LABEL = "pastille_runbooks"
INLINE = re.compile(r"`([^`\n]+)`")


def text(page: str) -> str:
    """The text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def code(page: str) -> list[str]:
    """Every line of code on a page: what stands in backticks, and the lines of fenced blocks, each as a whole."""
    fenced = [line for _, block in FENCE.findall(text(page)) for line in block.replace("\\\n", " ").splitlines()]
    return [*INLINE.findall(FENCE.sub("", text(page))), *fenced]


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Every relative link names a file or a folder that exists, and a heading that is there."""
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text(page))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        found = (ROOT / page).parent / name if name else ROOT / page
        assert found.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in map(slug, re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES)
def test_paths_exist(page: str) -> None:
    """Every path of the project that a page names in backticks exists."""
    for word in code(page):
        for path in re.findall(r"(?<![\w./-])(?:detector|streams|deploy|tests|docs|\.ci)/[\w./-]*\w", word):
            assert (ROOT / path).exists(), f"{page}: {path}"


@pytest.mark.parametrize("page", PAGES)
def test_recipes_exist(page: str) -> None:
    """Every `make` recipe that a page names is one of the Makefile."""
    recipes = set(re.findall(r"^([a-z][\w-]*):", text("Makefile"), re.MULTILINE))
    named = {name for line in code(page) for name in re.findall(r"^make ([a-z][\w-]*)", line)}
    assert named <= recipes


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page: str) -> None:
    """Every `pastille` command that a page names is there, with the subcommand and the options that it is given."""
    for line in code(page):
        for typed in re.findall(r"^(?:PASTILLE_.*\s)?pastille ([a-z].*)", line):
            words = shlex.split(typed.partition("|")[0], comments=True)
            assert words[0] in MODULES, f"{page}: {line}"
            command: Any = get_command(app_for(words[:1]))
            while words and words[0] in getattr(command, "commands", ()):
                command = command.commands[words.pop(0)]
            known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
            assert {word for word in words if word.startswith("--")} <= known, f"{page}: {line}"
            assert not hasattr(command, "commands") or not words or not words[0].isalpha(), f"{page}: {line}"


@pytest.mark.parametrize("page", PAGES)
def test_settings_exist(page: str) -> None:
    """Every PASTILLE_ variable that a page names is one that the settings read."""
    assert set(re.findall(r"\bPASTILLE_[A-Z_]+\b", text(page))) <= KNOWN


def test_variables_in_the_code_exist() -> None:
    """Every PASTILLE_ variable that the code names is known to the settings, which refuse or tell of any other."""
    named = {name for source in PRODUCT for name in re.findall(r"\bPASTILLE_[A-Z][A-Z_]*[A-Z]\b", source.text)}
    assert "PASTILLE_CACHE" in named
    assert named <= KNOWN


@pytest.mark.parametrize("page", [*PAGES, "deploy/prometheus/pastille.rules.yml", "deploy/prometheus/prometheus.yml"])
def test_metrics_exist(page: str) -> None:
    """Every metric that a page, a rule or a runbook names is one that a worker says on /metrics."""
    named = set(re.findall(r"\bpastille_[a-z_]+\b", text(page))) - {EXTERNAL_LABEL}
    assert named <= {metric.name for metric in METRICS}


def examples(page: str, kind: str) -> list[str]:
    """The fenced blocks of a page that are marked as such."""
    return [block for mark, block in FENCE.findall(text(page)) if mark == kind]


def test_payment_examples_are_understood() -> None:
    """Every payment event in PRODUCERS.md is one by the contract, with no field that the contract does not know."""
    blocks = [json.loads(block) for block in examples("docs/PRODUCERS.md", "json payment")]
    assert len(blocks) >= 3
    for event in blocks:
        PaymentEvent.model_validate(event, context={"statuses": load_policy("").statuses})
        assert set(event) <= set(PaymentEvent.model_fields)


def test_order_examples_are_understood() -> None:
    """Every order event in PRODUCERS.md is one by the contract, with no field that the contract does not know."""
    blocks = [json.loads(block) for block in examples("docs/PRODUCERS.md", "json order")]
    assert len(blocks) >= 2
    for event in blocks:
        OrderEvent.model_validate(event)
        assert set(event) <= set(OrderEvent.model_fields)


def test_every_field_is_told() -> None:
    """PRODUCERS.md names every field that a producer may send."""
    page = text("docs/PRODUCERS.md")
    for name in {*PaymentEvent.model_fields, *OrderEvent.model_fields}:
        assert f"`{name}`" in page, name


def test_policy_examples_load() -> None:
    """Every piece of policy in PRODUCERS.md is one that loads, and maps what it says."""
    (block,) = examples("docs/PRODUCERS.md", "toml policy")
    statuses = load_policy(block).statuses
    assert (statuses["authorised"], statuses["in_doubt"], statuses["refunded"]) == ("approved", "error", "ignore")


def test_every_decision_is_listed() -> None:
    """Each page of docs/adr has a status and the parts of a decision, and its index lists it."""
    folder = ROOT / "docs" / "adr"
    pages = sorted(path for path in folder.glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in pages] == list(range(1, len(pages) + 1))
    index = (folder / "README.md").read_text(encoding="utf-8")
    for path in pages:
        page = path.read_text(encoding="utf-8")
        assert re.match(rf"# {int(path.name[:4])}\. \S", page)
        assert all(part in page for part in ("**Status**", "## Decision", "## Why", "## What it costs"))
        assert f"({path.name})" in index


def test_the_readme_shows_a_screen() -> None:
    """The README's picture of the demo is a real one: its block is filled."""
    (screen,) = (block for mark, block in FENCE.findall(text("README.md")) if mark == "text")
    assert screen.strip(), "fill it with a capture of `make demo`"
