# make demo | make test | make lint      (each makes .venv and installs on its first run)
# A torch of the interpreter's own is kept. Without one, a machine without a GPU saves gigabytes by
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
TORCH_INDEX ?=
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -q

.PHONY: install demo test lint clean
install: $(VENV)/.installed

$(VENV)/.installed: setup.py Makefile
	@command -v $(PYTHON) >/dev/null || { echo 'error: there is no $(PYTHON); name one by PYTHON=' >&2; exit 1; }
	@$$(test -x $(BIN)/python && echo $(BIN)/python || echo $(PYTHON)) tools/misc/check_python.py
	@test -x $(BIN)/python || $(PYTHON) -m venv \
	  $$($(PYTHON) -c 'import torch' 2>/dev/null && echo --system-site-packages) $(VENV)
	@$(BIN)/python -c 'import torch' 2>/dev/null || \
	  { echo '[1/3] $(TORCH)'; $(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) '$(TORCH)'; }
	@echo '[2/3] mmcv: an installed one is kept, else mmcv-lite'
	@$(BIN)/python -c 'import mmcv' 2>/dev/null || $(PIP) 'mmcv-lite>=2.1,<2.2'
	@echo '[3/3] cmim_mm and the rest'
	@$(PIP) -e '.[dev]'
	@$(BIN)/python -c 'import cv2' 2>/dev/null || \
	  { echo 'OpenCV finds no libGL here: the headless build takes its place'; \
	    $(BIN)/python -m pip uninstall -q -y opencv-python && $(PIP) opencv-python-headless; }
	@$(BIN)/python -c 'import cmim_mm; print("cmim_mm", cmim_mm.__version__, "is installed")'
	@touch $@

demo: install
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python tools/demo.py

test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests -n auto --maxprocesses 8 --dist loadscope

lint: install
	$(BIN)/ruff check .

clean:
	rm -rf $(VENV) build dist *.egg-info cmim_mm/.mim
