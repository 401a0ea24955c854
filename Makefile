# make demo   set everything up and serve the app on http://127.0.0.1:7860
# make test   set everything up and run every check
# make quick  the checks without the slow ones, for use while working
# make bench  measure how fast everything is, ten minutes of a core, and write docs/benchmarks.md
PYTHON ?= python3
VENV ?= .venv
# The CUDA build on Linux. For the small CPU build: make demo TORCH="torch --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
PIP = $(VENV)/bin/python -m pip install --disable-pip-version-check --quiet

.PHONY: demo test quick lint bench clean

demo: $(VENV)/installed
	$(VENV)/bin/python app.py

test: $(VENV)/installed-dev chromium lint
	$(VENV)/bin/python -m pytest

quick: $(VENV)/installed-dev lint
	$(VENV)/bin/python -m pytest -m "not slow and not browser and not train"

bench: $(VENV)/installed-dev chromium
	$(VENV)/bin/python -m bench

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .

$(VENV)/installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(TORCH)
	$(PIP) -r requirements.txt
	touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt requirements-openvino.txt
	$(PIP) -r requirements-dev.txt
	touch $@

# The browser tests drive Debian's Chromium; elsewhere, any chromium or google-chrome on the PATH will do.
.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	  { if [ "$$(id -u)" = 0 ]; then apt-get update -q && apt-get install -y -q chromium; \
	    else sudo apt-get update -q && sudo apt-get install -y -q chromium; fi; }

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
