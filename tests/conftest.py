"""Settings that every test shares: Hypothesis profiles, and the size of the execution cache."""

import os

from hypothesis import HealthCheck, settings

from durable import _limits

settings.register_profile("dev", max_examples=50, deadline=None)
# In CI a run must depend on the code alone: the same examples each time, and no deadline, since machines differ.
settings.register_profile(
    "ci", max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

# The suite runs a second time with DURABLE_TEST_CACHE=0: then no execution is kept, and every step replays its run.
# Set before any test imports the engine, so that it holds wherever the limit is used as a default.
if cache := os.environ.get("DURABLE_TEST_CACHE"):
    _limits.CACHE_RUNS_MAX = int(cache)
