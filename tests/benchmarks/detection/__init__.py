"""`make bench-detection`: how soon and how falsely the engine speaks, beside the exact limit and its peers.

    streams ──▶ engine, peers ──▶ rows ──▶ report (tables, goals, picture)       bound: what nobody can do better

All streams are simulated and seeded. What a run measured is kept as rows in a JSON file; goals are worked out from
these rows anew at every run.
"""
