"""How quick a store is under this package, and how quick it could be: the workloads and the floor that `durable bench` measures.

A workload is run on a new store beside the one that is named, with one worker in the same process as the client. Then the floor:
the rows or entries that it wrote are written again with nothing around them.
"""

from ._bench import Bench, Figure, Part, Sample, one_pass
from ._costs import Costs, Look
from ._lines import Line, lines_of, number
from ._place import Place, place_of
from ._workloads import IN_ONE_PROCESS, Scale, Workload, sized

__all__ = [
    "IN_ONE_PROCESS",
    "Bench",
    "Costs",
    "Figure",
    "Line",
    "Look",
    "Part",
    "Place",
    "Sample",
    "Scale",
    "Workload",
    "lines_of",
    "number",
    "one_pass",
    "place_of",
    "sized",
]
