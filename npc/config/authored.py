"""Files that people write by hand (characters, voices, scenarios): YAML in, a checked pydantic model out.

Every complaint names the file, the line and the field: the author is looking at an editor, not at a stack trace.

    demo/characters/mira.yaml:14: personality.openness: Input should be less than or equal to 1

JSON is read too (YAML contains it). Only the safe tags are known, a key may stand once, and size and depth are bounded
before parsing, also the size that aliases would unfold to.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)

#: A 200 kB biography with a thousand facts is about 500 kB; ten times that is surely a mistake.
MAX_BYTES = 5_000_000
MAX_NODES = 200_000
#: Levels of nesting; a story's deepest condition has ten. The parser's own stack ends the process at some ten thousand.
MAX_DEPTH = 100

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class AuthoredFileError(ValueError):
    """A hand-written file cannot be used. `problems` holds one "file:line: field: complaint" each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def read_text(path: Path) -> str:
    """The file as text. Raises AuthoredFileError when it is missing, too large or not UTF-8 (naming the line)."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise AuthoredFileError([f"{path}: {size} bytes is over the limit of {MAX_BYTES}: split the file"])
        raw = path.read_bytes()
    except OSError as error:
        raise AuthoredFileError([f"{path}: cannot be read: {error.strerror or error}"]) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise AuthoredFileError([f"{path}:{line}: not UTF-8 text: save the file as UTF-8"]) from error


def parse(text: str, model: type[Model], name: str = "<text>") -> Model:
    """Check `text` against `model`; messages call it `name`. Raises AuthoredFileError with every problem found."""
    try:
        _check_depth(text, name)
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if root is not None:
                _check_tree(root, name)
            data = None if root is None else _construct(loader, root, name)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        raise AuthoredFileError([f"{name}:{line}: not valid YAML: {error.problem or error.context}"]) from error
    except yaml.YAMLError as error:
        raise AuthoredFileError([f"{name}: not valid YAML: {error}"]) from error
    if root is None or not isinstance(data, dict):
        raise AuthoredFileError([f"{name}:1: the file must hold a mapping of fields, found {type(data).__name__}"])
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise AuthoredFileError(
            [f"{name}:{_line(root, e['loc'])}: {_field(e['loc'])}: {_complaint(e)}" for e in error.errors()]
        ) from error


def load(path: Path, model: type[Model]) -> Model:
    """Read and check one file. A file that has not changed since is not read again: a server lists its characters for
    every client, and checking one takes 5-20 ms. Models are frozen, so one may be shared."""
    try:
        state = path.stat()
    except OSError:
        return parse(read_text(path), model, str(path))
    return cast(Model, _unchanged(path, model, state.st_mtime_ns, state.st_size, state.st_ino))


@lru_cache(maxsize=256)
def _unchanged(path: Path, model: type[BaseModel], *_state: int) -> BaseModel:
    return parse(read_text(path), model, str(path))


def published(schema: dict[str, Any], name: str, title: str = "") -> dict[str, Any]:
    """A model's JSON Schema as it lies in `docs/schemas`: dialect, file name, and a title where one is given."""
    titled = {"title": title} if title else {}
    return {**schema, "$schema": "https://json-schema.org/draft/2020-12/schema", "$id": name, **titled}


def line_of(text: str, where: Sequence[str | int]) -> int:
    """Line (from 1) of the value at `where`, e.g. ("facts", 3, "text"); the nearest parent's where it is missing."""
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
    finally:
        loader.dispose()
    return 1 if root is None else _line(root, where)


def _check_depth(text: str, name: str) -> None:
    """Refuse deep nesting while it is read, one event at a time."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark is not None else 1
                raise AuthoredFileError([f"{name}:{line}: nested more than {MAX_DEPTH} levels deep"])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _construct(loader: Any, root: yaml.Node, name: str) -> Any:
    """The values of the tree. What looks like a number or date and is none has no line in YAML's own complaint."""
    try:
        return loader.construct_document(root)
    except (ValueError, OverflowError) as error:
        # The node that could not be made is still among those under way.
        at = next((node for node in loader.recursive_objects if isinstance(node, yaml.ScalarNode)), root)
        where = f"{name}:{at.start_mark.line + 1}: {at.value!r}"
        raise AuthoredFileError([f"{where} is not what it looks like ({error}): put the text in quotes"]) from error


def _check_tree(root: yaml.Node, name: str) -> None:
    """Refuse duplicate keys, and trees that unfold past MAX_NODES (alias bombs) or contain themselves."""
    problems: list[str] = []
    count = 0
    stack: list[tuple[yaml.Node, tuple[int, ...]]] = [(root, ())]
    while stack:
        node, above = stack.pop()
        count += 1
        if count > MAX_NODES:
            raise AuthoredFileError([f"{name}: more than {MAX_NODES} values (aliases unfolded): split the file"])
        if id(node) in above:
            raise AuthoredFileError([f"{name}:{node.start_mark.line + 1}: an alias contains itself"])
        inside = (*above, id(node))
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if key.value in seen if isinstance(key, yaml.ScalarNode) else False:
                    problems.append(f"{name}:{key.start_mark.line + 1}: the key {key.value!r} stands twice")
                if isinstance(key, yaml.ScalarNode):
                    seen.add(key.value)
                stack.append((value, inside))
        elif isinstance(node, yaml.SequenceNode):
            stack.extend((value, inside) for value in node.value)
    if problems:
        raise AuthoredFileError(problems)


def _line(root: yaml.Node, where: Sequence[str | int]) -> int:
    node = root
    line: int = root.start_mark.line + 1
    for step in where:
        found: tuple[yaml.Node, yaml.Node] | None = None
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if getattr(k, "value", None) == str(step)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            found = (node.value[step], node.value[step])
        if found is None:
            # pydantic puts names of union members into the path; they have no node of their own.
            continue
        line = found[0].start_mark.line + 1
        node = found[1]
    return line


def _complaint(error: Any) -> str:
    text = str(error["msg"])
    if error["type"] == "extra_forbidden" and error["input"] is None:
        return f"{text} (a comma inside {{...}} ends a value: put the text in quotes)"
    return text


def _field(where: Sequence[str | int]) -> str:
    return ".".join(str(step) for step in where) or "(file)"
