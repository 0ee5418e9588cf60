"""kafka-python's admin client, opened from our settings, with the reason in the message where it cannot connect.

It asks any of the brokers that Kafka names, and for some seconds Kafka names one that is dead: what that refuses is
asked again. It does not know which topics there should be.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Thread
from typing import Any, Final, TypeVar

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, UnknownTopicOrPartitionError

from streams.errors import UserError
from streams.patience import MISSED_S
from streams.settings import Settings

__all__ = ["ANSWER_MS", "admin_client", "asked_again", "group_has_member"]

Answer = TypeVar("Answer")

ANSWER_MS: Final = 10_000
PAUSE_S: Final = 0.25
ASK_AGAIN_MS: Final = 5_000
WITHOUT_MEMBERS: Final = ("Empty", "Dead")
# What these say while they connect is told once, in the error, and only if it comes to nothing.
QUIET: Final = ("kafka.net", "kafka.cluster", "kafka.client", "kafka.admin", "aiokafka")


class _Reason(logging.Handler):
    """Keeps why a connection failed, instead of printing it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        # The client retries a refused password until its time is up, and then says only that time is up; in between
        # the broker may just hang up. So a refusal is kept, and anything else only until something newer is said.
        for cause in (str(part) for part in record.args or () if isinstance(part, Exception)):
            if "Timeout" not in cause and not _is_refusal(self.text):
                self.text = cause


def _is_refusal(reason: str) -> bool:
    return "Authentication" in reason or "CERTIFICATE" in reason.upper()


def asked_again(ask: Callable[[], Answer], anew: Callable[[], None] = lambda: None) -> Answer:
    """The answer, asked for until a broker that is gone must be missed; `anew` is called before each further try.
    Raises KafkaError, at once where asking again mends nothing."""
    until_s = time.monotonic() + MISSED_S
    while True:
        try:
            return ask()
        except KafkaError as error:
            is_over = isinstance(error, UnknownTopicOrPartitionError) or not error.retriable
            if is_over or time.monotonic() > until_s:
                raise
        time.sleep(PAUSE_S)
        anew()


class _Patient:
    """An admin client each method of which is asked again, by a new one: that knows no controller that is gone."""

    def __init__(self, opened: Callable[[], Any]) -> None:
        self._opened, self._admin = opened, opened()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._ask, name)

    def _ask(self, name: str, *arguments: Any, **more: Any) -> Any:
        return asked_again(lambda: getattr(self._admin, name)(*arguments, **more), self._anew)

    def _anew(self) -> None:
        self.close()
        self._admin = self._opened()

    def close(self) -> None:
        """Disconnect."""
        self._admin.close()


@contextmanager
def admin_client(settings: Settings, *, answer_ms: int = ANSWER_MS) -> Iterator[KafkaAdminClient]:
    """An admin client that is connected; UserError where Kafka cannot be reached, refuses us, or fails later on."""
    with _listening() as reason:
        try:
            times = {"request_timeout_ms": answer_ms, "bootstrap_timeout_ms": answer_ms}
            admin = _Patient(partial(KafkaAdminClient, **settings.kafka_python(), **times))
            try:
                yield admin
            finally:
                admin.close()
        except KafkaError as error:
            if settings.has_sasl and not _is_refusal(reason.text):
                _ask_again(settings)
            raise UserError(
                f"Kafka at {settings.broker} ({settings.security_protocol}) cannot be used; "
                f"got: {reason.text or error}; {_mend(reason.text)}"
            ) from None


def group_has_member(admin: KafkaAdminClient) -> dict[str, bool]:
    """Of each group that there is, and that we may see, whether it has a member."""
    return {group["group_id"]: group["group_state"] not in WITHOUT_MEMBERS for group in admin.list_groups()}


def _ask_again(settings: Settings) -> None:
    """Connect with the other client, whose warnings tell a refusal for certain; what it says is listened to.

    A broker that refuses a password answers and hangs up; kafka-python drops an answer that it reads together with
    the end of the connection, and so, on a busy machine, never says why.
    """
    from aiokafka.client import AIOKafkaClient  # only who fails pays for the import
    from aiokafka.errors import KafkaError as OtherKafkaError

    async def ask() -> None:
        client = AIOKafkaClient(**settings.aiokafka() | {"request_timeout_ms": ASK_AGAIN_MS})
        with suppress(OtherKafkaError):
            await client.bootstrap()
        await client.close()

    # In a thread of its own, because the caller may be inside an event loop.
    thread = Thread(target=lambda: asyncio.run(ask()), name="ask why", daemon=True)
    thread.start()
    thread.join(2 * ASK_AGAIN_MS / 1000)


def _mend(reason: str) -> str:
    if "Authentication" in reason:
        return "check PASTILLE_USERNAME, PASTILLE_PASSWORD_FILE and PASTILLE_SASL_MECHANISM"
    if "CERTIFICATE" in reason.upper():
        return "check PASTILLE_SSL_CAFILE, and that the broker's certificate names this host"
    return "check that it runs, PASTILLE_BROKER (or --broker) and PASTILLE_SECURITY_PROTOCOL"


@contextmanager
def _listening() -> Iterator[_Reason]:
    handler = _Reason()
    loggers = [logging.getLogger(name) for name in QUIET]
    before = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield handler
    finally:
        for logger, propagate in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate
