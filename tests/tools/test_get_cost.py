"""tools/analysis_tools/get_cost.py: variants, and measured times."""
import json

import pytest


def test_totals_of_variants(tool, repository, tmp_path):
    out = tmp_path / 'cost.md'
    tool('analysis_tools/get_cost.py').main([
        str(repository / 'configs/pretrain/r20_cifar100_quick.py'), '--shape', '32', '32', '--out', str(out),
        '--vary', 'model.backbone.binarizer=BNN,None'])
    header, _, binary, full = [[cell.strip() for cell in line.split('|')[1:-1]]
                               for line in out.read_text().splitlines()]
    assert header == ['network', 'params', 'flops', 'bops', 'ops', 'bytes']
    assert binary[0] == 'r20_cifar100_quick binarizer=BNN' and full[0].endswith('binarizer=None')
    assert binary[1] == full[1] == '270,500' and full[3] == '0'
    assert float(binary[4]) < 0.03 * float(full[4])


def test_measured_times_of_the_packed_model(tool, repository, tmp_path):
    config = str(repository / 'configs/pretrain/r20_cifar100_quick.py')
    out, get_cost = tmp_path / 'cost.json', tool('analysis_tools/get_cost.py')
    get_cost.main([config, '--shape', '32', '32', '--out', str(out), '--time', '--format', 'json'])
    report = json.loads(out.read_text())
    timed = [layer for layer in report['layers'] if layer['ms'] != '']
    assert len(timed) >= 20 and all(layer['ms'] > 0 for layer in timed)
    assert sum(layer['ms'] for layer in timed) < 1.5 * report['total']['ms']
    get_cost.main([config, '--shape', '32', '32', '--out', str(out), '--time'])
    header, *_, total, note = out.read_text().splitlines()
    assert header.split()[-1] == 'ms' and float(total.split()[-1]) > 0 and 'packed' in note
    get_cost.main([config, '--shape', '32', '32', '--out', str(out)])
    assert 'ms' not in out.read_text().splitlines()[0].split()
    with pytest.raises(SystemExit):
        get_cost.main([config, '--time', '--vary', 'model.backbone.binarizer=BNN,None'])
