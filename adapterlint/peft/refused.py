"""What a symbolic PEFT raises where the real one raises."""

from __future__ import annotations

UNDECIDED = "undecided"  # in place of the class of an error: whether a forward pass runs


class Refused(Exception):
    """PEFT raises.

    Args:
        type: The name of the exception's class.
        text: Its text, as far as it does not print whole modules.
        module: Path of the module that it is about, where there is one.
        cause: What kind of refusal it is, for those who word it: one of the kinds of `adapterlint.peft.events`.
        sure: Whether it is certain even where no more of the base is known than what adapters name.
        keys: The keys of the config that are behind it, where a value of them would do.
    """

    def __init__(
        self,
        type: str,
        text: str,
        *,
        module: str = "",
        cause: str = "",
        sure: bool = False,
        keys: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(text)
        self.type = type
        self.text = text
        self.module = module
        self.cause = cause
        self.sure = sure
        self.keys = keys

    def kept(self) -> Refused:
        """The same for those who keep it: without the frames that it came through, which hold a whole model."""
        self.__traceback__ = self.__context__ = self.__cause__ = None
        return self


class Undecided(Exception):
    """The evidence, or what is known of PEFT, does not say what would happen."""


def check_name(name: str) -> None:
    """torch does not take every name for a module.

    Raises:
        Refused: It does not take this one.
    """
    if "." in name or not name:
        kind = 'can\'t contain "."' if name else 'can\'t be empty string ""'
        raise Refused("KeyError", f"module name {kind}, got: {name}", cause="name")
