"""Everything is read once before training: what is there, what is wrong with it, and how it is divided."""
