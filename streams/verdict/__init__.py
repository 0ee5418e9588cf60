"""Tallies topic to Judge to outages: the Faust agent, the Judge's snapshots in a Faust table, the fenced outbox.

What a clock decides is written to the tallies log first and obeyed when read back. Nothing here counts payments, and
no rule about an outage is decided here.
"""
