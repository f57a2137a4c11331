# Everything a person or the CI runs. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Where the virtual environment lies and which port the demo listens on.
VENV ?= .venv
PORT ?= 8765
HOST ?= 127.0.0.1
PYTHON ?= python3
ARGS ?=

PY = "$(VENV)/bin/python"
NPC = "$(VENV)/bin/npc"
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## list every target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1mmake %-15s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVENV=%s PORT=%s are honoured by every target; ARGS="..." is passed on.\n' '$(VENV)' '$(PORT)'

.PHONY: demo
demo: setup ## set everything up and run the service with the demo page (embedded profile, no model to download)
	@$(NPC) serve --host "$(HOST)" --port "$(PORT)" $(ARGS)

.PHONY: test
test: setup-dev check ## set everything up and pass the tests
	@$(PY) -m pytest $(ARGS)

.PHONY: check
check: setup-dev ## style, types and the import rule
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@"$(VENV)/bin/lint-imports"

.PHONY: setup
setup: ## create the virtual environment for the embedded profile
	@scripts/setup.sh "$(VENV)" "$(PYTHON)" base

.PHONY: setup-dev
setup-dev: ## create the virtual environment for development (extras local and dev)
	@scripts/setup.sh "$(VENV)" "$(PYTHON)" dev

.PHONY: talk
talk: setup ## talk to a character in the terminal
	@$(NPC) talk $(ARGS)

.PHONY: test-slow
test-slow: setup-dev ## the tests that take minutes
	@$(PY) -m pytest -m slow --timeout 1800 $(ARGS)

.PHONY: test-browser
test-browser: setup-dev ## the demo page in a headless Chromium (installs Debian's where that is allowed)
	@scripts/need.sh chromium
	@$(PY) -m pytest -m browser --timeout 300 tests/browser $(ARGS)

.PHONY: test-engines
test-engines: setup-dev ## the Unity, Unreal and Godot clients (installs mono, g++ with Boost, Godot where that is allowed)
	@scripts/need.sh mono-devel libnewtonsoft-json5.0-cil g++ libboost-dev godot3-server godot3 xvfb
	@$(PY) -m pytest -m engines --timeout 600 tests/engines $(ARGS)

.PHONY: test-standards
test-standards: setup-dev ## xAPI, cmi5 and SCORM against independent JavaScript run-times (from npm) as well
	@scripts/need.sh chromium
	@npm ci --silent --no-audit --no-fund --prefix tests/simulation/interop
	@$(PY) -m pytest --timeout 300 -m "" tests/simulation -k "xapi or cmi5 or scorm or package or lti or launch" $(ARGS)

.PHONY: bench-peers
bench-peers: setup-dev ## build llama.cpp and the other peers of npc bench inference into .peers/ (about 15 minutes)
	@$(PY) -m npc.bench.peers $(ARGS)

.PHONY: bench-gpu
bench-gpu: setup-dev ## time the GPU kernels; says so and stops where there is no GPU
	@$(NPC) bench gpu $(ARGS)

.PHONY: train-mind
train-mind: setup-dev ## train the embedded dialogue model for MINUTES=30 more, from where the last run stopped
	@$(PY) -m npc.training.mind train --minutes $(or $(MINUTES),30) $(ARGS)

.PHONY: coqui
coqui: setup ## an environment of its own for Coqui voices (needs PyTorch; not part of any profile's default)
	@$(PY) -m npc.tts.fetch_coqui

.PHONY: test-coqui
test-coqui: setup-dev coqui ## Coqui voices on weights that the test makes
	@$(PY) -m pip install --quiet --constraint constraints.txt onnx espeakng-loader
	@$(PY) -m pytest --timeout 900 tests/tts/test_coqui_real.py $(ARGS)

.PHONY: format
format: setup-dev ## format the code
	@$(PY) -m ruff format . && $(PY) -m ruff check --fix .

.PHONY: bench
bench: setup-dev ## the benchmarks behind the published figures, into out/bench (takes about half an hour on a quiet machine)
	@scripts/bench.sh "$(VENV)"

.PHONY: third-party
third-party: setup-dev ## write THIRD_PARTY.md from what is installed and carried
	@$(PY) scripts/third_party.py > THIRD_PARTY.md

.PHONY: wheel
wheel: setup-dev ## build the wheel into dist/
	@$(PY) -m build --wheel --outdir dist .

.PHONY: clean
clean: ## remove build products, the checkpoint of train-mind among them (keeps the virtual environment)
	@rm -rf build dist out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
