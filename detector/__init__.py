"""Pastille's pure core: payment and order events become tallies, tallies become outage events.

Here live the contracts, the counting, the judging and the rehearsals on recorded days; each takes events and times as
arguments and returns values. Nothing here reads a clock, touches a file or a network, logs, draws a random number that
no seed decides, or imports `streams`.
"""
