"""Real faults on a real Kafka of three brokers: workers and brokers are killed, frozen and filled up under load.

`make faults` does one after the other to the same installation and then asks whether anything was lost.
"""
