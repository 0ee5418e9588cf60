"""The page of the settings: it is current, its examples load, and it names what may be said."""

import os
import re
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest

from streams.settings import ELSEWHERE, Settings, known_variables, load_settings
from streams.settings_page import markdown

PAGE = (Path(__file__).parents[2] / "docs" / "SETTINGS.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_is_current() -> None:
    """docs/SETTINGS.md is what the fields say; `python -m streams.settings_page > docs/SETTINGS.md` writes it."""
    assert markdown() == PAGE


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_loads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, example: str) -> None:
    """The lines of each example are settings without a mistake, where its files exist, and change something."""
    for name in [name for name in os.environ if name.startswith("PASTILLE_")]:
        monkeypatch.delenv(name)
    usual = load_settings()
    lines = re.findall(r"^export (\w+)=(?:'(.*)'|(.*))$", example, re.MULTILINE)
    assert len(lines) == len(example.splitlines())
    for name, quoted, plain in lines:
        file = tmp_path / Path(plain).name
        if plain.startswith("/"):
            file.touch()
        monkeypatch.setenv(name, str(file) if plain.startswith("/") else quoted or plain)
    assert load_settings() != usual


def test_both_ways_to_prove_who_we_are_are_shown() -> None:
    """There is an example with a password's file and one of mutual TLS."""
    shown = [example for example in EXAMPLES if "SECURITY_PROTOCOL" in example]
    assert ["PASSWORD_FILE" in example for example in shown if "SASL_SSL" in example] == [True]
    assert ["SSL_CERTFILE" in example for example in shown if "SASL" not in example] == [True]


def test_every_variable_is_on_the_page() -> None:
    """Each has a row; of what others read, only what is for the tests has none."""
    rows = set(re.findall(r"^\| `(PASTILLE_\w+)` \|", PAGE, re.MULTILINE))
    assert rows == {*known_variables(), *ELSEWHERE} - {"PASTILLE_DATA"}


def test_every_choice_is_told() -> None:
    """Where only some words will do, each of them is in the row."""
    choices = {name: field for name, field in Settings.model_fields.items() if get_origin(field.annotation) is Literal}
    assert len(choices) == 5
    for name, field in choices.items():
        left_out = [word for word in get_args(field.annotation) if f"`{word}`" not in (field.description or "")]
        assert left_out == [], name
