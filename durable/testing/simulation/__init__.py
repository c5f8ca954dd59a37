"""Deterministic simulation of the whole system: one seed, one run, bit by bit the same."""

from ._chaos import CALM, Chaos
from ._coverage import Report
from ._random_programs import RandomPrograms
from ._scenario import Recoverable, Scenario
from ._simulate import SimulationError, simulate

__all__ = ["CALM", "Chaos", "RandomPrograms", "Recoverable", "Report", "Scenario", "SimulationError", "simulate"]
