"""Reads what a policy file says over the defaults, and finds everything that is wrong with it: "what; got; do".

Does not know on which line a key stands, nor what a rule does with its number.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from detector.contracts.policy_agreement import Said, disagreements
from detector.contracts.policy_keys import (
    DIMENSIONS,
    EVIDENCE,
    FIVE,
    LIMITS,
    PAGE,
    RESOLVE,
    RULE,
    SCOPE,
    TOP,
    Answer,
    Kind,
    OneOf,
)
from detector.contracts.policy_problem import Plain, Problem, dotted, worded
from detector.contracts.scope import PLATFORM, Scope, parse_scope
from detector.contracts.toml_lines import Path

SCOPES_MAX: Final = 1_000
WORDS_MAX: Final = 256
NAME_CHARACTERS_MAX: Final = 128

_RULES = ("all_red", "all_pending")


def merge(data: Mapping[str, Any], defaults: Plain) -> tuple[Plain, list[Problem]]:
    """What the file says over the defaults, and every mistake in it; the first is of use only without the second."""
    check = _Check(copy.deepcopy(defaults))
    check.whole(data)
    return check.plain, check.problems


@dataclass(slots=True)
class _Check:
    """One reading of a file: `plain` takes what is right, `problems` what is wrong."""

    plain: Plain
    problems: list[Problem] = field(default_factory=list)
    said_at: dict[str, Path] = field(default_factory=dict)  # a scope's key -> its [[scope]] table
    methods_said: set[str] = field(default_factory=set)  # the keys of [answer_s]
    meant: set[Path] = field(default_factory=set)  # what misspelt keys probably mean

    def whole(self, data: Mapping[str, Any]) -> None:
        tables: dict[str, Callable[[Any], None]] = {
            "dimensions": self.dimensions,
            "all_red": lambda value: self.table(("all_red",), value, RULE, self.plain["all_red"]),
            "all_pending": lambda value: self.table(("all_pending",), value, RULE, self.plain["all_pending"]),
            "answer_s": self.answers,
            "resolve": lambda value: self.table(("resolve",), value, RESOLVE, self.plain["resolve"]),
            "evidence": lambda value: self.table(("evidence",), value, EVIDENCE, self.plain["evidence"]),
            "statuses": self.statuses,
            "limits": lambda value: self.table(("limits",), value, LIMITS, self.plain),
            "page": self.page,
            "scope": self.scopes,
        }
        for name, read in tables.items():  # dimensions first: scopes are checked against them
            if name in data:
                read(data[name])
        scalars = {name: value for name, value in data.items() if name not in tables}
        self.table((), scalars, TOP, self.plain, also=tuple(tables))
        self.agreement(data)

    def table(self, path: Path, value: Any, kinds: Mapping[str, Kind], into: Plain, also: tuple[str, ...] = ()) -> None:
        """Read each key of a table into `into`, seconds under their name in ms."""
        if not self.is_table(path, value):
            return
        for name, item in value.items():
            if name not in kinds:
                self.unknown((*path, name), (*kinds, *also))
            elif (read := self.read((*path, name), kinds[name], item)) is not None:
                into[_plain_name(name)] = read

    def dimensions(self, value: Any) -> None:
        names = value if isinstance(value, list) else []
        good = all(name in DIMENSIONS for name in names) and len(set(map(str, names))) == len(names)
        if good and {"bank", "method"} <= set(names):
            self.plain["dimensions"] = [name for name in DIMENSIONS if name in names]
            return
        more = ", ".join(DIMENSIONS[2:])
        self.add(
            ("dimensions",),
            f'must list "bank" and "method", and may add {more}, each once',
            value,
            'write ["bank", "method"]',
        )

    def answers(self, value: Any) -> None:
        if not self.is_table(("answer_s",), value):
            return
        answers: dict[str, int] = self.plain["answers"]
        self.methods_said |= set(value)
        for method, item in value.items():
            path = ("answer_s", method)
            if self.is_name(path, method) and (read := self.read(path, Answer(), item)) is not None:
                answers[method] = int(read)

    def statuses(self, value: Any) -> None:
        if not self.is_table(("statuses",), value):
            return
        if len(value) > WORDS_MAX:
            self.add(("statuses",), f"may map at most {WORDS_MAX} words", len(value), "leave out words never sent")
        for word, meaning in value.items():
            path = ("statuses", word)
            if self.is_name(path, word) and (read := self.read(path, OneOf((*FIVE, "ignore")), meaning)) is not None:
                self.plain["statuses"][word] = read

    def page(self, value: Any) -> None:
        read: Plain = {}
        self.table(("page",), value, PAGE, read)
        self.plain["page_mode"] = read.get("mode", self.plain["page_mode"])

    def scopes(self, value: Any) -> None:
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.add(("scope",), "must be tables", value, 'write [[scope]] on a line, and name = "bank:bnp" under it')
            return
        if len(value) > SCOPES_MAX:
            self.add(("scope",), f"may be at most {SCOPES_MAX} tables", len(value), "set the policy's own values")
        for number, item in enumerate(value):
            self.scope(("scope", number), item)

    def scope(self, path: Path, item: Plain) -> None:
        scope = self.scope_name((*path, "name"), item.get("name"))
        override: Plain = {}
        values = {name: value for name, value in item.items() if name not in (*_RULES, "name")}
        self.table(path, values, SCOPE, override, also=(*_RULES, "name"))
        for rule in _RULES:
            into: Plain = {}
            self.table((*path, rule), item.get(rule, {}), RULE, into)
            override |= {f"{rule}.{name}": number for name, number in into.items()}
        if scope is None:
            return
        if "answer_ms" in override and scope.value("method") is None:
            self.add(
                (*path, "answer_s"),
                f'is set by method or leaf, never for "{scope.key}" (a bank that hangs must not be its own excuse)',
                item["answer_s"],
                f'name "{_with_method(scope)}" instead',
            )
        elif "answer_ms" in override and scope.dimension == "method" and scope.values[0][1] in self.methods_said:
            self.add((*path, "answer_s"), "is said in [answer_s] too", item["answer_s"], "take one of the two away")
        elif override:
            self.plain["overrides"][scope.key] = override

    def scope_name(self, path: Path, name: Any) -> Scope | None:
        if not isinstance(name, str):
            self.add(path, "must name the scope", name, 'write name = "bank:bnp", or "bank:bnp,method:card" for a leaf')
            return None
        try:
            scope = parse_scope(name)
        except ValueError as error:
            self.problems.append(Problem(path, f'scope.name: {error}; write it like "bank:bnp,method:card"'))
            return None
        names = [dimension for dimension, _ in scope.values]
        known: list[str] = self.plain["dimensions"]
        if set(names) - set(known) or len(set(names)) < len(names):
            self.add(
                path,
                f"may name each of the dimensions {', '.join(known)} once",
                name,
                "name one of them, or add the dimension to `dimensions`",
            )
            return None
        scope = Scope(tuple(sorted(scope.values, key=lambda pair: known.index(pair[0]))))
        return self.only_once(path, scope)

    def only_once(self, path: Path, scope: Scope) -> Scope | None:
        if scope.key in self.said_at:
            self.add(path, "may stand in one [[scope]] only", scope.key, "put its values into one table")
            return None
        self.said_at[scope.key] = path[:-1]
        return scope

    def agreement(self, data: Mapping[str, Any]) -> None:
        """What single values cannot say: how they go together. Judged only where each is right by itself."""
        doubtful = {problem.path for problem in self.problems} | self.meant
        self.problems += disagreements(Said(data, self.plain, self.answer_paths(), doubtful))
        if not self.problems:
            self.tidy()

    def answer_paths(self) -> list[tuple[Path, int]]:
        """Every `answer_ms`, and where it is said."""
        methods: list[tuple[Path, int]] = [(("answer_s", name), value) for name, value in self.plain["answers"].items()]
        overrides = self.plain["overrides"].items()
        return methods + [
            ((*self.said_at[key], "answer_s"), item["answer_ms"]) for key, item in overrides if "answer_ms" in item
        ]

    def tidy(self) -> None:
        """Bring what means the same into one form, so that it has one version."""
        answers: dict[str, int] = self.plain["answers"]
        overrides: dict[str, Plain] = self.plain["overrides"]
        for key in list(overrides):
            scope = parse_scope(key)
            if scope.dimension == "method" and "answer_ms" in overrides[key]:
                answers[scope.values[0][1]] = overrides[key].pop("answer_ms")
        usual = answers["default"]
        self.plain["answers"] = {name: value for name, value in answers.items() if name == "default" or value != usual}
        self.plain["overrides"] = {key: value for key, value in overrides.items() if value}

    def is_table(self, path: Path, value: Any) -> bool:
        if not isinstance(value, dict):
            self.add(path, "must be a table", value, f"write [{dotted(path)}] on a line of its own, its keys below")
        return isinstance(value, dict)

    def is_name(self, path: Path, name: str) -> bool:
        good = 0 < len(name) <= NAME_CHARACTERS_MAX and name.isprintable()
        if not good:
            self.add(
                path,
                f"must be 1 to {NAME_CHARACTERS_MAX} characters without control characters",
                name,
                "name it as the events do",
            )
        return good

    def read(self, path: Path, kind: Kind, value: Any) -> int | float | str | None:
        try:
            return kind.read(value)
        except ValueError as error:
            self.add(path, str(error), value, _mend(path, kind, value))
            return None

    def unknown(self, path: Path, known: Iterable[str]) -> None:
        name, choices = str(path[-1]), list(known)
        near = difflib.get_close_matches(name, choices, n=1)
        self.meant |= {(*path[:-1], meant) for meant in near}
        mend = f'did you mean "{near[0]}"?' if near else f"the keys here are {', '.join(sorted(choices))}"
        self.problems.append(Problem(path, f"{dotted(path)} is not a key of a policy; {mend}"))

    def add(self, path: Path, what: str, got: Any, mend: str) -> None:
        self.problems.append(worded(path, what, got, mend))


def _plain_name(name: str) -> str:
    return f"{name[:-2]}_ms" if name.endswith("_s") else name


def _with_method(scope: Scope) -> str:
    return "method:card" if scope == PLATFORM else f"{scope.key},method:card"


def _mend(path: Path, kind: Kind, value: Any) -> str:
    if isinstance(kind, OneOf) and kind.scale == 0:
        word = value.lower() if isinstance(value, str) else ""
        near = difflib.get_close_matches(word, [str(choice) for choice in kind.choices], n=1)
        return f'write "{near[0] if near else kind.choices[0]}"'
    if isinstance(value, str):
        return "write the number without quotes and unit"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"write one number after {dotted(path)} ="
    return f"set it to {kind.nearest(value):g}"
