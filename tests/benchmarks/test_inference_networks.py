"""benchmarks/inference_networks.py and exactness.py on small images."""
import importlib

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS


@pytest.fixture
def load(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository))
    init_default_scope('mmseg')
    return lambda name: importlib.import_module(f'benchmarks.{name}')


def test_forms_of_a_network_take_turns(load, monkeypatch):
    module = load('inference_networks')
    turns = []
    monkeypatch.setattr('benchmarks.rounds.TURN_SECONDS', 0.)
    monkeypatch.setattr(module, 'engines', lambda *args: {'another': lambda: turns.append(args[3])})
    threads = torch.get_num_threads()
    try:
        rows = module.measure('depth', [1, 2], 1, (64, 96)).splitlines()
    finally:
        torch.set_num_threads(threads)
    cells = {row.split('|')[1].strip(): [cell.strip() for cell in row.split('|')[2:-1]] for row in rows}
    assert cells.keys() >= {'simulation, float32', 'packed, float32', 'packed, bfloat16', 'another'}
    assert set(turns) == {1, 2} and cells['twin, float32'][2] == '1.00'
    memory, size = (int(float(cells['packed, float32'][i])) for i in (3, 4))
    assert memory < int(cells['simulation, float32'][3]) and size == 3


def test_whole_networks_give_maps_of_the_images_size(load):
    module = load('inference_networks')
    for case, dtype in (('seg', torch.int64), ('depth', torch.float32)):
        forms = {name: module.Whole(module.model_of(config, None)[0]).eval()
                 for name, config in (('twin', module.TWINS[case]), ('binary', module.CASES[case]))}
        for network in forms.values():
            with torch.no_grad():
                y = network(torch.randn(1, 3, 32, 64))
            assert y.shape[-2:] == (32, 64) and y.dtype == dtype


def test_packed_networks_write_labels_alone(load, tmp_path):
    module = load('inference_networks')
    ours, theirs = {'cmim_mm::bilinear_labels'}, {'aten::argmax'}
    forms, _ = module.torch_forms('seg', tmp_path)
    x, made = torch.randn(1, 3, 32, 64), {}
    for name, network in forms.items():
        with torch.no_grad(), torch.profiler.profile() as profile:
            labels = network(x.bfloat16() if name == 'twin, bfloat16' else x)
        assert labels.shape == (1, 32, 64) and labels.dtype == torch.int64
        made[name] = {event.key for event in profile.key_averages()} & (ours | theirs)
    assert made == {'twin, float32': theirs, 'twin, bfloat16': theirs, 'simulation, float32': theirs,
                    'packed, float32': ours, 'packed, bfloat16': ours, 'packed, int8': ours}


def test_exactness_of_a_checkpoint(load, repository, rooms_root, tmp_path, capsys):
    config = str(repository / 'configs/nyud_depth_bnn_quick.py')
    torch.manual_seed(0)
    torch.save(dict(state_dict=MODELS.build(Config.fromfile(config).model).state_dict()), tmp_path / 'a.pth')
    options = ['--cfg-options', 'test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False']
    figures = []
    for more in ([], ['--rounding'], ['--bfloat16', '--half'], ['--int8']):
        given = [config, str(tmp_path / 'a.pth'), '--data-root', str(rooms_root), '--images', '1']
        load('exactness').main([*given, *more, *options])
        lines = [line.split('|') for line in capsys.readouterr().out.splitlines() if line.startswith('| ')]
        rows = {line[1].strip(): line[2:4] for line in lines}
        assert rows['images'][0].strip() == '1' and float(rows['largest difference, m'][1]) < 10
        figures.append([float(value) for value in rows['pixel/rmse']])
    # Untrained norms leave sums at their thresholds, so rounding shows.
    assert len({trained for trained, _ in figures}) == 1 and all(0 < other < 10 for _, other in figures)
    assert all(figures[i][1] != figures[i][0] for i in (2, 3))
