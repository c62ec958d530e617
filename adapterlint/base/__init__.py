"""A base model as a tree of modules, from its headers, its config and the table of architectures; no tensor is read."""

from __future__ import annotations

from adapterlint.base.evidence import Evidence
from adapterlint.base.guess import partial_tree
from adapterlint.base.load import Base, find_base, load_base, read_base
from adapterlint.base.tree import Kind, ModuleTree, Node

__all__ = ["Base", "Evidence", "Kind", "ModuleTree", "Node", "find_base", "load_base", "partial_tree", "read_base"]
