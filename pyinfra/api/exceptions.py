"""The errors that pyinfra raises on purpose: all derive from :class:`PyinfraError`."""

from __future__ import annotations

import sys


class PyinfraError(Exception):
    """Something that the user can understand and mend; shown without a traceback."""


class ConnectError(PyinfraError):
    """A host cannot be reached, or the connection to it broke."""


class FactError(PyinfraError):
    """A fact could not be read."""


class FactTypeError(FactError, TypeError):
    """A fact was asked for with arguments of the wrong type."""


class FactValueError(FactError, ValueError):
    """A fact was asked for with a value that it cannot work with."""


class FactProcessError(FactError, RuntimeError):
    """The output of a fact's command could not be understood."""


class OperationError(PyinfraError):
    """An operation cannot do what it was asked to."""


class OperationTypeError(OperationError, TypeError):
    """An operation was called with an argument of the wrong type."""


class OperationValueError(OperationError, ValueError):
    """An operation was called with a value that it cannot work with."""


class NestedOperationError(OperationError):
    """An operation that a callback called has failed."""


class FactNotCollected(FactError):
    """A fact was not read because the host lacks what it needs."""


class MissingCommandError(FactNotCollected):
    """The host lacks the program that a fact needs."""

    def __init__(self, command: str) -> None:
        self.command = command
        super().__init__(f"Missing command: {command}")


class FactPreconditionError(FactNotCollected):
    """A fact's :meth:`FactBase.check_preconditions` refused to read it."""

    def __init__(self, fact_cls: type, reason: str) -> None:
        self.fact_cls = fact_cls
        self.reason = reason
        super().__init__(f"Cannot collect fact {fact_cls.__name__}: {reason}")


class DeployError(PyinfraError):
    """A deploy cannot go on."""


class InventoryError(PyinfraError):
    """The inventory is wrong."""


class NoConnectorError(PyinfraError, ValueError):
    """No connector has the name asked for."""


class NoHostError(PyinfraError, KeyError):
    """The inventory has no host of that name."""

    __str__ = Exception.__str__


class NoGroupError(PyinfraError, KeyError):
    """The inventory has no group of that name."""

    __str__ = Exception.__str__


class ConnectorDataTypeError(PyinfraError, TypeError):
    """Host data that a connector reads has the wrong type."""


class ArgumentTypeError(PyinfraError, TypeError):
    """A global argument has the wrong type, or is a number that it cannot be."""


def is_transport_error(error: BaseException) -> bool:
    """Whether an error is one by which connectors fail a command: a time-out, the system's, or paramiko's."""
    # Who raises paramiko's errors has loaded it
    paramiko = sys.modules.get("paramiko")
    # Time-outs are errors of the system's
    return isinstance(error, OSError if paramiko is None else (OSError, paramiko.SSHException))
