PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check clean

demo: .venv/installed
	$(BIN)/simpaint demo --out demo

test: check
	$(BIN)/pytest -n 2

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=.venv $(BIN)/mypy -p simpaint

# Installed once; again when what is to be installed changes. The link gives mypy the package's name.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -e '.[cpu,faces,train,cluster,dev]'
	ln -sfn .. .venv/simpaint
	touch $@

clean:
	rm -rf .venv demo
