"""The process that runs code: workflows by way of the engine, activities on its loop, in threads and in processes."""

from ._worker import Worker

__all__ = ["Worker"]
