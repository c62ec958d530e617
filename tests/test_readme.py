"""What README says can be done, can be done; what it shows is what comes out."""

from __future__ import annotations

import re
from pathlib import Path

from conftest import Run

README = (Path(__file__).parents[1] / "README.md").read_text()
SHELL = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)


def test_readme_opens_with_the_demo_and_the_tests() -> None:
    assert "adapterlint demo" in SHELL[0]
    assert "pytest" in SHELL[1]


def test_the_demo_shows_what_it_promises(run: Run, tmp_path: Path) -> None:
    result = run("demo", "--keep", "fleet")
    assert result.exit_code == 0
    for rule in ("auxiliary-overlap", "token-overlap", "wrapper-prefix", "unpaired-factor"):
        assert rule in result.stdout
    assert "adapters/healthy\n" not in result.stdout
    assert (tmp_path / "fleet" / "base" / "model.safetensors").is_file()
    again = run("check", "fleet/adapters")
    assert again.exit_code == 1
    assert again.stdout.splitlines()[-1] == result.stdout.splitlines()[-1]


def test_the_demo_leaves_nothing_behind_and_never_writes_over_a_folder(run: Run, tmp_path: Path) -> None:
    assert run("demo").exit_code == 0
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "taken" / "base").mkdir(parents=True)
    refused = run("demo", "--keep", "taken")
    assert refused.exit_code == 2
    assert "File exists" in refused.stderr
