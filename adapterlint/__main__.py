"""`python -m adapterlint` and the console script."""

from __future__ import annotations


def main() -> None:
    """Run the command line; never returns."""
    from adapterlint.cli import run

    run()


if __name__ == "__main__":
    main()
