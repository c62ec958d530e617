"""What PEFT raises when it reads a config: each case done with 0.10.0, 0.15.2 and 0.21.2, which agree."""

from __future__ import annotations

import json

import pytest

from adapterlint.adapter import load_adapter
from adapterlint.peft.opened import OpenedConfig, open_config
from adapterlint.peft.refused import Refused, Undecided
from adapterlint.sources.memory import MemoryFolder

CONFIG = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}


def opened(raw: bytes) -> OpenedConfig:
    adapter = load_adapter(MemoryFolder("one", {"adapter_config.json": raw}))
    assert adapter is not None
    return open_config(adapter, "0.21")


def having(key: str, value: str) -> bytes:
    """The config with one more key, and its value as JSON."""
    return f"{json.dumps(CONFIG)[:-1]}, {json.dumps(key)}: {value}}}".encode()


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", "JSONDecodeError"),
        (having("zz", "1,"), "JSONDecodeError"),
        (b"\xef\xbb\xbf" + having("zz", "1"), "JSONDecodeError"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 3\n", "JSONDecodeError"),
        (having("zz", '"\xe9"').decode().encode("latin-1"), "UnicodeDecodeError"),
        (b"[]", "TypeError"),
        (b"null", "TypeError"),
        (having("peft_type", '["LORA"]'), "TypeError"),
        (having("peft_type", "{}"), "TypeError"),
        (having("peft_type", "1"), "KeyError"),
        (having("peft_type", "null"), "KeyError"),
    ],
)
def test_a_config_that_peft_does_not_read(raw: bytes, error: str) -> None:
    with pytest.raises(Refused) as refused:
        opened(raw)
    assert refused.value.type == error


@pytest.mark.parametrize("value", ['"\\ud800"', "[" * 150 + "]" * 150])
def test_what_adapterlint_does_not_read_is_no_error_of_peft(value: str) -> None:
    with pytest.raises(Undecided):
        opened(having("zz", value))
