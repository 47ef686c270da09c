"""tools/analysis_tools/plot_probes.py: what it reads, the panels, the picture."""
import json

import cv2
import pytest

from cmim_mm.engine.cli import ToolError


@pytest.fixture
def plot_probes(tool):
    return tool('analysis_tools/plot_probes.py')


def write_log(folder, steps, start=0.0, **more):
    """Scalars as LocalVisBackend writes them, validations between."""
    log = folder / 'vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    lines = []
    for step in steps:
        figures = {
            'bound/layer4.1.conv2': start + step / 10, 'ceiling': 6.9078, 'saturated/layer4.1.conv2': 20.0,
            'knn/layer4.1.conv2': 3.0 + step, 'majority': 1.0, **more}
        if step:
            figures.update({'flips/total': 5.0, 'flips/layer4.1.conv2': 4.0, 'flips/layer1.0.conv1': 9.0})
        lines += [{**{f'probe/{name}': value for name, value in figures.items()}, 'step': step},
                  {'accuracy/top1': 1.0, 'step': step}]
    log.write_text('\n'.join(map(json.dumps, lines)))


def test_a_resumed_run_is_one_curve(plot_probes, tmp_path):
    write_log(tmp_path / 'run/20250101_000000', (0, 10, 20))
    write_log(tmp_path / 'run/20250102_000000', (20, 30), start=1.0)
    curves = plot_probes.read_probes(tmp_path / 'run')
    assert curves['bound/layer4.1.conv2'] == [(0, 0.0), (10, 1.0), (20, 3.0), (30, 4.0)]
    assert [step for step, _ in curves['flips/total']] == [10, 20, 30]
    assert 'accuracy/top1' not in curves


def test_draws_runs_side_by_side(plot_probes, tmp_path, capsys):
    write_log(tmp_path / 'a/1', (0, 10))
    write_log(tmp_path / 'b/1', (0, 10, 20), **{'bound_cmim/layer4.1.conv2': 2.0})
    write_log(tmp_path / 'other/a/1', (0, 10))
    out = tmp_path / 'new/probes.png'
    runs = [tmp_path / 'a', tmp_path / 'b', tmp_path / 'other/a']
    plot_probes.main([*map(str, runs), '-o', str(out)])
    assert cv2.imread(str(out)).std() > 10 and str(out) in capsys.readouterr().out

    figure = plot_probes.plot({run.name: plot_probes.read_probes(run) for run in runs[:2]})
    assert len(figure.axes) == 8 and [ax.get_title() for ax in figure.axes[:2]] == ['a', 'b']
    for ax, lines in zip(figure.axes, (2, 3, 1, 1, 2, 2, 2, 2)):
        assert len([line for line in ax.lines if len(line.get_xdata())]) == lines
    dashed = [line.get_ydata()[0] for line in figure.axes[0].lines if line.get_linestyle() == '--']
    assert dashed == [6.9078]
    assert all(ax.get_ylabel() for ax in figure.axes[::2]) and 'nats' in figure.axes[0].get_ylabel()


def test_a_run_without_probes_is_explained(plot_probes, tmp_path):
    with pytest.raises(ToolError, match='no probes.*default_hooks.probe.type=cmim_mm.ProbeHook'):
        plot_probes.main([str(tmp_path)])
