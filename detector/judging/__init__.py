"""Tallies become outage events: the pane ring, the policy's streaks, who is named, and the life of an outage.

Everything is a function of the tallies log: the same records in the same order give the same events.
What a payment is, and how counts are made, is `detector.counting`'s; who is told is the shell's.
"""
