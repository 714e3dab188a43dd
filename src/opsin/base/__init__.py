"""Common foundations: errors, locks, caches, atomic files, processors, formatting, random numbers."""
