"""The version of this pyinfra."""

__version__ = "3.11.0"
