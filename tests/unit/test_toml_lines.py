"""Where in a TOML text a key stands."""

import pytest

from detector.contracts.toml_lines import line_of


class TestLines:
    TEXT = (
        "# one\n"
        "first = 1\r\n"
        "long = [\n  1,\n\n  2, # x = 3\n]\n"
        'words = """\nafter = 5\n"""\n'
        "\n"
        "[table]\n"
        "'quoted key' = 1\n"
        "inline = { deep = 1 }\n"
        "dotted.name = 2\n"
        "[[rows]]\n"
        "[[rows]]\n"
        "  name = 'x'\n"
        "[rows.inner]\n"
        "value = 1"
    )

    @pytest.mark.parametrize(
        ("line", "path"),
        [
            (2, ("first",)), (3, ("long",)), (3, ("long", 1)), (8, ("words",)), (12, ("table",)),
            (13, ("table", "quoted key")), (14, ("table", "inline", "deep")), (15, ("table", "dotted", "name")),
            (16, ("rows", 0)), (17, ("rows", 1)), (18, ("rows", 1, "name")), (20, ("rows", 1, "inner", "value")),
            (17, ("rows", 1, "missing")), (16, ("rows", 0, "name")), (0, ("missing",)), (0, ("missing", "too")),
        ],
    )  # fmt: skip
    def test_where_a_key_stands(self, line: int, path: tuple[str | int, ...]) -> None:
        """The line is that on which the statement of the key begins; of a missing key, that of what would hold it."""
        assert line_of(self.TEXT.replace("\r\n", "\n"), path) == line

    def test_other_line_ends(self) -> None:
        """A file with the line ends of Windows has the same lines."""
        text = self.TEXT.replace("\r\n", "\n").replace("\n", "\r\n")
        assert line_of(text, ("rows", 1, "name")) == 18

    def test_what_is_too_deep_to_be_read_again(self) -> None:
        """Of what could be read where less was open than here there may be no line, and there is no error."""
        assert {line_of("a = " + "[" * deep + "]" * deep, ("a",)) for deep in (10, 10_000)} == {1, 0}
