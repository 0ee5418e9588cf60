"""What one value of the settings may be, and how it is read: a server, a host, a name, a file, a secret, JSON.

Raises ValueError with what it must be; which variable it is of, and what was got, is said by others.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource, NoDecode

from streams.errors import UserError
from streams.settings_words import variable

__all__ = [
    "Bootstrap", "Environment", "ExistingFile", "GroupNames", "Host", "Name", "TopicName", "require_distinct", "secret",
]  # fmt: skip

SECRET_CHARACTERS_MAX: Final = 4096
HOST: Final = r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?"
"""A name. A part that is empty or longer is to Python's look-up an error of Unicode."""
ADDRESS: Final = r"([0-9a-f.]*:){2,}[0-9a-f.]*(%[\w.-]+)?"
"""Of version 6: one of 4 looks like a name."""


def _bootstrap(text: str) -> str:
    servers = [server.strip() for server in text.split(",") if server.strip()]
    for server in servers:
        host, _, port = server.rpartition(":")
        if not (_matches(rf"{HOST}|\[{ADDRESS}\]", host) and _matches(r"\d{1,5}", port) and 0 < int(port) < 65536):
            raise ValueError("must be host:port, several separated by commas, an IPv6 address in brackets")
    if not servers:
        raise ValueError("must name at least one host:port")
    return ",".join(servers)


def _host(text: str) -> str:
    host = text.strip()
    if host.startswith("[") and host.endswith("]"):  # as in a URL
        host = host[1:-1]
    if not _matches(f"{HOST}|{ADDRESS}", host):
        raise ValueError("must be an address or a name, without a port")
    return host


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text, re.ASCII | re.IGNORECASE) is not None


def _separated(value: object) -> object:
    return tuple(filter(None, (name.strip() for name in value.split(",")))) if isinstance(value, str) else value


def _existing(path: Path) -> Path:
    try:
        is_file = path.is_file()
    except OSError:  # a folder that this user may not enter, a name that is too long
        is_file = False
    if not is_file:
        raise ValueError("must be the path of a readable file")
    return path


TopicName = Annotated[str, Field(min_length=1, max_length=249, pattern=r"^[A-Za-z0-9._-]+$")]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
Bootstrap = Annotated[str, AfterValidator(_bootstrap)]
Host = Annotated[str, AfterValidator(_host)]
# Names separated by commas, as a person writes them, and not JSON.
GroupNames = Annotated[tuple[TopicName, ...], NoDecode, BeforeValidator(_separated)]
ExistingFile = Annotated[Path, AfterValidator(_existing)]


class Environment(EnvSettingsSource):
    """The environment, where what should be JSON and is not goes on as text: the field's type says what is wrong."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """What a variable holds. Raises UserError where an object says something twice: all but the last is lost."""

        def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
            try:
                require_distinct("names in an object", [name for name, _ in pairs])
            except ValueError as error:
                raise UserError(f"{variable(field_name)}: {error}") from None
            return dict(pairs)

        try:
            return json.loads(value, object_pairs_hook=once)
        except (ValueError, RecursionError):
            return value


def require_distinct(what: str, names: list[str]) -> None:
    """Raises ValueError where a name is there more than once."""
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(f"{what} must differ; got {', '.join(twice)} more than once; rename one")


def secret(value: SecretStr | None, file: Path | None) -> str | None:
    """A password, as it is said or from its file. Raises UserError where that is none."""
    if value is not None:
        return value.get_secret_value()
    if file is None:
        return None
    try:
        with file.open(encoding="utf-8-sig") as lines:  # some editors begin a file with a byte order mark
            text = lines.read(SECRET_CHARACTERS_MAX + 1).rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise UserError(f"the secret's file cannot be read; got {file}; make it readable UTF-8 text") from None
    if not 0 < len(text) <= SECRET_CHARACTERS_MAX:
        size = "more" if text else "none"
        raise UserError(f"a secret has 1 to {SECRET_CHARACTERS_MAX} characters; {file} has {size}; give the right file")
    return text
