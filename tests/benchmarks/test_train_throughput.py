"""The benchmark of whole trainings, at toy sizes."""
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmseg.registry import MODELS

import benchmarks.train_throughput as throughput
from benchmarks.train_throughput import FORMS, KINDS, Case, Form, measure
from cmim_mm.analysis import model_cost


@pytest.mark.parametrize('task, form', [
    ('seg', Form('bfloat16', 'channels_last', bfloat16=True)), ('depth', Form('twin', twin=True))])
def test_a_form_is_measured(repository, task, form):
    path = repository / f'configs/nyud_{task}_bnn_quick.py'
    found = measure(Case(str(path), (64, 64)), form, repeats=1, threads=1)
    assert found['batch'] == 8 and min(found[key] for key in ('wall', 'cpu', 'peak', 'rate')) > 0
    assert sum(found['kinds'].values()) == pytest.approx(1)
    assert set(found['kinds']) <= {*KINDS, 'optimizer', 'other'} and found['kinds']['conv'] > 0
    cfg = Config.fromfile(path)
    cfg.model.backbone.binarizer = None if form.twin else cfg.model.backbone.binarizer
    # A convolution and its two gradients have twice its products each; the image needs no gradient.
    products = sum(layer.macs for layer in model_cost(MODELS.build(cfg.model), (3, 32, 32)).layers)
    assert found['flops'] == pytest.approx(8 * 3 * 2 * products, rel=0.1)


def test_rows_say_what_is_gained_on_the_first(monkeypatch, tmp_path, capsys):
    seconds = {form.name: 1 / (i + 1) for i, form in enumerate(FORMS)}

    def run_form(case, form, args, threads):
        spent = seconds[form.name]
        return dict(batch=8, wall=spent, cpu=spent, peak=2**20 * spent, flops=8e9, rate=4e9,
                    kinds=dict(conv=0.5))

    monkeypatch.setattr(throughput, 'run_form', run_form)
    (tmp_path / 'cmim_mm').mkdir()
    throughput.main(['--cases', 'seg', '--before', str(tmp_path), '--threads', '1'])
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in lines[2:2 + len(FORMS)]]
    assert [row[2] for row in rows] == [form.name for form in FORMS]
    assert rows[3][:10] == ['seg', '1', 'bfloat16', '32.0', '4.00', '0.250', '4.00', '2.000', '0', '0.25']
    assert dict(zip(throughput.HEADER[10:], rows[3][10:]))['conv'] == '50%'
    throughput.main(['--cases', 'seg', '--threads', '1'])
    assert 'before' not in capsys.readouterr().out


def test_operations_are_sorted_by_kind():
    def event(name, time, parent=None):
        return SimpleNamespace(name=name, self_cpu_time_total=time, cpu_parent=parent)

    step = event('Optimizer.step#Adam.step', 1.0)
    events = [step, event('aten::mul_', 1.0, step), event('aten::convolution_backward', 4.0),
              event('aten::upsample_bilinear2d', 2.0), event('aten::mul', 2.0)]
    assert throughput.shares(events) == {'optimizer': 0.2, 'conv': 0.4, 'resize, pool': 0.2, 'other': 0.2}


def test_mistakes_are_named(tmp_path):
    with pytest.raises(throughput.ToolError, match='--repeats 0'):
        throughput.main(['--repeats', '0'])
    with pytest.raises(throughput.ToolError, match='git worktree add'):
        throughput.main(['--before', str(tmp_path)])
