"""The shell around `detector`: everything that touches Kafka, HTTP, a clock, a file or a terminal.

Here live the settings, the Faust worker, the embedded Kafka, the metrics and the commands. No rule about payments is
decided here: what counts, what is bad and what is an outage is asked of `detector`.
"""
