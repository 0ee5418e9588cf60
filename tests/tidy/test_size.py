"""Small files, small functions: the limits are ours, measured on code we like to read."""

import statistics

import pytest

from tests.tidy.source import EVERYTHING, PRODUCT, Function, Source

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
FUNCTION_LINES_MEDIAN_MAX = 8


def lines_of(node: Function) -> int:
    """How many lines a function has, its docstring among them."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("source", EVERYTHING, ids=lambda source: source.name)
def test_a_file_fits_in_the_head(source: Source) -> None:
    """No file is longer than 400 lines."""
    assert len(source.lines) <= FILE_LINES_MAX


@pytest.mark.parametrize("source", EVERYTHING, ids=lambda source: source.name)
def test_a_function_fits_on_the_screen(source: Source) -> None:
    """No function is longer than 60 lines."""
    lengths = [(lines_of(node), f"{source.name}:{node.lineno}: {node.name}") for node in source.functions()]
    assert [found for found in lengths if found[0] > FUNCTION_LINES_MAX] == []


def test_most_functions_are_short() -> None:
    """Half of the product's functions have at most 8 lines."""
    lengths = [lines_of(node) for source in PRODUCT for node in source.functions()]
    assert statistics.median(lengths) <= FUNCTION_LINES_MEDIAN_MAX
