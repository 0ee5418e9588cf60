"""Why Kafka cannot be used: the reason that helps is kept among those that only say that time is up."""

import logging

import pytest
from kafka.errors import KafkaConnectionError, KafkaTimeoutError, SaslAuthenticationFailedError

from streams.admin import _mend, _Reason

REFUSED = SaslAuthenticationFailedError("Authentication failed due to invalid credentials")
HUNG_UP = KafkaConnectionError("socket disconnected")
TIME_UP = KafkaTimeoutError("Unable to bootstrap")


@pytest.mark.parametrize(
    ("causes", "kept"),
    [
        ([REFUSED, HUNG_UP, TIME_UP], REFUSED),
        ([HUNG_UP, REFUSED, HUNG_UP], REFUSED),
        ([HUNG_UP, TIME_UP], HUNG_UP),
    ],
)
def test_a_refusal_is_kept(causes: list[Exception], kept: Exception) -> None:
    """Whatever is said after a refused password, the refusal is what is told."""
    reason = _Reason()
    for cause in causes:
        reason.emit(logging.LogRecord("kafka", logging.WARNING, "", 0, "failed: %s", (cause,), None))
    assert reason.text == str(kept)


def test_the_mend_fits_the_reason() -> None:
    """A refused password points to the user and password, an unknown authority to the CA file."""
    assert "PASTILLE_PASSWORD_FILE" in _mend(str(REFUSED))
    assert "PASTILLE_SSL_CAFILE" in _mend("[SSL: CERTIFICATE_VERIFY_FAILED]")
    assert "PASTILLE_BROKER" in _mend(str(HUNG_UP))
