"""A version that cannot work is refused with what to do; missing compiled ops raise when called."""
import importlib.metadata
import subprocess
import sys

import pytest

from cmim_mm import compat


def test_supported_versions_pass():
    compat.check_versions()


@pytest.mark.parametrize('distribution, version', [
    ('torch', '2.4.1'), ('mmengine', '0.8.0'), ('mmcv-lite', '2.2.0'), ('mmsegmentation', '1.1.0')])
def test_unsupported_version_is_refused(monkeypatch, distribution, version):
    real = importlib.metadata.version

    def fake(name):
        if distribution == 'mmcv-lite' and name == 'mmcv':
            raise importlib.metadata.PackageNotFoundError(name)
        return version if name == distribution else real(name)

    monkeypatch.setattr(importlib.metadata, 'version', fake)
    with pytest.raises(ImportError) as error:
        compat.check_versions()
    text = str(error.value)
    assert f'{distribution} {version} is installed' in text
    assert 'supported is' in text and 'pip install' in text


def test_missing_package_is_named(monkeypatch):
    def fake(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, 'version', fake)
    with pytest.raises(ImportError, match='torch is not installed.*pip install'):
        compat.check_versions()


@pytest.mark.skipif(compat.has_compiled_ops(), reason='the full mmcv is installed: no op is missing')
def test_missing_op_raises_when_called():
    import torch
    from mmcv.ops import sigmoid_focal_loss
    from mmcv.utils import ext_loader

    ext = ext_loader.load_ext('_ext', ['nms'])
    with pytest.raises(NotImplementedError, match="'nms' of mmcv was called.*full mmcv"):
        ext.nms(1, 2)
    with pytest.raises(NotImplementedError, match='sigmoid_focal_loss_forward'):
        sigmoid_focal_loss(torch.zeros(1, 2), torch.zeros(1, dtype=torch.long), 2.0, 0.25, None, 'mean')


def test_mmseg_imports_after_cmim_mm():
    code = 'import cmim_mm, mmseg.datasets, mmseg.models, mmseg.apis; print("ok")'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.strip().endswith('ok'), done.stderr
