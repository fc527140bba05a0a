"""One file, from ``bench_source`` here to ``bench_target`` there."""

from pyinfra import host
from pyinfra.operations import files

files.put(name="One file", src=host.data.bench_source, dest=host.data.bench_target)
