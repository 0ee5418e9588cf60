"""Kafka to Counter to tallies: the own consumer of the feeds, one lane a source, dead letters, recovery.

A batch is fetched, decoded and counted in a thread beside the event loop, its tallies are written to the tallies log.
Nothing here judges, and nothing here reads the tallies log.
"""
