"""Where an operation stands in the deploy code, and how the hosts' own orders become one."""

from __future__ import annotations

import heapq
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from itertools import pairwise
from types import FrameType
from typing import TYPE_CHECKING, Any

import pyinfra

from .arguments import all_argument_meta
from .exceptions import PyinfraError
from .hiddenvalue import HiddenValue
from .util import sha1_hash

if TYPE_CHECKING:
    from .host import Host
    from .state import State

_OWN_FOLDERS = tuple(
    os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), package) + os.sep
    for package in ("pyinfra", "pyinfra_cli")
)
# Whether the code in a file is pyinfra's own: asked for every frame of every operation call
_is_own: dict[str, bool] = {}


def _is_users(frame: FrameType) -> bool:
    """Whether a call is of code that is not pyinfra's own."""
    filename = frame.f_code.co_filename
    own = _is_own.get(filename)
    if own is None:
        own = _is_own[filename] = os.path.abspath(filename).startswith(_OWN_FOLDERS)
    return not own


def call_lines(frame: FrameType | None) -> list[int]:
    """The line numbers of the calls that lead to ``frame``, outermost first, pyinfra's own left out."""
    lines = []
    while frame is not None:
        if _is_users(frame):
            lines.append(frame.f_lineno)
        frame = frame.f_back
    lines.reverse()
    return lines


def user_frame(frame: FrameType | None) -> FrameType | None:
    """The innermost call that leads to ``frame`` and is not pyinfra's own."""
    while frame is not None and not _is_users(frame):
        frame = frame.f_back
    return frame


def position_of(state: State, host: Host, operation_name: str) -> tuple[tuple[int, ...], str]:
    """Where in the deploy code an operation is being called, and the hash that it has there on all hosts."""
    lines = call_lines(sys._getframe(1))
    parent_hash = host.executing_op_hash
    if parent_hash is not None:
        place: tuple[int, ...] = (*state.op_meta[parent_hash].op_order, *lines)
        kind = parent_hash
    elif pyinfra.is_cli:
        place = (state.current_op_file_number, *lines, *host.loop_position)
        kind = ""
    else:
        return _position_in_program(state, host, operation_name, lines)
    times = _times_before(host, place)
    if times:
        place = (*place, times)
    return place, sha1_hash(f"{kind} {place} {times}")


def _position_in_program(
    state: State,
    host: Host,
    operation_name: str,
    lines: list[int],
) -> tuple[tuple[int, ...], str]:
    """Likewise in API mode: the count of operations on the host, and the call that adds them (see ``State``)."""
    place = (len(state.ops[host]),)
    call = ("outside add_op", *place) if host.adding is None else ("add_op", host.adding)
    times = _times_before(host, call)
    return place, sha1_hash(f"{operation_name} {lines} {call} {times}")


class _Itself:
    """Stands for an object that is like no other."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def _described(value: Any) -> Hashable:
    """What is equal, and has one hash, for equal values; secrets are not looked at, nor objects that have no hash."""
    kind = type(value)
    if isinstance(value, dict):
        return kind, frozenset((key, _described(item)) for key, item in value.items())
    if kind in (list, tuple):
        return (kind, *map(_described, value))
    if kind in (set, frozenset):
        return kind, frozenset(map(_described, value))
    if isinstance(value, HiddenValue):
        return _Itself(value)
    try:
        hash(value)
    except TypeError:
        return _Itself(value)
    return kind, value


def described_call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Hashable:
    """What ``add_op`` or ``add_deploy`` is asked for, equal for equal calls; of global arguments the name alone."""
    own = {key: value for key, value in kwargs.items() if key == "name" or key not in all_argument_meta}
    return _described((function, args, own))


def _times_before(host: Host, place: tuple[Any, ...]) -> int:
    """How often a place has called operations on a host before this time."""
    times = host.calls_at.get(place, 0)
    host.calls_at[place] = times + 1
    return times


def merge_orders(
    chains: Iterable[tuple[str, ...]],
    positions: Mapping[str, tuple[int, ...]],
    names: Mapping[str, str],
) -> list[str]:
    """One order of operations that keeps each host's own; where that leaves a choice, the earlier position is first.

    Args:
        chains: each host's operations, in its order (hosts that agree need to be given once)
        positions: each operation's place in the deploy code; of two at one place, the first one here is the earlier
        names: what to call the operations in an error
    """
    followers: dict[str, set[str]] = defaultdict(set)
    blockers: dict[str, int] = {}
    for chain in chains:
        for op_hash in chain:
            blockers.setdefault(op_hash, 0)
        for before, after in pairwise(chain):
            if after not in followers[before]:
                followers[before].add(after)
                blockers[after] += 1

    rank = {op_hash: (position, number) for number, (op_hash, position) in enumerate(positions.items())}
    free = [(rank[op_hash], op_hash) for op_hash, count in blockers.items() if not count]
    heapq.heapify(free)
    order = []
    while free:
        _, op_hash = heapq.heappop(free)
        order.append(op_hash)
        for after in followers[op_hash]:
            blockers[after] -= 1
            if not blockers[after]:
                heapq.heappush(free, (rank[after], after))

    if len(order) < len(blockers):
        placed = set(order)
        stuck = sorted((positions[op_hash], names[op_hash]) for op_hash in blockers if op_hash not in placed)
        listed = "\n".join(f"   - {name}{_lines_of(position)}" for position, name in stuck)
        raise PyinfraError(
            "The hosts run these operations in orders that contradict each other, so there is none for all of them:\n"
            f"{listed}\nOperations in a loop whose items differ between hosts need `for x in host.loop(items)`.",
        )
    return order


def _lines_of(position: tuple[int, ...]) -> str:
    """The lines of a place in deploy files, in words; one in API mode has none."""
    return f" (line {', '.join(map(str, position[1:]))})" if position[1:] else ""
