"""Faithfulness: does a map show what the network uses? What happens to the answer if places are removed."""
