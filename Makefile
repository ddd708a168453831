# First Order.  make book builds the website, make test proves it; the others are for habits.
# Needed: make and Python 3.11 or newer (on Debian with python3-venv).  Without make: see README.md.

PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
WORKERS ?= auto

.PHONY: help book test site-test coursework-test serve lab refresh assignments grade release benchmarks mutants clean

help:
	@echo "make book        build the website into _build/html"
	@echo "make test        ruff, unit tests, every notebook against its stored outputs"
	@echo "make site-test   build the website and check every page of it in a browser"
	@echo "make coursework-test  grade whole classes, cheats among them, as an instructor would (10 min)"
	@echo "make serve       build the website and serve it on http://localhost:$(PORT)"
	@echo "make lab         open the chapters in JupyterLab"
	@echo "make refresh     run all notebooks again, or NOTEBOOK=chapters/adam.ipynb, and store them"
	@echo "make assignments build what students, instructors and graders get, into build/assignments"
	@echo "make grade       ASSIGNMENT=adam SUBMISSIONS=folder [OUT=folder]: grades.csv and feedback"
	@echo "make release     VERSION=0.2.0: set version and install cells, commit, tag"
	@echo "make benchmarks  measure the rules against the libraries"
	@echo "make mutants     change the rules line by line: does a test notice?"
	@echo "make clean       remove what was built; the environment $(VENV) stays"

# The environment is made once, and again when one of these two files has changed.
$(VENV)/.complete: requirements.txt pyproject.toml
	@PYTHON=$(PYTHON) sh tools/environment.sh $(VENV)

book: $(VENV)/.complete
	$(VENV)/bin/jupyter-book build -W -n --keep-going --all .
	@echo "Open $(CURDIR)/_build/html/index.html in a browser, or run: make serve"

test: $(VENV)/.complete
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile
	@echo "Not part of this run, because it needs the built website and a browser: make site-test"

site-test: book
	$(VENV)/bin/pytest tests/site

coursework-test: assignments
	$(VENV)/bin/pytest tests/coursework -n $(WORKERS) --maxprocesses 4 --dist loadfile

serve: book
	$(VENV)/bin/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

lab: $(VENV)/.complete
	$(VENV)/bin/jupyter lab chapters

refresh: $(VENV)/.complete
	$(VENV)/bin/python tools/refresh.py $(NOTEBOOK)

assignments: $(VENV)/.complete
	$(VENV)/bin/python tools/assignments.py

grade: $(VENV)/.complete
	$(VENV)/bin/python tools/grade.py "$(ASSIGNMENT)" "$(SUBMISSIONS)" $(if $(OUT),--out "$(OUT)")

release: $(VENV)/.complete
	$(VENV)/bin/python tools/release.py "$(VERSION)"

benchmarks: $(VENV)/.complete
	@for script in benchmarks/*.py; do echo "$$script"; $(VENV)/bin/python $$script || exit 1; done

mutants: $(VENV)/.complete
	$(VENV)/bin/python tools/mutants.py

clean:
	rm -rf _build build .ruff_cache .hypothesis .pytest_cache
