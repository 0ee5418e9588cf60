"""A worker at rated load for an hour: memory flat, no queue that grows, a tick that takes no longer than it did.

Lives here: the looks at the worker, the line through them, the verdict. The load and the worker are `streams.stress`'s,
and how much a worker can take is not asked here.
"""
