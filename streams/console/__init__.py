"""The console: what people look at in a browser; until the control screen is made, one plain page.

Lives here: the state behind a screen (`board`), the page and its server (`page`).
Does not live here: judging, Kafka, and any knowledge of where outages and rates come from.
"""
