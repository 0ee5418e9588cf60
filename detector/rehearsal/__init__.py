"""Rehearsals: made shops (`simulate` and its parts) and recorded days played through the detector (`replay`).

What they play through is the very Counter and Judge of the worker; nothing of those is repeated here.
Files, Kafka and real time are not known here: events come and go as values.
"""
