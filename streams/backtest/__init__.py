"""The edges of a back-test: the file of known incidents, the table and JSON of its figures, and the picture of the day.

What is found or false is `detector.rehearsal.score`'s to say, and nothing is replayed here.
"""
