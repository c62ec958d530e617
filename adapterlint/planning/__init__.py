"""Plans for a fleet: an order that loads, sets that can be active together, and why pairs do not work."""

from __future__ import annotations

from adapterlint.planning.operations import Operation
from adapterlint.planning.orders import LeftOut, Search
from adapterlint.planning.pairs import Outcome, Pair, Reason
from adapterlint.planning.plan import Plan, plan
from adapterlint.planning.sets import ActiveSet

__all__ = ["ActiveSet", "LeftOut", "Operation", "Outcome", "Pair", "Plan", "Reason", "Search", "plan"]
