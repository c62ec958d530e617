"""What can be wrong with an adapter, one thing at a time: the same copies from the same config and header.

No torch: the script that asks PEFT and the tests that ask adapterlint make their copies here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Header = dict[str, tuple[str, tuple[int, ...]]]  # tensor -> data type, shape
Damaged = tuple[str, dict[str, Any], Header]  # what was done, the config, the header


def kind_of(tensor: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """What a tensor is to its method: the last names of it, and where its shape has ones.

    Tensors of other layers and targets are of the same kind: two of them differ in numbers only, or in `q_proj`.
    """
    names = [part for part in tensor.split(".") if not part.isdigit() and part != "default"]
    last = names[-2:] if names[-1] in ("weight", "bias") else names[-1:]
    return (*last, "".join("1" if size == 1 else "n" for size in shape))


def damages(config: Mapping[str, Any], header: Mapping[str, Any], given: Sequence[str]) -> Iterator[Damaged]:
    """Every damaged copy of an adapter.

    Args:
        config: `adapter_config.json`.
        header: Its tensors, name -> data type and shape.
        given: Keys of the config with other values than the defaults.

    Yields:
        Of the first tensor of each kind (by name): a copy without it (`drop`), with another last part in its name
        (`rename`), with its shape reversed where that is another one (`transpose`), and with one more along each axis
        (`size-0` ...); then a copy without each of the given keys (`field`).
    """
    whole = read(header)
    first: dict[tuple[str, ...], str] = {}
    for name, (_, shape) in whole.items():
        first.setdefault(kind_of(name, shape), name)
    for name in first.values():
        yield from of_tensor(name, config, whole)
    for key in given:
        yield f"field:{key}", {other: value for other, value in config.items() if other != key}, dict(whole)


def read(header: Mapping[str, Any]) -> Header:
    """A header that was JSON, by name."""
    return {name: (dtype, tuple(shape)) for name, (dtype, shape) in sorted(header.items())}


def of_tensor(name: str, config: Mapping[str, Any], whole: Header) -> Iterator[Damaged]:
    """The copies with one tensor damaged."""
    dtype, shape = whole[name]
    rest = {other: value for other, value in whole.items() if other != name}
    yield f"drop:{name}", dict(config), rest
    yield f"rename:{name}", dict(config), rest | {f"{name}_old": (dtype, shape)}
    if shape != shape[::-1]:
        yield f"transpose:{name}", dict(config), rest | {name: (dtype, shape[::-1])}
    for axis, size in enumerate(shape):
        larger = (*shape[:axis], size + 1, *shape[axis + 1 :])
        yield f"size-{axis}:{name}", dict(config), rest | {name: (dtype, larger)}
