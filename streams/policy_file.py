"""Reads the policy's file; what it may say is the detector's business."""

from pathlib import Path
from typing import Final

from detector.contracts.policy import DEFAULT, Policy, PolicyError, load_policy
from streams.errors import UserError

POLICY_BYTES_MAX: Final = 1024 * 1024


def read_policy(path: Path | None) -> Policy:
    """The policy of a file, or the default without one. Raises UserError with every mistake, a line each."""
    if path is None:
        return DEFAULT
    try:
        return load_policy(policy_text(path), str(path))
    except PolicyError as error:
        raise UserError(str(error)) from None


def policy_text(path: Path) -> str:
    """What the file says. Raises UserError where it is not a readable file of UTF-8 text."""
    try:
        with path.open("rb") as file:
            data = file.read(POLICY_BYTES_MAX + 1)
        if len(data) > POLICY_BYTES_MAX:
            raise UserError(f"a policy has at most {POLICY_BYTES_MAX} bytes; {path} has more; give the right file")
        return data.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except OSError as error:
        raise UserError(f"the policy cannot be read; got {path}: {error.strerror}; give a readable file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"a policy is UTF-8 text; {path} has another byte at {error.start}; save it as UTF-8") from None
