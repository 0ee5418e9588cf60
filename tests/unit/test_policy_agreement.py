"""How the values of a policy go together, told with every other mistake, each with its line; and what the command says
of a file that is fine, or no TOML."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from detector.contracts.policy import DEFAULT, PolicyError, load_policy
from detector.contracts.policy_agreement import PLACE_BYTES
from detector.contracts.toml_lines import open_line
from detector.judging.board import Board
from streams.commands import app_for
from streams.errors import UserError
from streams.policy_file import read_policy


def told(text: str) -> dict[int, str]:
    """The words of each finding in a text, by line."""
    with pytest.raises(PolicyError) as caught:
        load_policy(text)
    findings = caught.value.findings
    assert len({finding.line for finding in findings}) == len(findings), "one a line in these texts"
    return {finding.line: finding.message for finding in findings}


def test_what_does_not_go_together_is_told_with_the_rest() -> None:
    """A misspelt key hides no other mistake: all are told at once."""
    found = told(
        "horizon_s = 59\n"
        "lateness = 5\n"
        "ring_s = 3601\n"
        "[evidence]\npage_years = 10\nticket_z = 4\n"
        "[answer_s]\ncard = 300\n"
        "[resolve]\ndecided = 2\n"
    )  # fmt: skip
    assert [*found] == [1, 2, 3, 5, 6, 8, 10]
    assert found[1].startswith("answer_s must be at most horizon_s; got 60, 59")
    assert found[3] == "ring_s must be whole minutes; got 3601; set it to 3600, 7200, …"
    assert found[8].startswith("answer_s must be at most horizon_s; got 300, 59")
    assert found[10].startswith("resolve.decided must be at least resolve.approved; got 2; set it to 3 or more")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[evidence]\npage_years = 10", 2, "evidence.page_years must be at least evidence.ticket_years; got 10; set it "
         "to 50 or more, or lower evidence.ticket_years"),
        ("[evidence]\nticket_years = 2000", 2, "evidence.ticket_years must be at most evidence.page_years; got 2000; "
         "set it to 1000 or less, or raise evidence.page_years"),
        ("[evidence]\nticket_years = 5\npage_years = 0.5", 3, "evidence.page_years must be at least "
         "evidence.ticket_years; got 0.5; set it to 5 or more, or lower evidence.ticket_years"),
        ("[evidence]\nmode = 'shadow'\npage_z = 1", 3, "evidence.page_z must be at least evidence.ticket_z; got 1; set "
         "it to 2 or more, or lower evidence.ticket_z"),
        ("[evidence]\nticket_z = 3.5", 2, "evidence.ticket_z must be at most evidence.page_z; got 3.5; set it to 3 or "
         "less, or raise evidence.page_z"),
    ],
)  # fmt: skip
def test_a_page_asks_for_no_less_than_a_ticket(text: str, line: int, words: str) -> None:
    """A bar for pages below that for tickets is refused, where the file says it."""
    assert told(text) == {line: words}


LONG = "horizon_s = 43200\nring_s = 86400\npane_s = 5\n"


def test_a_policy_that_needs_more_memory_than_there_is_is_refused() -> None:
    """Each limit is right by itself: a place for each pane of each leaf takes gigabytes, and the figure is said."""
    assert told(f"{LONG}[limits]\nleaves_max = 100000") == {
        5: "limits.leaves_max × the panes of ring_s + horizon_s + grace_s must be at most 1,000,000,000; got 100,000 × "
        "25,933, which take 10.4 GB in the Judge alone; set leaves_max to 38560 or less, or lower ring_s"
    }
    assert load_policy(f"{LONG}[limits]\nleaves_max = 38560").leaves_max == 38_560
    assert load_policy("[limits]\nleaves_max = 100000").leaves_max == 100_000
    assert load_policy("horizon_s = 86000\nring_s = 86400\npane_s = 1\nanswer_s.default = 80000").leaves_max == 5_000


def test_the_figure_is_that_of_the_judges_table() -> None:
    """What is refused goes by what the ring really takes for a leaf, but for two places to spare."""
    policy = load_policy(LONG)
    head = Board(policy).rows.head
    assert (policy.ring_panes, PLACE_BYTES) == (head.shape[1] - 2, head.itemsize)


def test_equal_bars_are_fine() -> None:
    """Whoever wants no tickets may say so by one bar for both."""
    rules = load_policy("[evidence]\npage_years = 50\nticket_z = 3").evidence
    assert (rules.page_years, rules.ticket_years, rules.page_z, rules.ticket_z) == (50, 50, 3, 3)


@pytest.mark.parametrize(
    "text",
    [
        "[evidence]\nticket_years = 2000\npage_year = 9000",  # what was meant says more than the default
        "[resolve]\napproved = 20\ndecided = 0",
        "[resolve]\napproved = 20\ndecidet = 30",
        "horizon_s = 3600\nring = 7200",
        "ring_s = 86400\nhorizon_s = 43200\npane = 60\n[limits]\nleaves_max = 100000",
        "horizon_s = 9\n[answer_s]\ncard = 700",
        "horizon_s = 59\n[answer_s]\ndefault = true",
        'ring_s = "3601"',
        "evidence = 5",
    ],
)
def test_a_wrong_value_is_not_held_against_others(text: str) -> None:
    """What is wrong by itself, or misspelt, is told once, and not compared by the default that stands in for it."""
    assert len(told(text)) == 1


@pytest.mark.parametrize(
    ("horizon_s", "mend"), [(3600, "set ring_s to 3720 or more"), (86_400, "lower horizon_s")]
)  # fmt: skip
def test_the_mend_of_a_short_ring_can_be_used(horizon_s: int, mend: str) -> None:
    """What is said on the horizon's line, where the file has no ring_s: whole minutes that are allowed."""
    assert told(f"min_merchants = 3\nhorizon_s = {horizon_s}")[2].endswith(mend)
    if "ring_s" in mend:
        load_policy(f"horizon_s = {horizon_s}\nring_s = 3720")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = [", 1),
        ('wait_s = 5\n\n# which\ndimensions = ["bank",\n  "method"\n# the end\n\n', 4),
        ('statuses = [\n "a"\n]\nall_red = {', 4),
        ("wait_s = 5\n[resolve", 2),
        ('[statuses]\nok = """\n[limits]\nleaves_max = 5\n', 2),
        ("a = [\r\n1,\r\n", 1),
    ],
)
def test_what_is_left_open_is_told_where_it_begins(text: str, line: int) -> None:
    """A bracket or a quote without its other half: the parser says that the text ends, we say where to look."""
    (finding,) = told(text).items()
    assert finding[0] == line
    assert finding[1].startswith("this is not TOML; got: ")


def test_in_a_large_text_the_last_line_is_told() -> None:
    """To look for the line of a text of a megabyte would take minutes: its end is told."""
    text = "a = '''\n" + "#" * 1_000_000 + "\n" * 3 + "b\n" * 10 + "\n"
    assert open_line(text) == 14


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and output of `pastille policy check`."""
    result = CliRunner().invoke(app_for(["policy"]), ["policy", "check", *arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "evidence     live: what a healthy scope shows once in 1000 years pages, once in 50 warns"),
        ("evidence.mode = 'shadow'", "evidence     shadow: only warns; live, once in 1000 years pages"),
        ("evidence.mode = 'off'", "evidence     off: the rules above alone"),
        ("page.mode = 'shadow'", "page         shadow: every outage is a warning"),
    ],
)
def test_the_summary_says_what_evidence_may_do(tmp_path: Path, text: str, words: str) -> None:
    """Whether the statistics are live, in shadow or off stands in the summary."""
    file = tmp_path / "policy.toml"
    file.write_text(text)
    code, output = run(str(file))
    assert (code, words in output) == (0, True), output


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    """A file that an editor began with a mark means what it says, for every command, and lines count as ever."""
    file = tmp_path / "policy.toml"
    file.write_text("wait_s = 60\n", encoding="utf-8-sig")
    assert read_policy(file) == DEFAULT
    assert run(str(file))[0] == 0
    file.write_text("\nlateness = 5\n", encoding="utf-8-sig")
    code, output = run(str(file), "--json")
    assert (code, json.loads(output)["findings"][0]["line"]) == (1, 2)


@pytest.mark.parametrize("command", [["replay", "e.jsonl"], ["backtest", "e.jsonl", "--incidents", "i.csv"]])
def test_a_policy_that_is_not_there_is_told_by_name(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--policy` of the commands that read recorded days: a sentence with the file's name, no traceback."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "e.jsonl").write_text("{}\n")
    (tmp_path / "i.csv").write_text("dataset,bank,method,kind,start,end\n")
    result = CliRunner().invoke(app_for([command[0]]), [*command, "--policy", "nope"])
    said = "the policy cannot be read; got nope: No such file or directory; give a readable file"
    assert isinstance(result.exception, UserError)
    assert str(result.exception) == said
