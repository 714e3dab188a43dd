"""`opsin serve`: models behind HTTP, with batching under load, limits and metrics."""
