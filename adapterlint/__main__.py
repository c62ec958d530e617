"""`python -m adapterlint` and the console script."""

from __future__ import annotations

import sys

from adapterlint import __version__


def main() -> None:
    """Run the command line; returns only after `--version`."""
    if sys.argv[1:] == ["--version"]:  # what scripts ask first needs no parser
        sys.stdout.write(f"adapterlint {__version__}\n")
        return
    from adapterlint.cli import run

    run()


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the working folder may hold what is inspected, and a module of any name
    main()
