from tests.apps.benchmark.workers import pretending

__all__ = ["pretending"]
