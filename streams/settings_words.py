"""What a person reads of a wrong setting (what; got; do), and of a variable that no setting has.

Knows pydantic's kinds of mistakes, and how variables and options are called; not what a setting means. Of a variable
that nobody reads it says the name and never the value, and of a password nothing.
"""

import json
import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic.fields import FieldInfo

__all__ = ["example", "sentences", "strangers", "variable"]

PREFIX: Final = "PASTILLE_"
GOT_CHARACTERS_MAX: Final = 80
SAME: Final = 0.8
"""As alike (difflib's ratio) as a name and the same with a letter or two wrong: PASSWD and PASSWORD."""
ALIKE: Final = 0.6
SERVICE: Final = re.compile(r".+_SERVICE_(HOST|PORT(_.+)?)|.+_PORT_\d+_[A-Z]+(_(PROTO|PORT|ADDR))?")
"""What Kubernetes sets in every pod for a service that is called pastille, or pastille-worker; beside *_PORT=tcp://…"""
WORDS: Final[Mapping[str, str]] = {
    "bool_parsing": "must be true or false",
    "extra_forbidden": "is not known",
    "greater_than_equal": "must be {ge} or more",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "less_than_equal": "must be {le} or less",
    "literal_error": "must be {expected}",
    "model_type": "must be an object of JSON",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty",
    "string_type": "must be a text",
    "string_unicode": "must be a text in UTF-8",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must not be empty",
    "tuple_type": "must be a list of JSON",
    "value_error": "{error}",
}
"""By pydantic's kind of mistake; another one keeps pydantic's sentence."""


def variable(name: str) -> str:
    """What the environment calls a field of the settings."""
    return PREFIX + name.rstrip("_").upper()


def example(field: FieldInfo) -> str:
    """A value as a person types it: the field's example, else its default."""
    value = field.examples[0] if field.examples else field.default
    return value if isinstance(value, str) else json.dumps(value)


def sentences(error: ValidationError, fields: Mapping[str, FieldInfo], options: Collection[str]) -> Iterator[str]:
    """One for each mistake; it names the option where the field is one of `options`, else the variable."""
    places = [mistake["loc"] for mistake in error.errors()]
    for mistake in error.errors():
        place = mistake["loc"]
        if not place:
            yield str(mistake["ctx"]["error"])
        # A list with a wrong entry is called too short as well.
        elif not any(other[: len(place)] == place != other for other in places):
            yield _sentence(dict(mistake), fields, options)


def _sentence(mistake: Mapping[str, Any], fields: Mapping[str, FieldInfo], options: Collection[str]) -> str:
    head, *inner = mistake["loc"]
    name = next(name for name in fields if head in (name, variable(name)))
    called, sign = (f"--{name.rstrip('_').replace('_', '-')}", " ") if name in options else (variable(name), "=")
    # In a list [1].payments, and __TALLIES where that is a variable of its own.
    in_list = bool(inner) and isinstance(inner[0], int)
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" if in_list else f"__{part.upper()}" for part in inner)
    words = WORDS.get(mistake["type"])
    what = words.format(**mistake.get("ctx", {})) if words else mistake["msg"]
    value = mistake["input"]
    shown = repr(str(value) if isinstance(value, Path) else value)[:GOT_CHARACTERS_MAX]
    got = "" if "password" in name else f"; got {shown}"
    return f"{called}{''.join(parts)}: {what}{got}; set it like {called}{sign}{shlex.quote(example(fields[name]))}"


def strangers(environment: Mapping[str, str], known: Collection[str]) -> tuple[list[str], list[str]]:
    """Of variables that begin like ours and are not known: a sentence for each misspelt one, and for each other.

    A misspelt one is to be refused: what it says is lost, and that may be that the connection is encrypted. Any other
    may be somebody else's, a deployment's or a newer version's: to say it is enough, since a detector that does not
    start is worse. Nothing is said of what Kubernetes sets, nor of an empty variable, which counts as not set.
    """
    misspelt, others = [], []
    names = {one.removeprefix(PREFIX) for one in known}
    parts = tuple({f"{head}__" for head, inner, _ in (one.partition("__") for one in names) if inner})
    for name, value in sorted(environment.items()):
        ours = name.upper().removeprefix(PREFIX)
        if not (value and name.upper().startswith(PREFIX)) or ours in names or _is_service(name, value):
            continue
        if ours.startswith(parts):  # the settings themselves refuse it
            continue
        if near := get_close_matches(ours, names, 1, SAME):
            misspelt.append(f"{name}: no setting has this name; the nearest is {PREFIX}{near[0]}; correct or unset it")
        else:
            near = [f"the nearest is {PREFIX}{one}" for one in get_close_matches(ours, names, 1, ALIKE)]
            others.append("; ".join([f"{name}: no setting has this name, and it changes nothing", *near]))
    return misspelt, others


def _is_service(name: str, value: str) -> bool:
    return SERVICE.fullmatch(name) is not None or (name.endswith("_PORT") and "://" in value)
