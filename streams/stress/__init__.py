"""Far more events than ever come, on a broker of yours: what held, and what was the first that did not.

Lives here: the load, the workers it is put on, the look at them once a second, the verdict. Does not live here: what
the events are (`detector.rehearsal`'s), or how they are counted (the workers are real ones).
"""
