"""What is written in the files: our words, nothing left to do, nothing about one machine."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.tidy.source import DETECTOR, EVERYTHING, PRODUCT, ROOT, TESTS, Source

# Spelled in halves, so that this file is not a finding of its own.
LEFT_TO_DO = re.compile("TO" + "DO|FIX" + "ME|XX" + "X|NotImplemented" + "Error")
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|Users|work)/[\w.-]+")
TEXT_FILES = (".md", ".toml", ".yml", ".yaml", ".json", ".lock", ".txt", ".cfg")

# Of the glossary's column "not", the words that would name a thing of ours in code and have no other meaning there.
NOT_OURS = {
    "alarm", "anomaly", "cart", "downtime", "forecast", "maintenance_window", "purchase", "rail", "shard", "silence",
    "success_rate", "timestamp", "timestamps", "transaction", "transactions", "ts",
}  # fmt: skip


def product_texts() -> list[str]:
    """The names of the text files that are no Python, and of the recipes."""
    folders = [ROOT / name for name in ("deploy", "docs", "detector", "streams")]
    found = [path for folder in folders for path in folder.rglob("*") if path.suffix in TEXT_FILES]
    found += [path for path in ROOT.iterdir() if path.suffix in TEXT_FILES or path.name == "Makefile"]
    return sorted(path.relative_to(ROOT).as_posix() for path in found if path.parent.name != "__pycache__")


def findings(text: str, pattern: re.Pattern[str]) -> list[str]:
    """The lines in which a pattern is found, with their numbers."""
    return [f"{number}: {line.strip()}" for number, line in enumerate(text.splitlines(), 1) if pattern.search(line)]


@pytest.mark.parametrize("source", EVERYTHING, ids=lambda source: source.name)
def test_nothing_is_left_to_do(source: Source) -> None:
    """No note to self and no stub stays in the code."""
    assert findings(source.text, LEFT_TO_DO) == []


@pytest.mark.parametrize("name", [*(source.name for source in EVERYTHING), *product_texts()])
def test_no_file_names_a_machine(name: str) -> None:
    """No file names a folder of the machine it was written on."""
    if name != "tests/tidy/test_words.py":
        assert findings((ROOT / name).read_text(encoding="utf-8"), MACHINE_PATH) == []


@pytest.mark.parametrize("source", PRODUCT, ids=lambda source: source.name)
def test_a_silenced_check_says_why(source: Source) -> None:
    """A `type: ignore` names its code, and gives a reason behind it or in the line above."""
    for number, line in enumerate(source.lines):
        if "type: " + "ignore" in line:
            above = source.lines[number - 1].strip() if number else ""
            assert re.search(r"type: ignore\[[\w, -]+\]", line), f"{source.name}:{number + 1}: which check?"
            assert re.search(r"type: ignore\[[\w, -]+\]\s+#\s*\w", line) or above.startswith("#"), (
                f"{source.name}:{number + 1}: why?"
            )


def defined(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every name that a file gives to something, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id if isinstance(node, ast.Name) else node.attr


@pytest.mark.parametrize("source", DETECTOR, ids=lambda source: source.name)
def test_the_detector_speaks_our_words(source: Source) -> None:
    """Nothing in the detector has a name that the glossary gives up for another."""
    wrong = [f"{line}: {name}" for line, name in defined(source.tree) if is_given_up(name)]
    assert wrong == []


def is_given_up(name: str) -> bool:
    """Whether a name, or a part of it, is one of the words that are not ours."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_")
    return words in NOT_OURS or any(part in NOT_OURS for part in words.split("_"))


def test_the_words_given_up_are_in_the_glossary() -> None:
    """What this file forbids, the glossary's last column says."""
    rows = [line for line in (ROOT / "docs" / "GLOSSARY.md").read_text(encoding="utf-8").splitlines() if "|" in line]
    last = " ".join(row.strip().strip("|").rpartition("|")[2] for row in rows).lower().replace(" ", "_")
    assert [word for word in NOT_OURS if word.rstrip("s") not in last] == []


@pytest.mark.parametrize("source", EVERYTHING, ids=lambda source: source.name)
def test_every_module_says_what_it_is(source: Source) -> None:
    """Every module begins with a docstring."""
    assert ast.get_docstring(source.tree)


@pytest.mark.parametrize("source", TESTS, ids=lambda source: source.name)
def test_every_test_says_what_must_be_true(source: Source) -> None:
    """Every test has a docstring, and every function of the tests a typed signature."""
    for node in source.functions():
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        untyped = [name.arg for name in arguments if name.annotation is None and name.arg not in {"self", "cls"}]
        assert untyped == [], f"{source.name}:{node.lineno}: {node.name}"
        assert node.returns is not None, f"{source.name}:{node.lineno}: {node.name} says not what it returns"
        if node.name.startswith("test_"):
            assert ast.get_docstring(node), f"{source.name}:{node.lineno}: {node.name} says not what must be true"
