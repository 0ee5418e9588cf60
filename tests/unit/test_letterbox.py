"""The dead-letter topic as a list, whatever stands on it."""

from streams.letterbox import SENT, open_letters
from streams.reading import Place, Record


def test_a_mark_of_no_offset_is_no_mark() -> None:
    """A header that anybody may write is no reason to end: such a record is unreadable."""
    marks = [b"1" * 5_000, b"\xb2", b"", b"-1"]
    records = [Record(Place("dead", 0, at), 1, None, None, ((SENT, mark),)) for at, mark in enumerate(marks)]
    assert open_letters(records).unreadable == len(marks)
