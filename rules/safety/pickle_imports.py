"""SEC104."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Adapter, Finding, Patch, Place, Severity, listed, rule, shown
from adapterlint.lint.example import DROP, GOOD_TENSORS
from adapterlint.lint.example_pickle import pickle_file

_FILE = pickle_file(GOOD_TENSORS, imports=["os system"])


@rule(
    "SEC104",
    Severity.ERROR,
    since="0.1",
    bad=Patch(files={"adapter_model.safetensors": DROP, "adapter_model.bin": _FILE}),
    good=Patch(),
    source="torch/_weights_only_unpickler.py, _get_allowed_globals; peft/utils/save_and_load.py, torch_load",
)
def pickle_imports(adapter: Adapter) -> Iterator[Finding]:
    """The pickled weights import more than tensors need.

    `torch.load(weights_only=True)`, which PEFT uses since 0.13, refuses the file: `UnpicklingError: Weights only load
    failed`. PEFT 0.12 and older with torch before 2.6, and every plain `torch.load` or `pickle.load`, import and call
    what the file names: that is how a weights file runs code on the machine that loads it. It may also be harmless,
    such as NumPy arrays or a whole module saved in the place of its state dict.

    Do not load the file. If you trust its author, ask for safetensors, or convert it in a machine that may break.
    """
    weights = adapter.header or adapter.unreadable.get("weights")  # a broken pickle has run what stands before
    if weights is not None and weights.imports:
        names = [path.replace(" ", ".") for path in weights.imports]
        yield Finding(
            f"{shown(weights.file.rpartition('/')[2])} is a pickle that imports {listed(names, word='names')}",
            at=Place(weights.file),
            help="Do not load it; ask for the weights as safetensors.",
        )
