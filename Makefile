# Everything is run through these; `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TESTS ?=
JOBS ?= 2
RATE ?= 1000
SECONDS ?= 30
SHAPE ?= steady
SEED ?=
FAULT_EVERY ?= 20
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
UV = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 $(UPGRADE)
AUDITED := --requirement compose/locks/test.txt --requirement compose/locks/audit.txt
LOCUST = $(BIN)/python -m locust --locustfile locust/locustfile.py --stop-timeout 15 \
	--host $(or $(HOST),http://127.0.0.1:$(or $(SERVICE_PORT),8000)) $(if $(PROCESSES),--processes $(PROCESSES))

.PHONY: help up test oracle faults soak fuzz load locust screenshots bench lint lock audit format clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

up: $(BIN)/.installed-local  ## start everything on this machine, without Docker
	@exec $(BIN)/python compose/tether.py $$PPID $(BIN)/python -m compose up

test: $(BIN)/.installed-test  ## all tests, on a Kafka and a schema registry of their own
	@$(BIN)/python -m compose fetch --stack-home .local
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile $(TESTS)

oracle: $(BIN)/.installed-test  ## the windows against Kafka Streams: 20,000 examples
	ORACLE_EXAMPLES=20000 $(BIN)/python -m pytest tests/oracle

faults: $(BIN)/.installed-test  ## 12 kills under 60,000 payments, and the other faults
	FAULT_KILLS=12 FAULT_PAYMENTS=60000 $(BIN)/python -m pytest tests/faults -o timeout=600

soak: SECONDS = 600
soak: RATE = 300
soak: $(BIN)/.installed-test  ## payments for SECONDS (600) while something breaks every FAULT_EVERY (20); what was lost
	SECONDS=$(SECONDS) RATE=$(RATE) SEED=$(or $(SEED),1) FAULT_EVERY=$(FAULT_EVERY) $(BIN)/python -m tests.soak

fuzz: $(BIN)/.installed-test  ## every decoder and every address at length, and 100,000 records of garbage
	FUZZ_EXAMPLES=$(or $(EXAMPLES),2000) $(BIN)/python -m pytest tests/unit/schemas/test_any_bytes.py -o timeout=1800
	FUZZ_EXAMPLES=$(or $(EXAMPLES),400) $(BIN)/python -m pytest tests/integration/test_openapi_fuzz.py -o timeout=1800
	GARBAGE_RECORDS=100000 $(BIN)/python -m pytest tests/faults/test_garbage.py -o timeout=1800
	GARBAGE_RECORDS=70000 GUEST_RECORDS=100000 $(BIN)/python -m pytest tests/faults/test_other_producers.py -o timeout=1800

load: $(BIN)/.installed-load  ## payments with known truth: RATE a second for SECONDS
	LOAD_RATE=$(RATE) LOAD_SECONDS=$(SECONDS) LOAD_SHAPE=$(SHAPE) LOAD_SEED=$(SEED) $(LOCUST) --headless --only-summary

locust: $(BIN)/.installed-load  ## the same from a page, http://127.0.0.1:8089
	LOAD_RATE=$(RATE) LOAD_SEED=$(SEED) $(LOCUST) --web-host 127.0.0.1 --web-port 8089

screenshots: $(BIN)/.installed-test  ## pictures of what `make up` runs, for the pages
	$(BIN)/python -m tests.browser.screenshots http://127.0.0.1:$(or $(SERVICE_PORT),8000)

bench: $(BIN)/.installed-test  ## the benchmark table; BENCH=batches measures that alone
	$(BIN)/python -m benchmarks $(BENCH)

lint: $(BIN)/.installed-test  ## style, types, and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: $(BIN)/.installed-audit $(BIN)/.installed-test  ## renew the locks after a change in setup.cfg; UPGRADE=--upgrade takes the newest of all
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
		| $(UV) - --output-file compose/locks/build.txt
	$(UV) setup.cfg --extra test --constraint compose/locks/build.txt --output-file compose/locks/test.txt
	$(UV) setup.cfg --constraint compose/locks/test.txt --output-file compose/locks/runtime.txt
	for extra in local load audit; do \
		$(UV) setup.cfg --extra $$extra --constraint compose/locks/test.txt --output-file compose/locks/$$extra.txt || exit 1; done
	for peer in fastapi faust quix; do \
		$(UV) benchmarks/peers/$$peer.in --output-file benchmarks/peers/$$peer.txt || exit 1; done
	$(MAKE) --no-print-directory $(BIN)/.installed-audit $(BIN)/.installed-test
	$(BIN)/python -m compose licences

audit: $(BIN)/.installed-audit  ## ask which of the locked packages have known vulnerabilities; needs the network
	@$(BIN)/pip-audit --strict --progress-spinner off --disable-pip --require-hashes $(AUDITED) \
		|| { echo "audit: failed: what is vulnerable is named above; if nothing is, the database could not be asked" >&2; exit 1; }

format: $(BIN)/.installed-test  ## put the style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the environment; data and downloads in .local stay
	rm -rf $(VENV) *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) \
		|| { rm -rf $(VENV); echo "Python's venv is needed (Debian: apt install python3-venv)" >&2; exit 1; }

$(BIN)/.installed-%: $(BIN)/python setup.cfg pyproject.toml compose/locks/build.txt compose/locks/%.txt
	@echo "installing what Underten needs"
	@$(PIP) --no-deps --only-binary :all: --require-hashes --requirement compose/locks/build.txt --requirement compose/locks/$*.txt
	@PYTHONWARNINGS=ignore $(PIP) --no-deps --no-index --no-build-isolation --editable .
	@touch $@
