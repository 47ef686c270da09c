"""The models in zoo/: small, described, and as good on a few rooms as their cards say."""
import json
from pathlib import Path

import pytest
import yaml

from cmim_mm.deploy import read

ZOO = Path(__file__).resolve().parents[2] / 'zoo'
CARDS = sorted(p for p in ZOO.glob('*.md') if p.name != 'README.md')


def front_matter(card):
    return yaml.safe_load(card.read_text(encoding='utf-8').split('---')[1])


def test_every_model_has_a_card_and_an_entry(repository):
    assert {card.stem for card in CARDS} == {path.stem for path in ZOO.glob('*.cmim')} != set()
    entries = yaml.safe_load((repository / 'configs/metafile.yml').read_text())['Models']
    weights = {entry.get('Weights'): entry for entry in entries}
    for card in CARDS:
        said = front_matter(card)
        assert weights[f'zoo/{card.stem}.cmim']['Config'] == said['config']
        assert weights[f'zoo/{card.stem}.cmim']['Results'][0]['Metrics'] == said['nyud']
        assert f'zoo/{card.stem}.cmim' in (repository / 'README.md').read_text()


@pytest.mark.parametrize('card', CARDS, ids=lambda card: card.stem)
def test_a_model_is_small_and_of_its_config(card, repository):
    packed = read(card.with_suffix('.cmim'))
    assert card.with_suffix('.cmim').stat().st_size <= 3e6
    assert (repository / front_matter(card)['config']).is_file()
    assert 'init_cfg' not in packed.config['model']['backbone']


@pytest.mark.parametrize('card', CARDS, ids=lambda card: card.stem)
def test_figures_on_a_few_rooms_are_those_of_the_card(card, tool, rooms_root, tmp_path):
    """Of rooms it has never seen the like of, so low; what counts is that they do not move."""
    tool('test.py').main([str(card.with_suffix('.cmim')), '--data-root', str(rooms_root),
                          '--work-dir', str(tmp_path)])
    found = json.loads(next(p for p in tmp_path.rglob('*.json') if 'scalars' not in p.name).read_text())
    for metric, value in front_matter(card)['rooms'].items():
        assert found[metric] == pytest.approx(value, rel=2e-2), metric
