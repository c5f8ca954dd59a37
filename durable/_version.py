"""The version of the package, in one place: the build and the public face read it here."""

__version__ = "0.1.0"
