"""How cost grows: a ledger's memory and a source's tallies with the rate, the work with workers and partitions."""
