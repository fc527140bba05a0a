"""The works, in the order in which they run."""

from __future__ import annotations

from ..work import Work
from . import docker, engine, far, put, session, ssh, start

_MODULES = (start, engine, ssh, far, put, session, docker)
WORKS: dict[str, Work] = {work.name: work for module in _MODULES for work in module.WORKS}
