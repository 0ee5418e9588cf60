"""From an event on its topic to the outage event on its own, by the broker's times: `make bench-latency`."""
