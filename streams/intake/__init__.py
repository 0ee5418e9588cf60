"""Kafka to Counter to tallies: the own consumer of the feeds, one lane a source, dead letters, recovery.

Bytes are fetched, opened, decoded and counted in a thread beside the event loop, tallies are written to their log.
Nothing here judges, and nothing here reads the tallies log.
"""
