"""Rehearsals: made shops (`simulate` and its parts), recorded days played through the detector (`replay`), and how well
it did on them (`score` and its parts).

What they play through is the very Counter and Judge of the worker; nothing of those is repeated here.
Files, Kafka and real time are not known here: events come and go as values.
"""
