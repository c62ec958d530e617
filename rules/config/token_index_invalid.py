"""CFG140."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapterlint import Config, Finding, Patch, Severity, rule, shown
from adapterlint.peft.fields import fields_of, token_key
from adapterlint.words import counted

_MAX_INDEX = 2**63  # PyTorch's integers end here


def _rows(count: int) -> dict[str, Any]:
    return {"base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta": ("F32", (count, 16))}


@rule(
    "CFG140",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch(config={"trainable_token_indices": [60, -1]}, tensors=_rows(2)),
        Patch(config={"trainable_token_indices": {"embed_tokens": [60, "61"]}}, tensors=_rows(2)),
        Patch(config={"trainable_token_indices": [60, 61.0]}, tensors=_rows(2)),
        Patch(config={"trainable_token_indices": [60, 60]}, tensors=_rows(2)),
    ),
    good=Patch(config={"trainable_token_indices": [60, 61]}, tensors=_rows(2)),
    source="peft/tuners/trainable_tokens/layer.py, TrainableTokensLayer",
)
def token_index_invalid(config: Config) -> Iterator[Finding]:
    """A token index is not a number of a row, or is given twice.

    The indices of `trainable_token_indices` (and of `token_indices`) count rows of the embedding from 0, one for
    each row of the tensor, in the same order. A negative index loads and ends every forward pass in `IndexError:
    index_copy_(): index -1 is out of bounds`, a fraction in a `RuntimeError`; text and `null` end loading. With a
    repeated index the rows compete for one token, and which one counts is undefined. An empty list cannot be
    loaded, or not run; `null` is what trains no token.

    Write the token ids that `tokenizer.convert_tokens_to_ids` gives, each once.
    """
    key = token_key(config.peft_type)
    if key not in fields_of(config.peft_type) or key not in config:
        return
    value = config.get(key)
    if isinstance(value, dict) and key == "trainable_token_indices":
        for name, indices in value.items():
            yield from _check(config, (key, name), indices)
    elif value is not None or key == "token_indices":
        yield from _check(config, (key,), value)


def _check(config: Config, route: tuple[str, ...], indices: Any) -> Iterator[Finding]:
    named = shown(route[-1])
    if not isinstance(indices, list):
        yield Finding(
            f"{named} is {shown(indices)} where a list of token indices belongs: loading or the forward pass fails",
            at=config.at(*route),
            help="Write the token indices as a list of integers.",
        )
        return
    if not indices:
        yield Finding(
            f"{named} has an empty list of token indices, which PEFT can neither load nor run",
            at=config.at(*route),
            help="Remove the entry." if len(route) > 1 else "Write the token indices, or `null`.",
        )
        return
    if all(type(index) is int and 0 <= index < _MAX_INDEX for index in indices):
        yield from _repeated(config, route, indices)
        return
    for reason, wrong in _wrong(indices).items():
        others = f", and {counted(len(wrong) - 1, 'other', 'others')} like it" if len(wrong) > 1 else ""
        # `[true, false]` alone is a mask for PyTorch; beside numbers a boolean is one.
        harmless = reason == _BOOLEAN and len(wrong) < len(indices)
        yield Finding(
            f"{_described(indices[wrong[0]])} in {named} {_NUMBER if harmless else reason}{others}",
            at=config.at(*route, wrong[0]),
            help="Write the token ids that `tokenizer.convert_tokens_to_ids` gives.",
            severity=Severity.WARNING if harmless else None,
        )


_BOOLEAN = "is no token index: PyTorch takes booleans for a mask, and loading fails"
_NUMBER = "is taken for the token index 1 or 0"


def _wrong(indices: list[Any]) -> dict[str, list[int]]:
    """What is wrong -> the places of the indices that it is wrong with."""
    found: dict[str, list[int]] = {}
    for i, index in enumerate(indices):
        if reason := _reason(index):
            found.setdefault(reason, []).append(i)
    return found


def _reason(index: Any) -> str | None:
    if isinstance(index, bool):
        return _BOOLEAN
    if isinstance(index, int):
        if index < 0:
            return "is negative: the adapter loads, but every forward pass raises an `IndexError`"
        return "is larger than any index can be: loading fails" if index >= _MAX_INDEX else None
    if isinstance(index, float):
        return "is no integer: every forward pass raises a `RuntimeError`"
    return "is no integer: loading or the forward pass fails"


def _described(index: Any) -> str:
    return f"The string {shown(index)}" if isinstance(index, str) else shown(index)


def _repeated(config: Config, route: tuple[str, ...], indices: list[int]) -> Iterator[Finding]:
    if len(set(indices)) == len(indices):
        return
    seen: set[int] = set()
    again = [i for i, index in enumerate(indices) if index in seen or seen.add(index)]  # type: ignore[func-returns-value]
    yield Finding(
        f"The token {shown(indices[again[0]])} is in {shown(route[-1])} more than once"
        + (f", as {counted(len(again) - 1, 'other is', 'others are')}" if len(again) > 1 else "")
        + ": which of its rows counts is undefined",
        at=config.at(*route, again[0]),
        help="Name each token once, and keep one row of the tensor for it.",
        severity=Severity.WARNING,
    )
