"""The demo: a scene (`scene`), its processes (`stage`, `actor`), what is seen (`seeing`), a terminal view (`screen`).

Lives here: only what makes one machine show the product at work. The worker, the simulator and Kafka are the real ones.
Does not live here: the plain page, which is the console's, and anything that production needs.
"""
