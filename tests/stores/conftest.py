"""Failed assertions of the shipped suite are explained like those of a test module."""

import pytest

pytest.register_assert_rewrite("durable.testing.conformance")
