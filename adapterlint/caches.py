"""What is kept from one file for the next: bounded while a run lasts, and forgotten between runs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, wraps
from typing import Any, ParamSpec, Protocol, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


class _Clearable(Protocol):
    def clear(self) -> Any: ...


_C = TypeVar("_C", bound=_Clearable)
_forget: list[Callable[[], Any]] = []


def kept(size: int) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """`functools.lru_cache` of a size, emptied by `clear`."""

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        cached: Any = lru_cache(size)(function)
        _forget.append(cached.cache_clear)
        wrapper: Callable[_P, _R] = cached
        return wrapper

    return decorate


def remembered(size: int) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """What the last calls with the very same objects gave: rules that ask the same run one after the other."""

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        # The arguments are kept along, so that no other object comes to be where one of them was.
        last: dict[tuple[int, ...], tuple[tuple[Any, ...], _R]] = emptied({})

        @wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            key = tuple(map(id, args))
            if key in last:
                return last[key][1]
            made = function(*args, **kwargs)
            if len(last) >= size:
                del last[next(iter(last))]
            last[key] = args, made
            return made

        return call

    return decorate


def emptied(container: _C) -> _C:
    """The container itself, emptied by `clear`; whoever fills it bounds it."""
    _forget.append(container.clear)
    return container


def clear() -> None:
    """Forget everything that was kept, so that a run neither depends on the one before nor holds its memory."""
    for forget in _forget:
        forget()


@contextmanager
def one_run() -> Iterator[None]:
    """Keep a run from depending on the one before, and the collector from walking over all headers again and again."""
    enabled = gc.isenabled()
    gc.disable()  # nothing that is read is garbage before the end
    clear()
    try:
        yield
    finally:
        clear()
        if enabled:
            gc.enable()
