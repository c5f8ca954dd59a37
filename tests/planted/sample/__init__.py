"""The sample workflows, their properties, and the program that looks for bugs; copied beside the package, and run there."""

RULES = (
    "is_charged_once", "is_settled", "can_be_cancelled", "loses_no_item", "keeps_the_order", "drops_repeats", "has_said_all",
    "has_a_sound_history", "gives_up_in_time", "ends_in_time",
)  # fmt: skip
"""The names of the properties in `rules.py`, which imports only beside a copy."""
