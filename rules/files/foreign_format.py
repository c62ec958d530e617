"""FIL107."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Files, Finding, Patch, Severity, listed, rule
from adapterlint.lint.example import DROP, safetensors_file

_MLX = {"peft_type": DROP, "fine_tune_type": "lora", "lora_parameters": {"rank": 8, "scale": 20.0}, "num_layers": 16}


@rule(
    "FIL107",
    Severity.INFO,
    since="0.1",
    bad=(
        Patch(config=_MLX, files={"adapter_model.safetensors": DROP, "adapters.safetensors": safetensors_file({})}),
        Patch(
            files={
                "adapter_config.json": DROP,
                "adapter_model.safetensors": DROP,
                "config.json": "{}",
                "model.safetensors": safetensors_file({}),
            }
        ),
    ),
    good=Patch(),
    source="peft/config.py, PeftConfigMixin._get_peft_type: KeyError 'peft_type' on a config of another library",
)
def foreign_format(files: Files) -> Iterator[Finding]:
    """The folder is in another library's format and is not judged.

    MLX-LM and Adapters (adapter-hub) write an `adapter_config.json` too, but without `peft_type`, and diffusers, kohya
    and whole models have files of their own. PEFT cannot load any of them: `KeyError: 'peft_type'`, or `ValueError:
    Can't find 'adapter_config.json'`. No other rule looks at such a folder.

    Convert it if PEFT is meant to load it; else there is nothing to do.
    """
    if files.format.name == "PEFT":
        return
    yield Finding(
        f"This is {_ARTICLES.get(files.format.name, 'an adapter of')} {files.format.value}"
        f"{_told(files.recognised)}; it is not judged",
        at=files.at(files.recognised[0] if files.recognised else None),
    )


_ARTICLES = {"BASE": "a"}


def _told(recognised: tuple[str, ...]) -> str:
    return f", as {listed(recognised)} {'tells' if len(recognised) == 1 else 'tell'}" if recognised else ""
