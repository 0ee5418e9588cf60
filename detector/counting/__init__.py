"""Events become tallies: decoders, columns, the ledger of a source, and the Counter that cuts it into absolute counts.

Everything here is a function of the events read so far, in any order and any batches; hot loops are compiled.
Where events come from is the shell's business, and what counts mean is `detector.judging`'s.
"""
