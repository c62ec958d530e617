"""adapterlint: what PEFT will do with your adapters, read from configs and headers alone.

The names below are the public API. They are imported on first use, so that `import adapterlint` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from adapterlint.adapter import Adapter, Config, Files, WeightsHeader, load_adapter
    from adapterlint.api import check
    from adapterlint.base import Base, ModuleTree, load_base
    from adapterlint.compatibility import Compatibility, compat
    from adapterlint.errors import AdapterlintError
    from adapterlint.files.model_card import Card
    from adapterlint.lint.example import DROP, FleetPatch, Patch
    from adapterlint.lint.fleet import Fleet, Member
    from adapterlint.lint.rule import Finding, rule
    from adapterlint.lint.rule_tests import rule_faults
    from adapterlint.lint.run import Run
    from adapterlint.lint.simulated import AdapterSimulation, Cause, FleetSimulation
    from adapterlint.peft.footprint import Footprint
    from adapterlint.place import Place
    from adapterlint.report.model import Report
    from adapterlint.severity import Severity
    from adapterlint.simulation import Simulation, simulate
    from adapterlint.words import counted, listed, shown

_HOMES = {
    "Adapter": "adapterlint.adapter",
    "AdapterSimulation": "adapterlint.lint.simulated",
    "AdapterlintError": "adapterlint.errors",
    "Base": "adapterlint.base",
    "Card": "adapterlint.files.model_card",
    "Cause": "adapterlint.lint.simulated",
    "Compatibility": "adapterlint.compatibility",
    "Config": "adapterlint.adapter",
    "Files": "adapterlint.adapter",
    "Finding": "adapterlint.lint.rule",
    "Fleet": "adapterlint.lint.fleet",
    "FleetPatch": "adapterlint.lint.example",
    "FleetSimulation": "adapterlint.lint.simulated",
    "Footprint": "adapterlint.peft.footprint",
    "Member": "adapterlint.lint.fleet",
    "ModuleTree": "adapterlint.base",
    "Patch": "adapterlint.lint.example",
    "Place": "adapterlint.place",
    "Report": "adapterlint.report.model",
    "Run": "adapterlint.lint.run",
    "Severity": "adapterlint.severity",
    "Simulation": "adapterlint.simulation",
    "WeightsHeader": "adapterlint.adapter",
    "check": "adapterlint.api",
    "compat": "adapterlint.compatibility",
    "listed": "adapterlint.words",
    "load_adapter": "adapterlint.adapter",
    "load_base": "adapterlint.base",
    "rule": "adapterlint.lint.rule",
    "rule_faults": "adapterlint.lint.rule_tests",
    "shown": "adapterlint.words",
    "simulate": "adapterlint.simulation",
    "DROP": "adapterlint.lint.example",
    "counted": "adapterlint.words",
}

__all__ = [  # noqa: RUF022 (those that people look for first)
    "check",
    "simulate",
    "compat",
    "load_adapter",
    "load_base",
    "DROP",
    "Adapter",
    "AdapterSimulation",
    "AdapterlintError",
    "Base",
    "Card",
    "Cause",
    "Compatibility",
    "Config",
    "Files",
    "Finding",
    "Fleet",
    "FleetPatch",
    "FleetSimulation",
    "Footprint",
    "Member",
    "ModuleTree",
    "Patch",
    "Place",
    "Report",
    "Run",
    "Severity",
    "Simulation",
    "WeightsHeader",
    "counted",
    "listed",
    "rule",
    "rule_faults",
    "shown",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
