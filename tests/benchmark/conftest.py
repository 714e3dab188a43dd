from tests.benchmark.workers import pretending

__all__ = ["pretending"]
