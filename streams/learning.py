"""Learning what is usual from a recorded file, or reading what was learned before; a file says itself which it is.

Knows no topic, and nothing of what becomes of it.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from detector.contracts.policy import Policy
from detector.judging.learned import Learned, Origin
from detector.rehearsal.replay import Replay
from streams.baselines import is_learned_file, read_file
from streams.errors import UserError
from streams.recording import bad_lines, out_of_order, played

__all__ = ["learn", "trained"]


def trained(file: str, policy: Policy) -> Learned:
    """What `--train FILE` teaches under a policy that judges by it. Raises UserError."""
    if policy.evidence.mode == "off":
        raise UserError(
            f'--train {file} needs statistics that learn; got [evidence] mode = "off"; set it to "shadow" or "live" '
            "in the policy"
        )
    return learn(file, policy, 0)


def learn(file: str, policy: Policy, made_ms: int) -> Learned:
    """The baselines of a file of baselines, or those that a recorded file teaches, whatever mode evidence is in.

    Raises UserError, also where a file teaches nothing.
    """
    learned = read_file(file) if is_learned_file(file) else _replayed(file, policy, made_ms)
    if learned.dimensions != policy.dimensions:
        raise UserError(
            f"baselines are learned by the policy's dimensions {', '.join(policy.dimensions)}; got "
            f"{', '.join(learned.dimensions)} in {file}; learn them again with this policy"
        )
    return learned


def _replayed(file: str, policy: Policy, made_ms: int) -> Learned:
    replay = Replay(replace(policy, evidence=replace(policy.evidence, mode="shadow")))
    for _ in played([file], replay):
        pass  # what it raises is known already
    learned, seen = replay.learned(), replay.seen
    disorder = out_of_order(seen, policy)
    if bad := bad_lines(seen):
        sys.stderr.write(f"{bad}\n")
    if disorder and not learned.nodes:
        raise UserError(f"a recorded file teaches in the order of time; got no full hour in {file}: {disorder}")
    if disorder:
        sys.stderr.write(f"warning: {disorder} of {file}: the rest was learned\n")
    if not learned.nodes:
        span = f"{(seen.last_ms - seen.first_ms) / 3_600_000:.1f} h" if seen.events else "no event"
        raise UserError(
            f"a recorded file teaches the full hours of the clock that it holds; got {span} in {file}; "
            "give a longer one"
        )
    return replace(learned, origin=Origin(policy.version, seen.first_ms, seen.last_ms, made_ms))
