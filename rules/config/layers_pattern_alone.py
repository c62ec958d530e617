"""CFG124."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Severity, rule, shown
from adapterlint.peft.fields import types_with
from adapterlint.peft.methods import METHODS
from adapterlint.peft.releases import RELEASES


@rule(
    "CFG124",
    Severity.ERROR,
    since="0.1",
    bad={"layers_pattern": "layers"},
    good=({"layers_pattern": "layers", "layers_to_transform": [0, 1]}, {"layers_pattern": []}),
    source="peft/tuners/lora/config.py, LoraConfig.__post_init__",
    types=frozenset(name for name in types_with("layers_pattern") if METHODS[name].config.needs_layers),
    peft=">=0.14",
)
def layers_pattern_alone(config: Config) -> Iterator[Finding]:
    """`layers_pattern` stands without `layers_to_transform`.

    `layers_pattern` only names the list of layers that the numbers in `layers_to_transform` count. Since 0.14
    reading the config ends in ``ValueError: When `layers_pattern` is specified, `layers_to_transform` must
    also be specified.``; from 0.14 to 0.20 that holds for `layers_to_transform` of `0` and `[]` too.

    Add the numbers of the layers, or set `layers_pattern` to `null`.
    """
    pattern, layers = config.get("layers_pattern"), config.get("layers_to_transform")
    if not pattern or layers:
        return
    since = max("0.14", METHODS[config.peft_type].since, key=RELEASES.index)
    help = "Set `layers_pattern` to `null`, or name the layers in `layers_to_transform`."
    if layers is None:
        yield Finding(
            f"`layers_pattern` is {shown(pattern)} without `layers_to_transform`: PEFT raises a `ValueError`",
            at=config.at("layers_pattern"),
            help=help,
            peft=f">={since}",
        )
    elif since not in RELEASES[RELEASES.index("0.21") :]:
        yield Finding(
            f"`layers_pattern` stands beside a `layers_to_transform` of {shown(layers)}, which PEFT before 0.21 takes "
            "for missing: it raises a `ValueError`",
            at=config.at("layers_to_transform"),
            help="Write the one layer as a list, such as `[0]`." if layers == 0 else help,
            peft=f">={since},<0.21",
        )
