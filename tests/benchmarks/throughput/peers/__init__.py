"""Other programs on the same topic, one a file, each written as its own documentation would.

Each counts events by bank x method x status in panes of five seconds, or only drains where its name says so; none joins
a payment's statuses, which spares them work. Each is a process of its own and needs nothing of ours but the meter.
"""
