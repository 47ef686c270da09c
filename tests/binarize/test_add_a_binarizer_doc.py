"""The example of docs/add_a_binarizer.md meets the contract by registration alone."""
import importlib.util
import re
import sys

import pytest
from binarizer_contract import CHECKS, build, gradients, inputs

from cmim_mm.binarize import BINARIZERS


@pytest.fixture(scope='module')
def example(request, tmp_path_factory):
    text = (request.config.rootpath / 'docs' / 'add_a_binarizer.md').read_text(encoding='utf-8')
    code, = re.findall(r'```python\n(.*?)```', text, flags=re.DOTALL)
    path = tmp_path_factory.mktemp('doc') / 'example_of_a_tenth_binarizer.py'
    path.write_text(code, encoding='utf-8')
    spec = importlib.util.spec_from_file_location(path.stem, path)
    known = set(BINARIZERS.module_dict)
    # A real module, as the reader's would be: torch.compile looks functions up by module name.
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    name, = set(BINARIZERS.module_dict) - known
    yield name, code
    del BINARIZERS.module_dict[name], sys.modules[path.stem]


def test_under_60_lines(example):
    assert len(example[1].splitlines()) < 60


@pytest.mark.parametrize('check', CHECKS, ids=lambda check: check.__name__[len('check_'):])
def test_contract(example, check):
    check(example[0])


def test_arguments_reach_it(example):
    conv = build({'type': example[0], 'beta_start': 1.0, 'beta_end': 1.0})
    sharper = build({'type': example[0], 'beta_start': 3.0, 'beta_end': 3.0})
    assert not gradients(conv, inputs())['x'].allclose(gradients(sharper, inputs())['x'])
