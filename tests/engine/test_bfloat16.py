from pathlib import Path

import pytest
import torch

from cmim_mm.engine import bfloat16


@pytest.mark.parametrize('flags, expected', [
    ('flags : fpu avx512f avx512_bf16 avx512_vnni', True), ('flags : avx2 amx_bf16', True),
    ('Features : asimd bf16 i8mm', True), ('flags : fpu avx512f avx512bw', False), ('', False)])
def test_processors(monkeypatch, flags, expected):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(Path, 'read_text', lambda self, encoding: flags)
    assert bfloat16.has_fast_bfloat16() == expected


def test_without_proc_and_on_gpus(monkeypatch):
    def missing(self, encoding):
        raise FileNotFoundError(self)

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(Path, 'read_text', missing)
    assert not bfloat16.has_fast_bfloat16()
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    for supported in (True, False):
        monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda supported=supported: supported)
        assert bfloat16.has_fast_bfloat16() == supported
