"""How fast pyinfra is, and how much memory it takes: ``benchmarks/run``."""
