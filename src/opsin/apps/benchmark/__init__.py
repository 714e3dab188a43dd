"""Opsin against the other programs that train and run the same networks here: `opsin bench`.

Nothing is imported here, because interpreters that have no other part of Opsin load the modules of `workers`.
"""
