"""The doctor: looks at a sample of what really flows through Kafka and says which mistakes are in it, and the mend.

Lives here: the sample (`checkup.py`) and the checks over it, one small file each in `checks/`, pure functions.
Does not live here: connecting, printing, or anything that changes a topic.
"""
