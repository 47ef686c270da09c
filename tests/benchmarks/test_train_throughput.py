"""The benchmark of whole trainings, at toy sizes."""
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmseg.registry import MODELS

import benchmarks.train_throughput as throughput
from benchmarks.measured_training import KINDS, Case, Form, measure, shares
from benchmarks.train_throughput import FORMS
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
    forms = [form for form in FORMS if not form.compiled]
    seconds = {form.name: 1 / (i + 1) for i, form in enumerate(forms)}

    def run_form(case, form, args, threads):
        spent = seconds[form.name]
        return dict(batch=8, wall=spent, cpu=spent, first=1.5, peak=2**20 * spent, flops=8e9, rate=4e9,
                    kinds=dict(conv=0.5))

    monkeypatch.setattr(throughput, 'run_form', run_form)
    (tmp_path / 'cmim_mm').mkdir()
    throughput.main(['--cases', 'seg', '--before', str(tmp_path), '--threads', '1'])
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in lines[2:2 + len(forms)]]
    assert [row[2] for row in rows] == [form.name for form in forms]
    assert rows[3][:11] == [
        'seg', '1', 'bfloat16', '32.0', '4.00', '0.250', '4.00', '1.5', '2.000', '0', '0.25']
    assert dict(zip(throughput.HEADER[11:], rows[3][11:]))['conv'] == '50%'


def test_compiled_and_before_are_asked_for(monkeypatch, capsys):
    asked = []

    def run_form(case, form, args, threads):
        asked.append(form.name)
        return dict(batch=8, wall=1.0, cpu=1.0, peak=1, flops=1, rate=1, kinds={}, first=99.0)

    monkeypatch.setattr(throughput, 'run_form', run_form)
    throughput.main(['--cases', 'seg', '--threads', '1'])
    plain, asked[:] = asked[:], []
    throughput.main(['--cases', 'seg', '--threads', '1', '--compiled'])
    assert 'before' not in plain and asked[:3] == plain[:3] and asked[4:] == plain[3:]
    compiled = next(line for line in capsys.readouterr().out.splitlines() if 'bfloat16, compiled' in line)
    assert compiled.count(' - ') == len(throughput.HEADER) - 8 and '99.0' in compiled


def test_operations_are_sorted_by_kind():
    def event(name, time, parent=None):
        return SimpleNamespace(name=name, self_cpu_time_total=time, cpu_parent=parent)

    step = event('Optimizer.step#Adam.step', 1.0)
    events = [step, event('aten::mul_', 1.0, step), event('aten::convolution_backward', 4.0),
              event('aten::upsample_bilinear2d', 2.0), event('aten::mul', 2.0)]
    assert shares(events) == {'optimizer': 0.2, 'conv': 0.4, 'resize, pool': 0.2, 'other': 0.2}


def test_mistakes_are_named(tmp_path):
    with pytest.raises(throughput.ToolError, match='--repeats 0'):
        throughput.main(['--repeats', '0'])
    with pytest.raises(throughput.ToolError, match='git worktree add'):
        throughput.main(['--before', str(tmp_path)])
