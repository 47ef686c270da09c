"""The models in zoo/: small, described, and as good on a few rooms as their cards say."""
import hashlib
import json
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.registry import DefaultScope

from cmim_mm.deploy import read
from cmim_mm.deploy.packing import inference_config
from cmim_mm.registry import MODELS

ZOO = Path(__file__).resolve().parents[2] / 'zoo'
CARDS = sorted(p for p in ZOO.glob('*.md') if p.name != 'README.md')
PACKED = [card for card in CARDS if card.with_suffix('.cmim').is_file()]


def front_matter(card):
    return yaml.safe_load(card.read_text(encoding='utf-8').split('---')[1])


def test_every_model_has_a_card_and_an_entry(repository):
    files = {path.name for path in ZOO.iterdir() if path.suffix in ('.cmim', '.safetensors')}
    assert {front_matter(card)['model'] for card in CARDS} == files and PACKED
    entries = yaml.safe_load((repository / 'configs/metafile.yml').read_text())['Models']
    weights = {entry.get('Weights'): entry for entry in entries}
    for card in CARDS:
        said = front_matter(card)
        assert weights[f'zoo/{said["model"]}']['Config'] == said['config']
        assert (repository / said['config']).is_file()
        assert (ZOO / said['model']).stat().st_size <= 3e6
    for card in PACKED:
        assert weights[f'zoo/{card.stem}.cmim']['Results'][0]['Metrics'] == front_matter(card)['nyud']
        assert f'zoo/{card.stem}.cmim' in (repository / 'README.md').read_text()


@pytest.mark.parametrize('name', ['nyud_seg_bnn', 'nyud_depth_bnn'])
def test_the_encoder_enters_the_dense_networks(name, repository, monkeypatch):
    monkeypatch.chdir(repository)
    init = Config.fromfile(f'configs/{name}_pretrained.py').model.backbone.init_cfg
    assert init == Config.fromfile(f'configs/{name}_pretrained_quick.py').model.backbone.init_cfg
    digest = hashlib.sha256(Path(init.checkpoint).read_bytes()).hexdigest()
    assert init.checkpoint.endswith(f'-{digest[:8]}.safetensors')
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(Config.fromfile(f'configs/{name}_pretrained.py').model)
    model.init_weights()
    filters = model.backbone.layer4[0].conv1.weight.detach().abs()
    torch.testing.assert_close(filters, filters[:, :1, :1, :1].expand_as(filters))  # bits, with a scale


@pytest.mark.parametrize('card', PACKED, ids=lambda card: card.stem)
def test_a_model_is_of_its_config(card, repository):
    cfg = Config.fromfile(repository / front_matter(card)['config'])
    assert read(card.with_suffix('.cmim')).config['model'] == inference_config(cfg)['model']


@pytest.mark.parametrize('card', PACKED, ids=lambda card: card.stem)
def test_figures_on_a_few_rooms_are_those_of_the_card(card, tool, rooms_root, tmp_path):
    """Of rooms it has never seen the like of, so low; what counts is that they do not move."""
    tool('test.py').main([str(card.with_suffix('.cmim')), '--data-root', str(rooms_root),
                          '--work-dir', str(tmp_path)])
    found = json.loads(next(p for p in tmp_path.rglob('*.json') if 'scalars' not in p.name).read_text())
    for metric, value in front_matter(card)['rooms'].items():
        assert found[metric] == pytest.approx(value, rel=2e-2), metric
