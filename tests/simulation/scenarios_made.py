"""A small scenario written to a folder, and changes to it, for tests of packages, checks and runs."""

from __future__ import annotations

from pathlib import Path

MANIFEST = """\
schema_version: 1
id: till
title: At the till
summary: A customer wants a receipt.
sector: consumer
trainee: {name: Cashier, brief: Be polite.}
characters:
  - {id: ada-quill, file: ada.yaml}
actions:
  - {name: print_receipt, label: Print, description: Print the receipt}
levels:
  - {name: easy, label: Easy}
  - {name: hard, label: Hard, character: {agreeableness: 0.1, interruption: protest}}
default_level: easy
rubric:
  pass_mark: 50
  items:
    - {id: greet, kind: must_say, description: Greets, examples: [Good morning to you.], phrases: [good morning]}
    - {id: ask, kind: must_ask, description: Asks what she needs, examples: [What do you need?], phrases: [need]}
    - {id: rude, kind: must_not_say, description: Is rude, examples: [Go away.]}
    - {id: polite_first, kind: order, description: Greets first, before: greet, after: ask}
    - {id: quick, kind: timing, description: Answers soon, metric: response_delay_s, max: 10}
    - {id: printed, kind: action, description: Prints it, action: print_receipt}
    - {id: learns, kind: fact_elicited, description: Learns the reason, fact: reason}
    - {id: served, kind: objective, description: She is served, objective: has_receipt}
"""
STORY = """\
schema_version: 1
id: till
start: waiting
dial:
  easy: {pace: 2.0}
  hard: {pace: 0.5, set: {cross: true}}
variables: {cross: false}
sections:
  - id: waiting
    objectives: [{id: has_receipt, text: She has it, when: "var:printed=true"}]
    triggers:
      - {event: print_receipt, set: {printed: true}, say: "Thank you kindly."}
    timed:
      - {id: hurry, after: 5, of: silence, say: "Are you there?"}
    decisions:
      - {id: leaves, when: {all: ["flag:has_receipt", "said:'goodbye'"]}, to: gone, say: "Goodbye.", instead: true}
  - {id: gone, end: true}
"""
CHARACTER = """\
schema_version: 1
id: ada-quill
name: Ada Quill
role: customer
biography: I buy ink every Friday.
voice: {card: flite-slt}
greeting: ["I need a receipt for the ink."]
facts:
  - {id: reason, text: The tax office wants every receipt of last year., source: Ada, topics: [why, reason, receipt]}
"""


def write(folder: Path, *changes: tuple[str, str, str]) -> Path:
    """The scenario in `folder`; `changes` are (file, old, new), each old text replaced once."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"scenario.yaml": MANIFEST, "story.yaml": STORY, "ada.yaml": CHARACTER}
    for name, old, new in changes:
        assert old in files[name], f"{name} does not hold {old!r}"
        files[name] = files[name].replace(old, new, 1)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
