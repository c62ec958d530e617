"""What every PEFT type is: the releases that know it, its parameters and their shapes, how it goes with others."""

from adapterlint.peft.methods.catalogue import METHODS, suggest_type, tensor_prefix
from adapterlint.peft.methods.method import Method

__all__ = ["METHODS", "Method", "suggest_type", "tensor_prefix"]
