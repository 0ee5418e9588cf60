"""Whether a policy may hold where a tallies log goes on: its dimensions and panes must be those of the log.

Asked before a worker counts or says anything: tallies in other panes, or of other leaves, nobody could judge. Knows the
newest snapshot; does not know how a Judge obeys.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec

from detector.contracts.policy import Policy
from detector.contracts.policy_fixed import Fixed
from streams.errors import UserError
from streams.judge_state import newest_snapshot
from streams.settings import Settings

__all__ = ["require_as_judged", "require_fixed"]


def require_as_judged(settings: Settings, policy: Policy) -> None:
    """Refuse a policy that the Judge of the newest snapshot could not obey. Raises UserError.

    Where no snapshot can be read the worker that gets the seat asks again: that is no reason not to count.
    """
    snapshot = None
    with suppress(UserError):
        snapshot = newest_snapshot(settings)
    if snapshot is None:
        return
    try:
        judged = Fixed.parse(msgspec.msgpack.decode(snapshot.state)["policy"])
    except (KeyError, TypeError, ValueError):
        return  # of a version that said it otherwise: the Judge leaves it, too
    require_fixed(policy, judged)


def require_fixed(policy: Policy, judged: Fixed) -> None:
    """Raises UserError where the policy has other dimensions or panes than are judged."""
    found = "; and ".join(Fixed.of(policy).other_than(judged))
    if found:
        raise UserError(
            f"dimensions and pane_s are fixed while the tallies log goes on; got {found}; set them back, or begin anew "
            "with another PASTILLE_APP_ID and another topic of tallies in PASTILLE_TOPICS"
        )
