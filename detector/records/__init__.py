"""The bytes of a fetch become records: Kafka's record batches opened by compiled loops, no object a record.

Everything is a function of the bytes and of the position they were asked for at; whatever they say of themselves is
checked. Which client fetched them is the shell's business, and what a value means is `detector.counting`'s.
"""
