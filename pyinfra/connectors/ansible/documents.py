"""Files that hold a tree of data: YAML, JSON or TOML."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from pyinfra.api.command import MaskString
from pyinfra.api.exceptions import InventoryError
from pyinfra.api.masking import masked

from . import vault
from .model import UnsafeText, Variable, Variables

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node

INSTALL_YAML = "install PyYAML: pip install pyyaml, or pyinfra[ansible]"


@dataclass(frozen=True, slots=True)
class Document:
    """What is in a file.

    Args:
        path: the file
        content: the tree of data
        lines: on which line each key is, by the path of keys; JSON and TOML do not tell
        is_secret: whether ``ansible-vault`` has encrypted the file
    """

    path: str
    content: Any
    lines: Mapping[tuple[Any, ...], int] = field(default_factory=dict)
    is_secret: bool = False

    def place(self, *keys: Any) -> str:
        """Where a key is written, as exactly as is known."""
        for length in range(len(keys), 0, -1):
            if keys[:length] in self.lines:
                return f"{self.path} line {self.lines[keys[:length]]}"
        return self.path

    def variables(self, content: Any, *keys: Any) -> Variables:
        """A mapping of variables, which is at this path of keys; ``None`` is an empty one."""
        if content is None:
            return {}
        if not isinstance(content, Mapping):
            shown = repr(self.shown(content))
            raise InventoryError(f"{self.place(*keys)}: should be a mapping of variables, got {shown}")
        return {str(key): Variable(self._own(value), self.place(*keys, key)) for key, value in content.items()}

    def shown(self, value: Any, name: Any = None) -> Any:
        """Something of the content as errors may show it, by the name that it has there, if any."""
        return masked({name: self._own(value)})[name]

    def _own(self, value: Any) -> Any:
        return vault.hidden(value) if self.is_secret else value


def read_text(path: str) -> str:
    """A file's text; if ``ansible-vault`` has written it, what that decrypts to, as a :class:`MaskString`."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except UnicodeError as error:
        raise InventoryError(f"{path} is not UTF-8 ({error}): is it an inventory?") from error
    except OSError as error:
        raise InventoryError(f"Cannot read {path}: {error.strerror}") from error
    return vault.decrypt(text, path) if text.startswith(vault.HEADER) else text


def parse_document(text: str, path: str) -> Document:
    """A file's text as a tree, according to its name and first character; the text of YAML where neither tells."""
    is_secret = isinstance(text, MaskString)
    # Names in it are none, whatever methods a secret has of its own
    text = str.__str__(text)
    if os.path.splitext(path)[1] == ".toml":
        return Document(path, _parse_toml(text, path), is_secret=is_secret)
    if text.lstrip().startswith(("{", "[")):
        try:
            return Document(path, json.loads(text), is_secret=is_secret)
        except ValueError as error:
            if path.endswith(".json"):
                raise InventoryError(f"{path} is no valid JSON: {error}") from None
    return _parse_yaml(text, path, is_secret)


def _parse_toml(text: str, path: str) -> Any:
    try:
        import tomllib  # type: ignore[import-not-found]
    except ImportError:
        raise InventoryError(f"{path}: TOML needs Python 3.11 or newer: write this as YAML") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InventoryError(f"{path} is no valid TOML: {error}") from None


@cache
def _loader_class() -> Any:
    """PyYAML's safe loader, which knows Ansible's tags as well."""
    import yaml

    class Loader(yaml.SafeLoader):
        # Set for each document
        path = ""

    def place(loader: Loader, node: Node) -> str:
        return f"{loader.path} line {node.start_mark.line + 1}"

    def encrypted(loader: Loader, node: Any) -> Any:
        return vault.decrypt(str(loader.construct_scalar(node)), place(loader, node))

    def unsafe(loader: Loader, node: Any) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return UnsafeText(loader.construct_scalar(node))
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        return loader.construct_mapping(node, deep=True)

    for tag in ("!vault", "!vault-encrypted"):
        Loader.add_constructor(tag, encrypted)
    Loader.add_constructor("!unsafe", unsafe)
    return Loader


def _parse_yaml(text: str, path: str, is_secret: bool) -> Document:
    try:
        import yaml
    except ImportError:
        raise InventoryError(f"{path} is YAML, which needs a library: {INSTALL_YAML}") from None
    loader = _loader_class()(text)
    loader.path = path
    # In place of the library's words, which can quote what is there
    see_it = f"see `ansible-vault view {path}`" if is_secret else ""
    lines: dict[tuple[Any, ...], int] = {}
    try:
        node = loader.get_single_node()
        content = None if node is None else loader.construct_document(node)
        _note_lines(loader, node, (), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = path if mark is None else f"{path} line {mark.line + 1}"
        why = see_it or error.problem or error.context
        raise InventoryError(f"{where}: no valid YAML: {why}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InventoryError(f"{path} is no valid YAML: {see_it or error}") from None
    finally:
        loader.dispose()
    return Document(path, content, lines, is_secret)


def _note_lines(loader: Any, node: Any, path: tuple[Any, ...], lines: dict[tuple[Any, ...], int]) -> None:
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return
    mapping: MappingNode = node
    for key_node, value_node in mapping.value:
        if isinstance(key_node, yaml.ScalarNode):
            key_path = (*path, loader.construct_object(key_node))
            lines[key_path] = key_node.start_mark.line + 1
            _note_lines(loader, value_node, key_path, lines)
