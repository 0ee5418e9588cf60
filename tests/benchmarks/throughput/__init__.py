"""How many events a second are counted, beside bare drains and other stream processors doing the same or less.

A broker is loaded first; then every participant reads it in a process of its own, in turns, round after round. What a
participant does is its module's; how rows become goals and a page is `goals` and `report`.
"""
