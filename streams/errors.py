"""The errors a person can mend: shown as one sentence, without a traceback.

Knows nothing of commands, Kafka or settings; it is what all of them may raise.
"""


class UserError(Exception):
    """A mistake in the call or the settings, worded "what; got; do"; the command ends with exit code 2."""
