"""The arithmetic of a network, number by number: the terms of each result, added in the engine's order, to its bits."""
