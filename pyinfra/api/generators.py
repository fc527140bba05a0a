"""Running an operation's generator, for its commands or to see whether it has any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .host import Host
    from .state import StateOperationHostData


def commands_of(host: Host, op_hash: str, op_data: StateOperationHostData) -> Iterator[Any]:
    """What an operation's generator yields, which finds on the host what belongs to the operation while it runs."""
    generator: Iterator[Any] | None = None
    while True:
        before = (
            host.in_op,
            host.current_op_hash,
            host.current_op_global_arguments,
            host.current_op_deploy_data,
            host.op_has_secrets,
        )
        host.in_op = op_data.sets_in_op
        host.current_op_hash = op_hash
        host.current_op_global_arguments = op_data.global_arguments
        host.current_op_deploy_data = op_data.deploy_data
        host.op_has_secrets = op_data.has_secrets
        try:
            if generator is None:
                generator = op_data.command_generator()
            command = next(generator)
        except StopIteration:
            return
        finally:
            (
                host.in_op,
                host.current_op_hash,
                host.current_op_global_arguments,
                host.current_op_deploy_data,
                host.op_has_secrets,
            ) = before
        yield command


def would_change(host: Host, op_hash: str, op_data: StateOperationHostData) -> bool:
    """Whether an operation has at least one command to run, as far as can be told now."""
    return next(commands_of(host, op_hash, op_data), None) is not None
