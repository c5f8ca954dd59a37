"""What a run is found by: attributes, small typed values that a store keeps an index of."""

from ._event import CommandEvent

AttributeValue = str | int | float | bool | tuple[str, ...]
"""An attribute's value as it is stored. A time is text of fixed width in UTC, so that it compares as text."""


class AttributesUpserted(CommandEvent, frozen=True, kw_only=True):
    """The code set attributes of its run; one whose value is None is removed."""

    values: dict[str, AttributeValue | None]

    def summary(self) -> str:
        return f"attributes {', '.join(sorted(self.values))} (#{self.id})"
