"""The stack machine of pickle, run on descriptions: what would be imported and called is noted, nothing is."""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from adapterlint.errors import AdapterlintError

MAX_OPCODES = 1_000_000  # a tensor takes some 25

PickleErrorKind = Literal["empty", "html", "not-a-pickle", "broken", "truncated", "too-large"]


class PickleError(AdapterlintError):
    """The file is no torch pickle that can be read.

    Args:
        kind: What is wrong, one of `PickleErrorKind`.
        message: One sentence without a full stop.
        imports: What was imported up to there: a pickle that breaks off has run what stands before.
    """

    def __init__(self, kind: PickleErrorKind, message: str, imports: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.kind = kind
        self.imports = imports


@dataclass(frozen=True, slots=True)
class Global:
    """Something that a pickle imports, as `"module name"`."""

    path: str


@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """A dict or OrderedDict; only its string keys matter."""

    items: dict[str, object] = field(default_factory=dict)


OPAQUE = object()
"""A value that is none of those that describe tensors."""

_MARK = object()


class Machine:
    """Runs the pickles of one file.

    Args:
        call: What a callable, a `Global` mostly, gives for its tuple of arguments.
        load_persistent: What a persistent id stands for.
    """

    def __init__(self, call: Callable[[object, object], object], load_persistent: Callable[[object], object]) -> None:
        self.call = call
        self.load_persistent = load_persistent
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}
        self.protocol = 0
        self._imports: dict[str, None] = {}
        self._opcodes = 0

    @property
    def imports(self) -> tuple[str, ...]:
        """Everything imported so far, as `"module name"`, in order and once."""
        return tuple(self._imports)

    def run(self, stream: BinaryIO) -> object:
        """Run the next pickle of the stream and return its result; the stream is left behind its end.

        Raises:
            PickleError: The pickle is broken or too long.
        """
        self.stack, self.memo = [], {}
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                self._opcodes += 1
                if self._opcodes > MAX_OPCODES:
                    raise PickleError("too-large", f"the pickle has more than {MAX_OPCODES} opcodes", self.imports)
                self._step(opcode, argument)
            return self.stack.pop()
        except (ValueError, LookupError, TypeError, OverflowError, struct.error):
            # pickletools tells a bad argument in all these ways, some of them by accident.
            if stream.read(1):
                raise PickleError("broken", "the pickle has an opcode that does not fit", self.imports) from None
            raise PickleError("truncated", "the pickle breaks off before its end", self.imports) from None

    def push_import(self, path: str) -> None:
        """Note an import and push it."""
        self._imports[path] = None
        self.stack.append(Global(path))

    def pop_to_mark(self) -> list[object]:
        """Take the topmost mark and what lies above it off the stack, and return the latter."""
        index = len(self.stack) - 1
        while self.stack[index] is not _MARK:
            index -= 1
        items = self.stack[index + 1 :]
        del self.stack[index:]
        return items

    def _step(self, opcode: pickletools.OpcodeInfo, argument: object) -> None:
        handler = _HANDLERS.get(opcode.name)
        if handler is not None:
            handler(self, argument)
            return
        # Anything else is done by its description, and what it makes is of no interest unless it is a literal.
        for before in reversed(opcode.stack_before):
            if before is pickletools.stackslice:
                self.pop_to_mark()
            elif before is not pickletools.markobject:
                self.stack.pop()
        literal = opcode.arg is not None and not opcode.stack_before
        if isinstance(argument, str):  # which may have halves of surrogate pairs, and then be no text
            argument = argument.encode("utf-8", "backslashreplace").decode()
        self.stack.extend(argument if literal else OPAQUE for _ in opcode.stack_after)


def _proto(machine: Machine, protocol: object) -> None:
    machine.protocol = max(machine.protocol, int(str(protocol)))


def _put(machine: Machine, index: object) -> None:
    machine.memo[len(machine.memo) if index is None else int(str(index))] = machine.stack[-1]


def _get(machine: Machine, index: object) -> None:
    machine.stack.append(machine.memo[int(str(index))])


def _tuple(length: int) -> Callable[[Machine, object], None]:
    def handler(machine: Machine, _: object) -> None:
        if len(machine.stack) < length:
            raise IndexError(length)
        machine.stack[-length:] = [tuple(machine.stack[-length:])]

    return handler


def _set_items(machine: Machine, items: list[object]) -> None:
    target = machine.stack[-1]
    if isinstance(target, Mapping):
        pairs = zip(items[::2], items[1::2], strict=False)
        target.items.update((key, value) for key, value in pairs if isinstance(key, str))


def _set_item(machine: Machine, _: object) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    _set_items(machine, [key, value])


def _dict(machine: Machine, _: object) -> None:
    items = machine.pop_to_mark()
    machine.stack.append(Mapping())
    _set_items(machine, items)


def _reduce(machine: Machine, _: object) -> None:
    arguments, function = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.call(function, arguments))


def _stack_global(machine: Machine, _: object) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    known = isinstance(name, str) and isinstance(module, str)
    machine.push_import(f"{module} {name}" if known else "? ?")


def _instance(machine: Machine, path: object) -> None:
    machine.pop_to_mark()
    machine.push_import(str(path))
    machine.stack[-1] = OPAQUE


_HANDLERS: dict[str, Callable[[Machine, object], None]] = {
    "MARK": lambda machine, _: machine.stack.append(_MARK),
    "PROTO": _proto,
    "STOP": lambda machine, _: None,
    "DUP": lambda machine, _: machine.stack.append(machine.stack[-1]),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _get),
    "EMPTY_TUPLE": lambda machine, _: machine.stack.append(()),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.pop_to_mark())),
    "EMPTY_DICT": lambda machine, _: machine.stack.append(Mapping()),
    "DICT": _dict,
    "SETITEM": _set_item,
    "SETITEMS": lambda machine, _: _set_items(machine, machine.pop_to_mark()),
    "GLOBAL": lambda machine, path: machine.push_import(str(path)),
    "STACK_GLOBAL": _stack_global,
    "INST": _instance,
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), lambda machine, code: machine.push_import(f"copyreg extension-{code}")),
    "REDUCE": _reduce,
    "BUILD": lambda machine, _: machine.stack.__delitem__(-1),
    "BINPERSID": lambda machine, _: machine.stack.append(machine.load_persistent(machine.stack.pop())),
}
