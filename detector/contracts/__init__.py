"""What is said, and in which words: scopes, the wire's contracts, the operator's policy, response codes.

Everything else imports from here, and nothing here imports from the rest. A change of a name, a field, a default or a
range begins in this folder; how events are counted or judged is not known here.
"""
