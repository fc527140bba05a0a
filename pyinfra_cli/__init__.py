"""The command line: options, loading files, rendering events."""

from __future__ import annotations


def prepare_process() -> None:
    """Have the standard library's blocking calls let other hosts go on (gevent), once per process.

    Called after the options are read and before anything else is imported: ``--version``, ``--help`` and mistyped
    options cost no more than reading them.
    """
    from gevent import monkey

    if not monkey.is_module_patched("socket"):
        monkey.patch_all()
