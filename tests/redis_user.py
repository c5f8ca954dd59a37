"""The user of an ACL as the page on running on Redis has it: what people copy is what is tested."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "run-on-redis.md"
NAMESPACE, USER = "orders", "durable:secret"  # as they are on the page


def documented_user() -> list[str]:
    """Return the command that makes it."""
    (line,) = re.findall(r"^ACL SETUSER .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return line.split()
