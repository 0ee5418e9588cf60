"""The page `docs/SETTINGS.md`, made from the fields of the settings: `python -m streams.settings_page` prints it.

What a setting is called, its default and what it means stand at the field alone. A test says whether the page is
current, and that its examples load.
"""

import json
from collections.abc import Mapping
from typing import Final

from pydantic.fields import FieldInfo

from streams.settings import SASL_FIELDS, TLS_FIELDS, Feed, Settings, TopicNames
from streams.settings_words import variable

__all__ = ["markdown"]

SECURITY: Final = ("security_protocol", *SASL_FIELDS, *TLS_FIELDS)

BEGIN: Final = """\
# Settings

Where Kafka is, how to prove who we are, what topics are called: variables of the environment, which every command reads
once, at its start. Options (`--broker`, `--policy`, …) go before them. An empty variable counts as not set. Rules and
limits are in the policy, [deploy/policy.toml](../deploy/policy.toml). Made from `streams/settings.py`; change it there,
then run `python -m streams.settings_page > docs/SETTINGS.md`.
"""

FEEDS: Final = """\
## Feeds

`PASTILLE_FEEDS` is a list of JSON; [OPERATIONS](OPERATIONS.md#several-feeds) says what several are for. All topics have
different names. What is left out of a feed has its default:

```sh
export PASTILLE_FEEDS='[{"name": "shops"}, {"name": "pix", "payments": "pix.payments", "orders": null}]'
```
"""

TOPICS: Final = """\
## Topics

Pastille's own topics, made by `pastille topics create`. Each has a variable, or one object of JSON names several:

```sh
export PASTILLE_TOPICS='{"tallies": "shop.tallies", "outages": "shop.outages"}'
export PASTILLE_TOPICS__HEALTH=shop.health
```
"""

SECURED: Final = """\
## Secured connections

Every client of a process is secured in the same way. What the protocol does not use is refused at the start, as is what
is missing: no password and no certificate is left unused in silence.

A user and a password over TLS; the password is the file's text without the end of its line:

```sh
export PASTILLE_BROKER=kafka-1:9093,kafka-2:9093
export PASTILLE_SECURITY_PROTOCOL=SASL_SSL
export PASTILLE_USERNAME=pastille
export PASTILLE_PASSWORD_FILE=/run/secrets/password
export PASTILLE_SSL_CAFILE=/etc/pastille/ca.pem
```

Mutual TLS, where the certificate says who we are:

```sh
export PASTILLE_BROKER=kafka-1:9094,kafka-2:9094
export PASTILLE_SECURITY_PROTOCOL=SSL
export PASTILLE_SSL_CAFILE=/etc/pastille/ca.pem
export PASTILLE_SSL_CERTFILE=/etc/pastille/client.pem
export PASTILLE_SSL_KEYFILE=/etc/pastille/client.key
export PASTILLE_SSL_KEYFILE_PASSWORD_FILE=/run/secrets/key-password
```

`pastille topics check` shows whether it connects. `pastille kafka --tls` is a broker to try it with, and prints the
variables that lead there.
"""

OTHERS: Final = """\
## Others

| variable | default | what it is |
|---|---|---|
| `NUMBA_CACHE_DIR` | beside the files, else the user's cache folder | Where compiled loops are kept; they fit one \
kind of processor. |
| `PASTILLE_CACHE` | `$XDG_CACHE_HOME/pastille`, else `~/.cache/pastille` | Where `pastille demo` and \
`pastille kafka` keep Kafka. |

## Names that are not known

A variable that begins with `PASTILLE_` and has a letter or two wrong is refused at the start, with the name that is
nearest. Of any other that is not known a line on standard error tells, and the start goes on: it may be a deployment's
own. Values are never shown.

In every pod Kubernetes sets variables for each service, which for one called `pastille` begin as ours do. They are
passed over. But one for a service called `pastille-http` is `PASTILLE_HTTP_PORT`, and no number: set that variable in
the pod, or `enableServiceLinks: false`.
"""


def markdown() -> str:
    """The whole page."""
    fields = Settings.model_fields
    general = {variable(name): field for name, field in fields.items() if name not in SECURITY}
    secure = {variable(name): fields[name] for name in SECURITY}
    topics = {f"{variable('topics')}__{name.upper()}": field for name, field in TopicNames.model_fields.items()}
    parts = [
        BEGIN, _table(general), FEEDS, _table(Feed.model_fields, "of a feed"), TOPICS, _table(topics),
        SECURED, _table(secure), OTHERS,
    ]  # fmt: skip
    return "\n".join(parts)


def _table(fields: Mapping[str, FieldInfo], what: str = "variable") -> str:
    rows = (f"| `{name}` | {_default(field)} | {field.description} |" for name, field in fields.items())
    return "\n".join([f"| {what} | default | what it is |", "|---|---|---|", *rows]) + "\n"


def _default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, tuple) and value:  # of feeds
        value = [one.model_dump() for one in value]
    if value is None or value == () or isinstance(value, TopicNames):
        return ""
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


if __name__ == "__main__":
    print(markdown(), end="")
