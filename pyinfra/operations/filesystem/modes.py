"""Whether a file has the mode that it should have."""

from __future__ import annotations

import re

from ..util.files import ensure_mode_int

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=][rwxXst]*)+)")
_CHANGE = re.compile(r"([-+=])([rwxXst]*)")
_CLASS_BITS = {"u": 0o4700, "g": 0o2070, "o": 0o1007, "a": 0o7777}
_PERMISSION_BITS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000, "t": 0o1000}


def has_mode(current: int, wanted: int | str, is_directory: bool = False) -> bool:
    """Whether ``chmod wanted`` would leave a file as it is.

    Args:
        current: the file's mode, as facts have it: its decimal digits are the octal ones
        wanted: a mode as ``chmod`` takes it; integers as above
        is_directory: whether the file is a folder
    """
    mode = ensure_mode_int(wanted)
    bits = int(str(current), 8)
    if not isinstance(mode, int):
        return _apply(bits, str(mode), is_directory) == bits
    wanted_bits = int(str(mode), 8)
    # GNU chmod leaves the set-user-ID and set-group-ID bits of folders as they are
    kept = bits & _PERMISSION_BITS["s"] if is_directory else 0
    return bits == wanted_bits | kept


def _apply(bits: int, symbolic: str, is_directory: bool) -> int | None:
    """The mode bits that a symbolic mode makes of others; ``None`` if only ``chmod`` can tell."""
    for text in symbolic.split(","):
        clause = _CLAUSE.fullmatch(text)
        if clause is None:
            return None
        # Without a class the umask counts too; a file that has all it could give needs nothing, whatever the umask
        classes = 0
        for letter in clause[1] or "a":
            classes |= _CLASS_BITS[letter]
        for sign, letters in _CHANGE.findall(clause[2]):
            change = 0
            for letter in letters:
                if letter == "X":
                    letter = "x" if is_directory or bits & 0o111 else ""
                change |= _PERMISSION_BITS.get(letter, 0)
            change &= classes
            if sign == "+":
                bits |= change
            elif sign == "-":
                bits &= ~change
            else:
                bits = (bits & ~classes) | change
    return bits
