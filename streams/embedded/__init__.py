"""A real Apache Kafka on this machine, from nothing but Python wheels: for the demo, for tests, for trying things out.

Lives here: fetching and checking Kafka's jars, its configuration, its certificates, starting and surely ending it.
Does not live here: anything that knows payments or our topics, and nothing that production needs.
"""

from streams.embedded.cluster import EmbeddedKafka

__all__ = ["EmbeddedKafka"]
