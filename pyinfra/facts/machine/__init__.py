"""The facts of :mod:`pyinfra.facts.server`, by idea; their public home is there, and they are named after it."""
