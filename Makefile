# install, demo, test, verify, lint, benchmark. Needs Python 3.11 or newer, make and a package index.

PYTHON ?= python3
BIN := .venv/bin
DEMO := $(CURDIR)/demo
DEMO_MODEL := osteon-mortality-support2
DEMO_MARKERS := osteon-mortality-simulated
DEMO_STORE := sqlite:///$(DEMO)/mlflow.db
DEMO_ENV := MLFLOW_TRACKING_URI=$(DEMO_STORE) OSTEON_GATE_KEY=$$(cat $(DEMO)/gate.key)

.PHONY: install demo test verify lint docs notebooks benchmark benchmark-bedside benchmark-scale \
	benchmark-service benchmark-speed

install: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Osteon needs Python 3.11 or newer; $(PYTHON) is older. Run: make install PYTHON=python3.12"; \
		exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Train on real patients, promote, explain one prediction; train both outcomes on simulated patients
# with the whole panel of markers, explain one, and print what the panel adds to the prediction of
# death (3,500 patients have too few fractures to tell). All files stay in demo/.
demo: install
	@mkdir -p $(DEMO)
	@test -s $(DEMO)/gate.key || { umask 077; \
		$(BIN)/python -c 'import secrets; print(secrets.token_hex(32))' > $(DEMO)/gate.key; }
	@export $(DEMO_ENV); $(BIN)/python -m training.demo $(DEMO)
	@echo
	@echo "Go on in this shell with the demo's models:"
	@echo '  export MLFLOW_TRACKING_URI=sqlite:///demo/mlflow.db OSTEON_GATE_KEY=$$(cat demo/gate.key)'
	@echo "See the page at http://127.0.0.1:8000/ :"
	@echo "  $(BIN)/osteon serve --demo"
	@echo "  Take an example of a simulated model, change a bone marker (ctx_s, fgf23_c, opg) and see the risk,"
	@echo "  its interval and the contributions move; leave markers empty and see how complete it is called."
	@echo "See the runs at http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning : each run"
	@echo "opens with its summary and a link to its report:"
	@echo "  $(BIN)/mlflow ui --workers 1 --backend-store-uri sqlite:///demo/mlflow.db"
	@echo "See cards as an EHR shows them, while the page is served; or call them from https://sandbox.cds-hooks.org:"
	@echo "  $(BIN)/python tests/benchmark/cds_sandbox.py"

# One thread per worker: on two cores more threads only slow each other down. pyfunc.py has no
# examples, and importing it makes MLflow warn of its own type hints.
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow" --doctest-modules \
		--ignore=models/inference/pyfunc.py

# Published figures, competing peers, and services that end and start again: too slow for every
# change.
verify: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m slow tests

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site, into docs/_build/html; a warning is an error.
docs: install
	$(BIN)/python -m sphinx -q -W --keep-going docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

# What the site shows of the notebooks, which are committed without outputs. R must be installed.
notebooks: install
	@set -e; folder=$$(mktemp -d); cp docs/how-to/hospitals.py docs/tutorials/mock_hospital.py $$folder; \
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python tests/support/followed_pages.py docs/how-to/index.md $$folder; \
	cp docs/notebooks/*.ipynb $$folder; cd $$folder; \
	PYTHONPATH=$(CURDIR) MLFLOW_TRACKING_URI=sqlite:///mlflow.db $(CURDIR)/$(BIN)/jupyter nbconvert \
		--execute --to markdown --NbConvertBase.display_data_priority='["image/png", "text/plain"]' \
		--output-dir $(CURDIR)/docs/notebooks *.ipynb

benchmark: install
	for name in support2 rhc flchain framingham glow support2-comparators mgus2 pbc flchain-xgbse \
		support2-dsm support2-score rhc-score glow-score rhc-by-file; do \
		$(BIN)/osteon benchmark --dataset $$name || exit; \
	done
	$(MAKE) benchmark-bedside
	$(MAKE) benchmark-speed
	$(MAKE) benchmark-scale

# Memory and growth up to a million patients, Dask workers, and commit BEFORE in the same run: many
# hours. Finished figures stay in .osteon/benchmark and build/scale. A trial run: SIZE=0.01.
BEFORE ?= 631c1e3
SIZE ?= 1
benchmark-scale: install
	@missed=0; $(BIN)/osteon benchmark --scale --size $(SIZE) || missed=1; \
	test -d build/before || git worktree add --detach build/before $(BEFORE); \
	for study in "fit" "run --patients 5000" "demo"; do \
		echo; echo "against_commit $$study"; set -- $$study; what=$$1; shift; \
		$(BIN)/python tests/benchmark/against_commit.py $$what build/before "$$@" || missed=1; \
	done; exit $$missed

# One explained request of a wide model beside XGBoost's own part of it, and tuning.
benchmark-speed: demo
	export $(DEMO_ENV); missed=0; \
	$(BIN)/python tests/benchmark/request_speed.py models:/$(DEMO_MARKERS)/1 \
		models:/$(DEMO_MODEL)/1 || missed=1; \
	for study in \
		"tuning_study support2" "tuning_study simulated" "tuning_study kill"; do \
		echo; echo "$$study"; set -- $$study; \
		OMP_NUM_THREADS=1 $(BIN)/python tests/benchmark/$$1.py $$2 || missed=1; \
	done; exit $$missed

# Empty fields and settled directions, against their targets. Fitted models stay in build/bedside.
BEDSIDE_STUDIES := "gaps --cohort support2" "gaps --cohort simulated" "gaps --cohort physionet2012" \
	"refits" "spread --cohort support2" "spread --cohort simulated" \
	"directions --cohort support2" "directions --cohort simulated"

benchmark-bedside: install
	@missed=0; for study in $(BEDSIDE_STUDIES); do \
		echo; echo "bedside_$$study"; set -- $$study; name=$$1; shift; \
		OMP_NUM_THREADS=1 $(BIN)/python tests/benchmark/bedside_$$name.py "$$@" || missed=1; \
	done; exit $$missed

# The service under load, and MLflow's server of the same model; the last of the three takes long.
benchmark-service: demo
	export $(DEMO_ENV); missed=0; for script in service_speed openapi_conformance service_load; do \
		$(BIN)/python tests/benchmark/$$script.py --model models:/$(DEMO_MODEL)@champion || missed=1; \
	done; exit $$missed
