"""What every package uses: errors, locks, caches, processors, formatting, random numbers."""
