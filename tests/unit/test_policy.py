"""The policy: what a file may say, where its mistakes are, and which rule holds for which scope."""

import dataclasses
import itertools
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from detector.contracts.policy import DEFAULT, NEVER, Policy, PolicyError, Rule, load_policy
from detector.contracts.scope import OTHER, PLATFORM, Leaf, Scope, leaf_scope, parse_scope
from streams.commands import app_for
from streams.errors import UserError
from streams.policy_file import read_policy

SHIPPED = Path(__file__).parents[2] / "deploy" / "policy.toml"

BNP_CARD = leaf_scope(("bank", "method"), ("bnp", "card"))


def findings(text: str) -> list[tuple[int, str]]:
    """Line and key of every finding in a text."""
    with pytest.raises(PolicyError) as caught:
        load_policy(text)
    return [(finding.line, finding.key) for finding in caught.value.findings]


def message(text: str) -> str:
    """The words of the only finding in a text."""
    with pytest.raises(PolicyError) as caught:
        load_policy(text)
    (finding,) = caught.value.findings
    return finding.message


def outcome(text: str) -> Policy | list[int]:
    """What becomes of a text: a policy, or the lines of what is wrong."""
    try:
        return load_policy(text)
    except PolicyError as error:
        return [finding.line for finding in error.findings]


class TestDefaults:
    def test_nothing_said_is_the_default(self) -> None:
        """An empty file means the default policy, with the values of the design."""
        policy = load_policy("")
        assert policy == DEFAULT
        assert policy.rules(PLATFORM).all_red == Rule(after_ms=300_000, voters=10)
        assert policy.rules(PLATFORM).min_merchants == 2
        assert policy.answer_ms(("bnp", "card")) == 60_000

    def test_the_shipped_file_says_the_defaults(self) -> None:
        """deploy/policy.toml means exactly the built-in default."""
        assert load_policy(SHIPPED.read_text(encoding="utf-8")) == DEFAULT

    def test_the_shipped_file_says_every_key(self) -> None:
        """Every field of the policy but the scopes' own rules is written out in deploy/policy.toml: each one said
        otherwise there changes the policy."""
        text = SHIPPED.read_text(encoding="utf-8")
        said = set(re.findall(r"^(\w+) = ", text, re.MULTILINE)) | set(re.findall(r"^\[(\w+)\]", text, re.MULTILINE))
        fields = {field.name for field in dataclasses.fields(Policy) if field.init} - {"overrides"}
        renamed = {"answers": "answer_s", "page_mode": "mode"}
        assert {renamed.get(name, name.replace("_ms", "_s")) for name in fields} <= said

    def test_every_key_of_the_shipped_file_has_a_comment(self) -> None:
        """In deploy/policy.toml a sentence stands above every key and every table."""
        lines = SHIPPED.read_text(encoding="utf-8").splitlines()
        bare = [
            line
            for above, line in itertools.pairwise(lines)
            if line and line[0] != "#"
            if not re.fullmatch(r"# .*[.:;]", above)
        ]
        assert bare == []

    @pytest.mark.parametrize("method", ["cheque", "transfer", "boleto"])
    def test_slow_methods_are_never_overdue(self, method: str) -> None:
        """By default a payment that takes days by nature is never overdue."""
        assert DEFAULT.answer_ms(("bnp", method)) == NEVER

    def test_statuses_map_the_five_to_themselves(self) -> None:
        """The five statuses mean themselves, and what comes after the answer is ignored."""
        five = ("pending", "approved", "declined", "error", "cancelled")
        assert {word: DEFAULT.statuses[word] for word in five} == {word: word for word in five}
        assert {DEFAULT.statuses[word] for word in ("refunded", "captured", "settled", "chargeback")} == {"ignore"}


class TestVersion:
    def test_same_meaning_same_version(self) -> None:
        """Files that mean the same have the same version, however they are written."""
        first = load_policy(
            'wait_s = 60\n[answer_s]\npix = 10\ncard = 60\n[[scope]]\nname = "method:card,bank:bnp"\n'
            'min_merchants = 1\n[[scope]]\nname = "bank:itau"\nall_red.voters = 20\n'
        )
        second = load_policy(
            'dimensions = ["method", "bank"]\nscope = [{name = "bank:itau", all_red = {voters = 20}},\n'
            '{name = "bank:bnp,method:card", min_merchants = 1}, {name = "method:pix", answer_s = 10.0},\n'
            '{name = "bank:empty"}]\n'
        )
        assert first.version == second.version
        assert first == second

    @pytest.mark.parametrize(
        "text",
        ["wait_s = 59", "all_red.voters = 11", "answer_s.card = 59", 'statuses.ok = "approved"', 'page.mode = "shadow"',
         "resolve.hold_s = 15", "limits.leaves_max = 10", '[[scope]]\nname = "bank:bnp"\nmin_merchants = 1'],
    )  # fmt: skip
    def test_other_meaning_other_version(self, text: str) -> None:
        """Any change of meaning changes the version."""
        assert load_policy(text).version != DEFAULT.version

    def test_canonical_round_trip(self) -> None:
        """The canonical text, which travels through the log, means the same policy again."""
        policy = load_policy(
            'dimensions = ["bank", "method", "country"]\n[statuses]\n"payée" = "approved"\n[resolve]\n'
            'rate_share = 0.4\n[[scope]]\nname = "bank:b%2Cn,method:card,country:FR"\n'
            "answer_s = 20\nall_pending.after_s = 30\n"
        )
        again = Policy.parse(policy.canonical())
        assert again == policy
        assert again.version == policy.version
        assert again.answer_ms(("b,n", "card", "FR")) == 20_000

    def test_canonical_of_another_version_is_refused(self) -> None:
        """A policy with keys that this version does not know is refused, not half understood."""
        plain = json.loads(DEFAULT.canonical()) | {"patience_ms": 1}
        with pytest.raises(ValueError, match="patience_ms"):
            Policy.parse(json.dumps(plain))

    @pytest.mark.parametrize("text", ["", "5", "[]", "{}", "null"])
    def test_what_is_no_canonical_policy(self, text: str) -> None:
        """Anything but a canonical policy is a ValueError, which the log's reader expects."""
        with pytest.raises(ValueError):  # noqa: PT011  (json's own words, or ours)
            Policy.parse(text)

    def test_replace_changes_the_version(self) -> None:
        """A policy changed in code never carries the version of another."""
        assert dataclasses.replace(DEFAULT, wait_ms=0).version != DEFAULT.version


OVERRIDES = """
[[scope]]
name = "method:card"
all_red.voters = 30
all_red.after_s = 60
min_merchants = 5
answer_s = 30

[[scope]]
name = "bank:bnp"
all_red.voters = 40
min_merchants = 1

[[scope]]
name = "bank:bnp,method:card"
all_red.voters = 50
answer_s = 20

[[scope]]
name = "platform"
all_red.voters = 200
min_merchants = 9
"""


class TestOverrides:
    @pytest.mark.parametrize(
        ("scope", "after_ms", "voters", "min_merchants"),
        [
            ("bank:bnp,method:card", 60_000, 50, 1),  # the leaf's n, the bank's merchants, the method's T
            ("bank:bnp,method:pix", 300_000, 40, 1),
            ("bank:itau,method:card", 60_000, 30, 5),
            ("bank:bnp", 300_000, 40, 1),
            ("method:card", 60_000, 30, 5),
            ("bank:itau", 300_000, 10, 2),
            ("platform", 300_000, 200, 9),
        ],
    )
    def test_the_narrowest_wins(self, scope: str, after_ms: int, voters: int, min_merchants: int) -> None:
        """Value by value: the leaf's override, then its bank's, then its method's, then the policy's own."""
        rules = load_policy(OVERRIDES).rules(parse_scope(scope))
        assert (rules.all_red.after_ms, rules.all_red.voters, rules.min_merchants) == (after_ms, voters, min_merchants)
        assert rules.all_pending == Rule()

    @pytest.mark.parametrize(
        ("leaf", "answer_ms"),
        [(("bnp", "card"), 20_000), (("itau", "card"), 30_000), (("bnp", "pix"), 60_000), ((OTHER, OTHER), 60_000)],
    )
    def test_answers_by_leaf_then_method(self, leaf: Leaf, answer_ms: int) -> None:
        """A leaf's own answer_s beats its method's, and that beats the default."""
        assert load_policy(OVERRIDES).answer_ms(leaf) == answer_ms

    def test_largest_values(self) -> None:
        """What a cell must carry is the largest n and min_merchants of any rule."""
        policy = load_policy(OVERRIDES)
        assert (policy.voters_max, policy.merchants_max) == (200, 9)
        assert (DEFAULT.voters_max, DEFAULT.merchants_max) == (10, 2)

    def test_a_scope_named_backwards_is_the_same(self) -> None:
        """The order in which a scope's values are written does not matter."""
        backwards = Scope((("method", "card"), ("bank", "bnp")))
        policy = load_policy(OVERRIDES)
        assert policy.rules(backwards) == policy.rules(BNP_CARD)

    def test_more_dimensions(self) -> None:
        """With three dimensions, two that agree beat one, and earlier dimensions beat later ones."""
        policy = load_policy(
            'dimensions = ["country", "method", "bank"]\n'
            '[[scope]]\nname = "bank:bnp"\nmin_merchants = 3\n'
            '[[scope]]\nname = "method:card,country:FR"\nmin_merchants = 4\n'
            '[[scope]]\nname = "country:FR"\nmin_merchants = 5\n'
        )

        def merchants(*leaf: str) -> int:
            return policy.rules(leaf_scope(policy.dimensions, leaf)).min_merchants

        assert policy.dimensions == ("bank", "method", "country")
        assert [merchants("bnp", "card", "FR"), merchants("bnp", "pix", "FR"), merchants("itau", "pix", "FR")] == [
            4,
            3,
            5,
        ]


class TestFindings:
    def test_all_of_them_with_their_lines(self) -> None:
        """Every mistake of a file is told in one go, each with the line it is on."""
        text = """# a comment
pane_s = 7
lateness = 5
[all_red]
after = 5   # after_s
voters = "10"
[statuses]
ok = "aproved"
[[scope]]
name = "bank:bnp"
answer_s = 20

[[scope]]
name = "merchant:shop"
[[scope]]
all_red = {
  after_s = 0 }
[limits]
"leaves_max" = true
"""
        text = text.replace("{\n  after_s = 0 }", "{ after_s = 0 }")
        assert findings(text) == [
            (2, "pane_s"), (3, "lateness"), (5, "all_red.after"), (6, "all_red.voters"), (8, "statuses.ok"),
            (11, "scope.0.answer_s"), (14, "scope.1.name"), (15, "scope.2.name"), (16, "scope.2.all_red.after_s"),
            (18, "limits.leaves_max"),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("lateness = 5", 'did you mean "lateness_s"'),
            ("[resolve]\nvoter = 2", 'did you mean "voters"'),
            ("xyz = 5", "min_merchants"),
            ('wait_s = "60 s"', "without quotes"),
            ("wait_s = true", "number of seconds"),
            ("wait_s = 0.0001", "whole milliseconds"),
            ("wait_s = inf", "from 0 to 600"),
            ("wait_s = nan", "from 0 to 600"),
            ("min_merchants = 0", "set it to 1"),
            ("all_red = 5", "[all_red]"),
            ("all_red.voters = 256", "set it to 255"),
            ("pane_s = 7", "set it to 6"),
            ("resolve.rate_share = 50", "set it to 0.5"),
            ("resolve.voters = 3", "set it to 2"),
            ('statuses.ok = "aproved"', 'write "approved"'),
            ('statuses."\\u0007" = "approved"', "control characters"),
            ('page.mode = "Shadow"', 'write "shadow"'),
            ('dimensions = ["bank"]', '"bank" and "method"'),
            ('dimensions = ["bank", "method", "method"]', "each once"),
            ('dimensions = ["bank", "method", ["psp"]]', "each once"),
            ("answer_s.card = true", "false for never"),
            ("answer_s.card = 601", "horizon_s"),
            ("horizon_s = 59", "horizon_s"),
            ('[[scope]]\nname = "bank:bnp"\nanswer_s = 9', '"bank:bnp,method:card"'),
            ('[[scope]]\nname = "platform"\nanswer_s = 9', '"method:card"'),
            ('[[scope]]\nname = "bank"', "dimension:value"),
            ('[[scope]]\nname = "bank:a,bank:b"', "once"),
            ('[[scope]]\nname = "psp:a"', "`dimensions`"),
            ('[[scope]]\nname = "bank:a"\n[[scope]]\nname = "bank:a"', "one [[scope]] only"),
            ('answer_s.pix = 9\n[[scope]]\nname = "method:pix"\nanswer_s = 8', "[answer_s] too"),
            ('[scope]\nname = "bank:a"', "[[scope]]"),
            ("[resolve]\napproved = 20", "resolve.decided"),
            ("[resolve]\napproved = 1", "resolve.approved"),
            ("ring_s = 3601", "whole minutes"),
            ("horizon_s = 3600", "ring_s"),
            ("a = [", "not TOML"),
            ("a = " + "[" * 20_000, "not TOML"),
            ("min_merchants = 1" + "0" * 400, "set it to 255"),
            ("wait_s = " + "9" * 5_000, "not TOML"),
            ("wait_s = [0x" + "f" * 9_000 + "]", "got more than can be shown; write one number"),
            ("page.mode = 0x" + "f" * 9_000, "got more than can be shown; write"),
            ("wait_s" + ".a" * 1_000 + " = 1", "got more than can be shown; write one number"),
        ],
    )
    def test_the_mend_is_named(self, text: str, words: str) -> None:
        """A finding says in its words what to write instead."""
        assert words in message(text)

    def test_many_findings_are_cut(self) -> None:
        """A file with hundreds of mistakes shows the first hundred and says how many more there are."""
        found = findings("".join(f"wrong{number} = 1\n" for number in range(130)))
        assert [line for line, _ in found] == [*range(1, 101), 0]

    def test_the_error_reads_like_a_compiler(self) -> None:
        """The error as text has a line per finding, with the file's name and the line's number."""
        with pytest.raises(PolicyError, match=r"^mine\.toml:2: min_merchants must .*\nmine\.toml:3: xs is not "):
            load_policy("\nmin_merchants = 0\nxs = 1", "mine.toml")

    @given(st.text(max_size=200))
    @settings(max_examples=300, deadline=None, print_blob=True)
    def test_any_text_is_a_policy_or_a_policy_error(self, text: str) -> None:
        """Whatever a file holds, there is a policy or a list of findings, never another exception."""
        assert outcome(text) != []

    @given(
        st.recursive(
            st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "voters", "x"]), inner)
            ),
            max_leaves=6,
        ),
        st.sampled_from(
            ["dimensions", "scope", "all_red", "answer_s", "statuses", "page", "limits", "wait_s", "pane_s"]
        ),
    )
    @settings(max_examples=300, deadline=None, print_blob=True)
    def test_any_value_anywhere(self, value: object, key: str) -> None:
        """A value of any type at any key is taken or found, never another exception."""
        found = outcome(f"{key} = {_toml(value)}")
        assert isinstance(found, Policy) or all(line <= 1 for line in found)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return (
            repr(value)
            if "e" not in repr(value)
            else repr(value).replace("e", ".0e" if "." not in repr(value) else "e")
        )
    return json.dumps(value).replace("\x7f", "")


class TestCommand:
    def run(self, *arguments: str) -> tuple[int, str]:
        """Exit code and output of `pastille policy check`."""
        result = CliRunner().invoke(app_for(["policy"]), ["policy", "check", *arguments])
        return result.exit_code, result.output

    def test_a_good_file(self) -> None:
        """A good file ends with 0 and names the version that outages will carry."""
        code, output = self.run(str(SHIPPED))
        assert (code, DEFAULT.version in output) == (0, True)
        code, output = self.run(str(SHIPPED), "--json")
        assert json.loads(output)["policy"] == json.loads(DEFAULT.canonical())

    def test_a_bad_file(self, tmp_path: Path) -> None:
        """A file with mistakes ends with 1 and names line and mend, also as JSON."""
        bad = tmp_path / "bad.toml"
        bad.write_text("\nlateness = 5\n")
        code, output = self.run(str(bad))
        assert code == 1
        assert "bad.toml:2:" in output.replace("\n", "")
        assert 'did you mean "lateness_s"' in output.replace("\n", "")
        code, output = self.run(str(bad), "--json")
        assert (code, json.loads(output)["findings"][0]["line"]) == (1, 2)

    def test_what_cannot_be_read(self, tmp_path: Path) -> None:
        """A file that is missing or no text is the caller's mistake, told in one sentence."""
        with pytest.raises(UserError, match=r"nowhere\.toml"):
            read_policy(tmp_path / "nowhere.toml")
        (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
        with pytest.raises(UserError, match="UTF-8"):
            read_policy(tmp_path / "bytes.toml")
        (tmp_path / "huge.toml").write_bytes(b"#" * (1024 * 1024 + 1))
        with pytest.raises(UserError, match="at most"):
            read_policy(tmp_path / "huge.toml")

    def test_no_file_is_the_default(self) -> None:
        """Without a file the default holds."""
        assert read_policy(None) is DEFAULT
