"""Tables of tiny bases: each name with what `bases.build` builds it from."""

from __future__ import annotations

from groups.base import Base
from groups.first import FIRST
from groups.fourth import FIFTH, FOURTH
from groups.second import SECOND
from groups.seventh import SEVENTH
from groups.sixth import SIXTH
from groups.special import SPECIAL
from groups.third import THIRD

BASES: dict[str, Base] = FIRST | SECOND | THIRD | SPECIAL | FOURTH | FIFTH | SIXTH | SEVENTH
GROUPS = {
    "first": FIRST,
    "second": SECOND,
    "third": THIRD,
    "special": SPECIAL,
    "fourth": FOURTH,
    "fifth": FIFTH,
    "sixth": SIXTH,
    "seventh": SEVENTH,
}
