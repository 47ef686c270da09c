"""tools/demo.py: its steps in order, its table, its failure. (The tools themselves have their own tests.)"""
import json
from pathlib import Path

import pytest

from cmim_mm.atomic import write_atomically
from cmim_mm.engine import cli

FIGURES = {'seg': {'mIoU': 6.0, 'aAcc': 50.0}, 'depth': {'pixel/rmse': 0.5, 'pixel/d1': 0.8}}
TRIVIAL = {'seg': {'mIoU': 1.5, 'aAcc': 25.0}, 'depth': {'pixel/rmse': 1.0, 'pixel/d1': 0.4}}


@pytest.fixture
def demo(tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = tool('demo.py')
    module.real_call, module.calls = module.call, []

    def fake_call(name, *arguments):
        """Leaves behind what the tool would, with known figures."""
        arguments = [*map(str, arguments)]
        module.calls.append((name, arguments))
        given = dict(zip(arguments, arguments[1:]))
        task = 'seg' if '_seg_' in arguments[0] else 'depth'
        if name == 'train.py':
            work_dir = Path(given['--work-dir'])
            work_dir.mkdir(parents=True)
            (work_dir / 'last_checkpoint').write_text(str(work_dir.absolute() / 'iter_9.pth'))
        elif name == 'test.py':
            for stamp, figures in (('20200101_000000', {}), ('20200101_000001', FIGURES[task])):
                log = Path(given['--work-dir']) / stamp / f'{stamp}.json'
                write_atomically(json.dumps(figures).encode(), log)
        elif name.endswith('trivial_baselines.py'):
            Path(given['--out']).write_text(json.dumps({'predictor': 'same', 'metrics': TRIVIAL[task]}))
        elif name.endswith('rooms.py'):
            (Path(given['-o']) / 'image').mkdir(parents=True)
            (Path(given['-o']) / 'image/0002.jpg').touch()
            (Path(given['-o']) / 'test.txt').write_text('0002\n')
    monkeypatch.setattr(module, 'call', fake_call)
    return module


STEPS = ['train.py', 'test.py', 'analysis_tools/trivial_baselines.py', 'infer.py']


def test_makes_rooms_once_and_shows_a_table(demo, capsys):
    demo.main([])
    assert [name for name, _ in demo.calls] == ['dataset_converters/rooms.py', *STEPS, *STEPS]
    for name, arguments in demo.calls[1:]:
        if name == 'infer.py':
            task = 'segmentation' if '_seg_' in arguments[0] else 'depth'
            assert arguments[1:3] == [f'work_dirs/demo/{task}/iter_9.pth', 'data/rooms/image/0002.jpg']
        else:
            assert dict(zip(arguments, arguments[1:]))['--data-root'] == 'data/rooms'
        assert name != 'train.py' or 'train_cfg.max_iters=350' in arguments
    table = Path('work_dirs/demo/results.md').read_text()
    assert 'synthetic rooms' in table
    cells = [[c.strip() for c in line.split('|')] for line in table.splitlines() if '| same' in line]
    rows = {row[2]: [float(x) for x in row[3:6]] for row in cells}
    assert rows == {'mIoU (%)': [6, 1.5, 4], 'pixel accuracy (%)': [50, 25, 2],
                    'RMSE (m)': [0.5, 1, 0.5], 'delta1': [0.8, 0.4, 2]}
    assert table in capsys.readouterr().out
    assert json.loads(Path('work_dirs/demo/results.json').read_text())['depth']['network'] == FIGURES['depth']


@pytest.mark.parametrize('bfloat16', [True, False])
def test_mixed_precision_where_the_machine_has_it(demo, monkeypatch, capsys, bfloat16):
    monkeypatch.setattr(demo, 'has_fast_bfloat16', lambda: bfloat16)
    demo.main([])
    trainings = [arguments for name, arguments in demo.calls if name == 'train.py']
    assert len(trainings) == 2 and all(('--amp' in arguments) == bfloat16 for arguments in trainings)
    assert ('Training in mixed precision' if bfloat16 else 'Training in float32') in capsys.readouterr().out


def test_own_data_is_neither_made_nor_called_synthetic(demo, tmp_path):
    demo_data = tmp_path / 'nyud'
    (demo_data / 'image').mkdir(parents=True)
    (demo_data / 'image/0002.png').touch()
    (demo_data / 'test.txt').write_text('0002\n')
    demo.main(['--data-root', str(demo_data), '--out', 'o'])
    assert [name for name, _ in demo.calls] == [*STEPS, *STEPS]
    assert 'synthetic' not in Path('o/results.md').read_text()


def test_a_failing_step_ends_it(demo, repository, monkeypatch, capfd):
    monkeypatch.setenv('PYTHONPATH', str(repository))
    with pytest.raises(cli.ToolError, match=r'train\.py ended with status 1'):
        demo.real_call('train.py', 'no_such_config.py')
    captured = capfd.readouterr()
    assert 'train.py no_such_config.py' in captured.out
    assert 'no_such_config.py: there is no such config' in captured.err
