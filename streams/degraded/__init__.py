"""What a worker depends on and cannot mend: Kafka, the readers of outages, its disk, its clock; and how it is said.

Each is noticed here, shown in one place (`board`), and over by itself. How counting and judging survive it is not here:
it is theirs.
"""
