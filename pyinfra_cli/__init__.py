"""The command line: options, loading files, rendering events."""

from __future__ import annotations

import gc

# Nearly all that a run makes lives to its end. With Python's own 700, looking for garbage among it again and again took
# a third of a run over 3,000 hosts; what is given up is some memory for the little garbage that there is
_OBJECTS_BETWEEN_COLLECTIONS = 50_000


def prepare_process() -> None:
    """Have the standard library's blocking calls let other hosts go on (gevent), and garbage be looked for less often.

    Called after the options are read and before anything else is imported: ``--version``, ``--help`` and mistyped
    options cost no more than reading them.
    """
    from gevent import monkey

    if not monkey.is_module_patched("socket"):
        monkey.patch_all()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 20, 100)
