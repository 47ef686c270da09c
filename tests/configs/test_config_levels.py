"""How configs inherit: base files exist and no chain of them is longer than three."""
import ast
from pathlib import Path

import pytest

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
NAMES = sorted(str(p.relative_to(CONFIGS)) for p in CONFIGS.rglob('*.py'))


def bases(path):
    """The files that ``_base_`` names; none where a config has no such line."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', None) == '_base_':
            value = ast.literal_eval(node.value)
            return [path.parent / base for base in ([value] if isinstance(value, str) else value)]
    return []


def levels(path):
    return 1 + max(map(levels, bases(path)), default=0)


@pytest.mark.parametrize('name', NAMES)
def test_at_most_three_levels(name):
    missing = [str(base) for base in bases(CONFIGS / name) if not base.is_file()]
    assert not missing, f'_base_ of {name} names files that do not exist: {missing}'
    assert levels(CONFIGS / name) <= 3


def test_primitives_stand_alone():
    assert [name for name in NAMES if name.startswith('_base_') and bases(CONFIGS / name)] == []


def test_levels_are_counted(tmp_path):
    for level in range(1, 5):
        base = f"_base_ = ['./{level - 1}.py']\n" if level > 1 else ''
        (tmp_path / f'{level}.py').write_text(f'{base}x = {level}\n')
    assert [levels(tmp_path / f'{level}.py') for level in range(1, 5)] == [1, 2, 3, 4]
