# Everything runs in .venv, made on first use. PYTHON= chooses the interpreter (3.11 to 3.13).
USABLE := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c '$(USABLE)' >/dev/null 2>&1 && { command -v "$$p"; break; }; done)
RUN := .venv/bin/python
# The pip that Python brings is slow to find what is pinned.
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt
# On all cores, where pip takes one; and also where Python may write no bytecode, and each process would compile.
COMPILE := $(RUN) -m compileall -qq -j 0
DEMO := demo
JOBS ?= 3

.PHONY: help install demo test check suite docs bench gpu fuzz kill clean
.DEFAULT_GOAL := help

help: ## what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

.venv/installed: pyproject.toml constraints.txt
	@"$(PYTHON)" -c '$(USABLE)' >/dev/null 2>&1 || { echo "$(or $(PYTHON),python3): not a Python 3.11, 3.12 or 3.13 with venv;" \
		"install one (Debian, Ubuntu: apt-get install python3-venv) or name one: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	"$(PYTHON)" -m venv .venv
	$(PIP) --upgrade pip
	$(PIP) --no-compile -e '.[dev]'
	@$(COMPILE) -x '/tests?/' "$$($(RUN) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" || true
	@touch $@

install: .venv/installed ## make .venv and install tested versions into it; the other targets do so too

demo: .venv/installed ## simulate a recording, train, extract, evaluate, report (about 4 minutes)
	@mkdir -p $(DEMO)
	$(RUN) -m calcium_lightning.simulate output=$(DEMO)/session.h5 simulation=demo seed=1 overwrite=true
	$(RUN) -m calcium_lightning.train +experiment=demo 'data.sessions=["$(DEMO)/session.h5"]' \
		hydra.run.dir=$(DEMO)/train overwrite=true
	$(RUN) -m calcium_lightning.extract session=$(DEMO)/session.h5 output=$(DEMO)/cells.h5 \
		checkpoint=$(DEMO)/train/checkpoints/best.ckpt overwrite=true
	$(RUN) -m calcium_lightning.evaluate cells=$(DEMO)/cells.h5 truth=$(DEMO)/session.h5 \
		output=$(DEMO)/metrics.json overwrite=true
	$(RUN) -m calcium_lightning.report cells=$(DEMO)/cells.h5 output=$(DEMO)/report.html \
		metrics=$(DEMO)/metrics.json overwrite=true
	@echo "Open $(abspath $(DEMO))/report.html"

# The checks are one process, beside which the suite begins.
test: .venv/installed ## the checks and the whole suite
	@$(MAKE) --no-print-directory -j2 check suite

# One process more than two cores, as tests wait for the commands and pages that they start; and one thread in
# each: threads that wait for a core take what others need.
suite: export OMP_NUM_THREADS := 1
suite: .venv/installed
	@$(COMPILE) calcium_lightning
	$(RUN) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

check: .venv/installed ## formatting, lint, types, and who imports whom
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	.venv/bin/lint-imports --no-logo

docs: .venv/installed ## the docs site, in site/; warnings are errors
	$(RUN) -m sphinx --fail-on-warning --keep-going --quiet -j auto docs site
	@echo "Open $(abspath site)/index.html"

bench: .venv/installed ## speed, as ratios to references measured in the same run
	$(RUN) experiments/benchmark/speed.py
	$(RUN) experiments/benchmark/streaming.py

gpu: .venv/installed ## what needs a graphics card: tests, and figures against the card's limits; says so where there is none
	$(RUN) -m pytest -m gpu -rs
	$(RUN) experiments/benchmark/gpu.py

fuzz: .venv/installed ## 2,000 damaged files and settings (about an hour); FUZZ="--count 200 --seed 7"
	cd tests && ../$(RUN) -m campaigns.fuzz $(FUZZ)

kill: .venv/installed ## 200 commands killed at random moments and run again (about an hour); KILL="--count 20"
	cd tests && ../$(RUN) -m campaigns.kill $(KILL)

clean: ## remove the environment and everything that was made
	rm -rf .venv $(DEMO) site docs/reference/generated outputs multirun dist build tests/fuzz_failures \
		.pytest_cache .mypy_cache .ruff_cache .import_linter_cache
