"""From a network of real numbers to one of 8-bit integers: ranges, scales, the rewritten graph, and what it costs."""
