"""Records that are wrong in every way we can think of, sent the whole way from the bytes of a fetch to dead letters.

Lives here: what spoils a record or a batch, the way they go, the second opinion on it, and what is compared. Nothing
of it needs Kafka. What it found stays in `corpus`, a file each.
"""
