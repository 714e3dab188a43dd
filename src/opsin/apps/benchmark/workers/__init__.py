"""The programs that are compared, each in a process of its own, and possibly of another interpreter.

A module here imports its library, NumPy, and `worker`, and nothing else of Opsin, except `native`, which is Opsin.
"""
