"""Each folder of the packages says what lives there and what does not, so that a newcomer opens the right one."""

import ast
import re

import pytest

from tests.tidy.source import PACKAGES, ROOT

FOLDERS = sorted(
    {path.parent.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
)
SENTENCES_MAX = 5


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_says_what_lives_there_and_what_does_not(folder: str) -> None:
    """The docstring of a folder's `__init__` is a few sentences, and says what is not there, or whose it is."""
    text = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    sentences = re.findall(r"[.!?](?=\s|$)", text)
    assert 1 <= len(sentences) <= SENTENCES_MAX, text
    assert re.search(r"\b(not|no|nor|nothing|never|none|without)\b|`'s\b|the shell's", text, re.IGNORECASE), text
