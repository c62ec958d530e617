"""`adapterlint config`."""

from __future__ import annotations

from typing import Annotated

import typer

from adapterlint.cli.common import ConfigFile, Isolated, one_output, settings, write


def config(
    output: Annotated[list[str] | None, typer.Option("--output", "-o", metavar="FORMAT", help="text or json.")] = None,
    config: ConfigFile = None,
    isolated: Isolated = False,
) -> None:
    """Print the effective settings, and where each of them came from."""
    import json

    from adapterlint.words import printable, redacted

    name, path = one_output(output)
    effective = settings({}, config, isolated)
    values = effective.settings.model_dump(mode="json", by_alias=True)
    if name == "json":
        table = {key: {"value": value, "origin": effective.origins[key]} for key, value in values.items()}
        write(redacted(json.dumps({"file": effective.file, "settings": table}, indent=2)) + "\n", path)
        return
    width = max(map(len, values))
    lines = [
        f"{key:<{width}} = {json.dumps(value, ensure_ascii=False)}  ({effective.origins[key]})"
        for key, value in values.items()
    ]
    write("\n".join(redacted(printable(line)) for line in lines) + "\n", path)
