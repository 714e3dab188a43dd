"""The programs that are compared. Each runs in a separate process, possibly with another interpreter.

A module here imports its library, NumPy and `worker`, but nothing else of Opsin, except for `native`, Opsin itself.
"""
