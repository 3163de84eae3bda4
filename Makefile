# Linux and Python 3.11 to 3.13. `make demo` and `make test` set up all that they need.
#
#   make demo                    ELMo at work, on the command line
#   make test                    the tests
#   make test COVERAGE=1         the tests, with the lines of the package that they do not run
#   make PYTHON=python3.12 ...   with another Python
#   make VENV=../env ...         with the environment in another place

VENV ?= .venv
PYTHON ?= python3
# Plain torch from PyPI brings several GB of CUDA libraries. One for the CPU:
#   make TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu" test-backends
TORCH ?= torch==2.13.0
PYTEST_ARGS ?=
NOTEBOOKS ?= $(sort $(wildcard notebooks/*.ipynb))
COVERAGE ?=
# Lowest percentage of lines that `make test COVERAGE=1` accepts: two points below the measured one.
COVERAGE_FLOOR := 90

BIN := $(VENV)/bin
WHEEL := build/wheel_check
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)
PYTEST_COVERAGE := $(if $(COVERAGE),--cov --cov-report=term:skip-covered --cov-fail-under=$(COVERAGE_FLOOR))
# sys.monitoring costs a tenth of the time; the C tracer, for Python 3.11, costs a third.
TRACER = $$($(BIN)/python -c 'import sys; print("sysmon" if sys.version_info >= (3, 12) else "ctrace")')
# What runs on every backend: all that takes character ids.
BACKEND_TESTS := tests/backend tests/layers tests/encoders tests/checkpoints/test_references.py \
	tests/checkpoints/test_word_models.py tests/presets/test_native_format.py \
	tests/presets/test_loading.py tests/presets/test_non_finite_weights.py \
	tests/models/preprocessing/test_batches.py tests/metrics \
	tests/training/test_pretraining.py::test_a_run_in_parts_is_the_same \
	tests/training/test_pretraining.py::test_a_step_of_every_precision \
	tests/training/test_teacher_loss.py::test_the_error_equals_numpy \
	tests/training/test_teacher_loss.py::test_the_errors_join_the_loss_of_the_language_model \
	tests/training/test_teacher_loss.py::test_the_sampled_softmax_of_the_sentences_equals_numpy \
	tests/training/test_teacher_loss.py::test_a_teacher_run_in_parts_is_the_same \
	tests/training/test_bert_model.py::test_vectors_equal_those_of_transformers \
	tests/models/test_bidirectional_language_model.py::test_perplexity \
	tests/models/test_language_model_front_ends.py tests/models/test_language_model_contract.py \
	tests/models/test_elmo_text_classifier.py tests/models/test_elmo_tagger.py tests/models/test_backbones.py \
	tests/models/test_heads.py tests/models/test_preprocessors.py tests/models/test_task_presets.py \
	tests/models/test_fine_tuning.py \
	tests/training/test_front_ends.py tests/training/test_reproducibility.py
# Processes that choose JAX themselves, wherever it is installed.
JAX_TESTS := tests/test_import.py tests/test_cli.py::test_tensorflow_on_another_backend_is_as_quiet
# Readers of torch files, which `make test` skips without torch; and untrusted files of all formats.
MANYLANGS_TESTS := tests/checkpoints/test_manylangs.py tests/test_convert.py
UNTRUSTED_TESTS := tests/untrusted

export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: bench demo test test-slow test-pretraining test-long test-backends test-manylangs test-untrusted test-jax test-torch \
	test-jax-alone test-wheel lint types format notebooks dist clean

demo: $(VENV)/.package
	$(BIN)/elmo-keras demo

test: $(VENV)/.dev
	$(if $(COVERAGE),COVERAGE_CORE=$(TRACER)) $(PYTEST) $(PYTEST_COVERAGE)

test-slow: $(VENV)/.dev
	$(PYTEST) --run-slow

# Against the programs in .peers/, if they are there; writes benchmarks/RESULTS.md.
bench: $(VENV)/.package
	$(BIN)/python benchmarks/speed.py

# Kills, two worker processes, and what else of pretraining takes long.
test-pretraining: $(VENV)/.dev
	$(PYTEST) --run-slow tests/training tests/models/test_bidirectional_language_model.py

# What else `make test` leaves out for its length: the Python of the documents, searches of keras-tuner,
# models trained on a cache.
test-long: $(VENV)/.dev
	$(PYTEST) --run-slow tests/test_readme.py tests/test_tuning.py tests/encoders/test_elmo_layer.py \
		tests/encoders/test_embed.py tests/checkpoints/test_word_models.py

test-backends: test-jax test-torch

test-manylangs: $(VENV)/.torch
	$(PYTEST) $(MANYLANGS_TESTS)

test-untrusted: $(VENV)/.torch
	$(PYTEST) --run-slow $(UNTRUSTED_TESTS)

test-jax: $(VENV)/.jax
	KERAS_BACKEND=jax XLA_FLAGS=--xla_backend_optimization_level=0 $(PYTEST) $(BACKEND_TESTS) $(JAX_TESTS)

test-torch: $(VENV)/.torch
	KERAS_BACKEND=torch $(PYTEST) $(BACKEND_TESTS)

# A machine with JAX alone: Keras and JAX, then the package without its dependencies.
test-jax-alone: $(VENV)-jax/.jax-alone
	KERAS_BACKEND=jax $(VENV)-jax/bin/python -m pytest $(PYTEST_ARGS) tests/test_import.py

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/python -m mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: $(VENV)/.notebooks
ifeq ($(NOTEBOOKS),)
	@echo "There are no notebooks."
else
	$(BIN)/python notebooks/execute.py $(NOTEBOOKS)
endif

# The sdist, and the wheel built from it.
dist: $(VENV)/.dev
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

# Builds both and installs the wheel in a folder of its own: files that either lacks are missing there.
test-wheel: dist
	rm -rf $(WHEEL)
	$(PIP) install --quiet --no-deps --target $(WHEEL) dist/*.whl
	PYTHONPATH=$(WHEEL) $(BIN)/python -P .ci/check_wheel.py $(WHEEL)
	PYTHONPATH=$(WHEEL) $(BIN)/python -P $(WHEEL)/bin/elmo-keras --help >/dev/null

clean:
	rm -rf $(VENV) $(VENV)-jax build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find elmo_keras elmo_keras_cli tests notebooks benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# === Environments: a stamp file stands for what is installed ===

%/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "Python 3.11 to 3.13 is needed: make PYTHON=python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $* || { rm -rf $*; exit 1; }

$(VENV)/.package: setup.cfg pyproject.toml | $(BIN)/python
	@echo "Installing TensorFlow and the package into $(VENV): some minutes, once."
	$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.package
	$(PIP) install --quiet --editable ".[dev]"
	@touch $@

$(VENV)/.jax: $(VENV)/.dev
	$(PIP) install --quiet --editable ".[jax]"
	@touch $@

$(VENV)/.torch: $(VENV)/.dev
	$(BIN)/python -c "import torch" 2>/dev/null || $(PIP) install --quiet $(TORCH)
	@touch $@

$(VENV)/.notebooks: $(VENV)/.package
	$(PIP) install --quiet --editable ".[notebooks]"
	@touch $@

$(VENV)-jax/.jax-alone: setup.cfg pyproject.toml | $(VENV)-jax/bin/python
	$(VENV)-jax/bin/python -m pip install --quiet "keras>=3.15,<4" "jax>=0.10.2,<0.11" \
		"pytest>=9.2,<10" "pytest-timeout>=2.4,<3"
	$(VENV)-jax/bin/python -m pip install --quiet --no-deps --editable .
	@touch $@
