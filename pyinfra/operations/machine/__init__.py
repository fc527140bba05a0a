"""The operations of :mod:`pyinfra.operations.server`, by idea; they are named after that module, their public home."""

from __future__ import annotations

from ..util.homes import named_after

of_server = named_after("pyinfra.operations.server")
