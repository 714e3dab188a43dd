from tests.apps.benchmark.workers import fake_workers

__all__ = ["fake_workers"]
