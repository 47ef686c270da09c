import pytest

from cmim_mm.deploy.kernel import VARIABLE, available_kernels


@pytest.fixture(params=['torch', 'serial', 'avx2', 'avx512bw', 'avx512vpopcntdq', 'neon'])
def kernel(request, monkeypatch):
    """Of the operators, by name; a test that asks for it runs with each kernel of this machine."""
    if request.param not in available_kernels():
        pytest.skip(f'this machine does not run {request.param}')
    monkeypatch.setenv(VARIABLE, request.param)
    return request.param
