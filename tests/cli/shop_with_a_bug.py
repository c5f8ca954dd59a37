"""A module that cannot be imported, since it asks for another that is not there."""

import no_such_module_anywhere  # type: ignore[import-not-found]  # noqa: F401
