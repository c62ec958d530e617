"""What shells and people ask all the time: the version, help, completion. It loads nothing that checking needs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

HEAVY = {  # without pydantic, which typer itself loads
    *("rich", "msgspec", "huggingface_hub", "regex", "packaging", "safetensors", "yaml"),
    *("adapterlint.settings", "adapterlint.api", "adapterlint.lint", "adapterlint.peft", "adapterlint.files"),
}
PROGRAM = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from adapterlint.__main__ import main
main()
"""


def asked(*arguments: str, variables: Mapping[str, str] | None = None) -> tuple[str, set[str]]:
    """What comes out, and the modules that were loaded for it."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    environment = {**os.environ, **(variables or {})}
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return result.stdout, set(result.stderr.split())


def completed(line: str) -> tuple[str, set[str]]:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    return asked(variables={"_ADAPTERLINT_COMPLETE": "complete_bash", **words})


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["-h"], ["check", "--help"], ["explain", "--help"]])
def test_the_version_and_help_load_nothing_heavy(arguments: list[str]) -> None:
    output, loaded = asked(*arguments)
    assert "adapterlint" in output
    assert loaded & HEAVY == set()


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("adapterlint ch", {"check"}),
        ("adapterlint ru", {"rule", "rules"}),
        ("adapterlint check --am", {"--among"}),
        ("adapterlint check --pe", {"--peft"}),
        ("adapterlint explain --te", {"--text"}),
    ],
)
def test_completion_completes_and_loads_nothing_heavy(line: str, wanted: set[str]) -> None:
    output, loaded = completed(line)
    assert set(output.split()) == wanted
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_asks_for_the_program_by_its_name(shell: str) -> None:
    variables = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    script, _ = asked("--show-completion", shell, variables=variables)
    assert "_ADAPTERLINT_COMPLETE" in script
    assert "python" not in script


def test_bash_completes_with_the_script_that_is_shown() -> None:
    variables = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    script, _ = asked("--show-completion", "bash", variables=variables)
    program = f"""
    adapterlint() {{ "{sys.executable}" -m adapterlint "$@"; }}
    env() {{ command env "${{@:1:$#-1}}" "{sys.executable}" -m adapterlint; }}
    {script}
    COMP_WORDS=(adapterlint chec); COMP_CWORD=1
    $(complete -p adapterlint | sed 's/.*-F \\([^ ]*\\).*/\\1/') adapterlint
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    result = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["check"], result.stderr
