"""The benchmark of a training step with CMIM, at toy sizes."""
import re

import pytest
import torch
from torch.nn import functional as F

import benchmarks.cmim_step as cmim_step
from cmim_mm.models.losses import CMIMLoss

TINY = ['--scale', '0.001', '--network', 'resnet20', '--image-size', '8', '--repeats', '1', '--device', 'cpu']


def test_table_has_a_row_for_each_case_and_says_what_is_left_out(capsys):
    cmim_step.main([*TINY, '--teacher', '--cases', 'cifar', 'queue', '--release-memory', '1e-5'])
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in lines[2:4]]
    assert [row[:4] for row in rows] == [['cifar', '2', '4', '50'], ['queue', '2', '66', '1281']]
    (*_, ratio, release, _, plain, cmim, peak), left_out = rows
    assert float(ratio) > 0 and float(release) > 0 and float(peak) > float(plain)
    assert left_out[7:9] == ['-', '-'] and left_out[11] == '-'
    assert lines[5].startswith('resnet20, IRNet, images of 8x8, median of 1, the release with its teacher; ')
    assert re.fullmatch(r'queue: the release gathers [\d.]+ GiB .*, over --release-memory 1e-05\.', lines[6])


def test_the_release_computes_the_same_objective():
    case = cmim_step.Case(4, 6, 30, 'Bank')
    model = cmim_step.classifier('resnet20', 'IRNet', record=True)
    step = cmim_step.ReleaseStep(model, torch.randn(4, 3, 8, 8), case)
    chosen = torch.randint(30, (4, 7))
    z, bank = F.normalize(torch.randn(4, 128), dim=1), step.network.bank0
    found = step._nce(0, z, bank, chosen)
    loss = CMIMLoss(cmim_step.TEMPERATURE)
    normalizer = torch.full((2, ), step.normalizers[0] / case.images)
    loss.load_state_dict({'log_normalizer': normalizer.log(), 'estimated': torch.ones(2, dtype=torch.bool)})
    torch.testing.assert_close(found, loss(z, bank[chosen[:, 0]], bank[chosen[:, 1:]]), rtol=1e-4, atol=0)


def test_mistakes_are_named():
    with pytest.raises(cmim_step.ToolError, match='--scale 0, --repeats 1'):
        cmim_step.main(['--scale', '0', '--repeats', '1'])
