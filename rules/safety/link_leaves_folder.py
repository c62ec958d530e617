"""SEC103."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Adapter, Finding, Patch, Severity, counted, rule, shown

_OURS = ("adapter_", "tokenizer", "special_tokens_map.json", "added_tokens.json", "vocab.", "merges.txt", "README.md")


@rule(
    "SEC103",
    Severity.WARNING,
    since="0.1",
    bad=Patch(links={"adapter_model.safetensors": "/home/user/runs/7/adapter_model.safetensors"}),
    good=Patch(),
    source="huggingface_hub, upload_folder follows links; git stores them as links",
)
def link_leaves_folder(adapter: Adapter) -> Iterator[Finding]:
    """A file of the adapter is a link that leads out of its folder.

    The folder is not complete by itself: a copy, an archive or a git repository has a link to a place that is not
    there, or that holds something else. In a folder from a stranger such a link makes tools read, show or upload a file
    of this machine. Links inside the folder and those of the Hub's own cache are not meant.

    Put the file itself in the place of the link (`cp --dereference`).
    """
    broken = {part.file.rpartition("/")[2] for part in adapter.unreadable.values() if part.kind == "io"}
    links = {
        name: entry.leaves
        for name, entry in adapter.files.entries.items()
        if entry.leaves is not None and name.startswith(_OURS) and name not in broken
        if not any(store in entry.leaves for store in _STORES)
    }
    if links:
        name, target = next(iter(links.items()))
        others = f" (and {counted(len(links) - 1, 'other file')} likewise)" if len(links) > 1 else ""
        yield Finding(
            f"{shown(name)} is a link to {shown(target)}, outside of the folder{others}",
            at=adapter.files.at(name),
            help="Put the file itself in its place (`cp --dereference`).",
        )


# Where git-annex and DVC keep the files of a repository, which they link to.
_STORES = ("/.git/annex/", "/.dvc/cache/")
