"""The wheel carries configs, tools and data; an editable install links to them."""
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml

from cmim_mm import __version__

NOT_SHIPPED = ('.*', 'data', 'work_dirs', 'build', 'dist', '*.egg-info', '__pycache__', 'tests', 'shared')


@pytest.fixture(scope='module')
def tree(repository, tmp_path_factory):
    """A copy of the repository, as a fresh clone would be."""
    tree = tmp_path_factory.mktemp('clone') / 'repository'
    shutil.copytree(repository, tree, ignore=lambda folder, names: (
        shutil.ignore_patterns(*NOT_SHIPPED)(folder, names) if folder == str(repository)
        else shutil.ignore_patterns('.mim', '__pycache__')(folder, names)))
    return tree


def run(*command, cwd):
    done = subprocess.run([sys.executable, *map(str, command)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def relative_files(folder, *suffixes):
    return {str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file() and p.suffix in suffixes}


def test_wheel(tree, tmp_path):
    run('-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '-q', '-w', tmp_path, '.', cwd=tree)
    wheel = tmp_path / f'cmim_mm-{__version__}-py3-none-any.whl'
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f'cmim_mm-{__version__}.dist-info/METADATA').decode()
    for folder in ('configs', 'tools'):
        files = relative_files(tree / folder, '.py', '.sh', '.yml')
        assert len(files) > 5
        prefix = f'cmim_mm/.mim/{folder}/'
        assert files == {n[len(prefix):] for n in names if n.startswith(prefix)}
    assert 'cmim_mm/.mim/model-index.yml' in names
    modules = {f'cmim_mm/{n}' for n in relative_files(tree / 'cmim_mm', '.py')}
    data = {str(path.relative_to(tree)) for path in tree.glob('cmim_mm/*/data/*')}
    assert {'cmim_mm/datasets/data/nyud.json', 'cmim_mm/benchmark/data/report.html'} <= data
    assert data | modules <= names
    assert not any(n.startswith(('tests', 'docs')) or n.endswith('.pyc') for n in names)
    required = [line for line in metadata.splitlines() if line.startswith('Requires-Dist')]
    hard = [line for line in required if 'extra ==' not in line]
    assert any('torch>=2.6' in line for line in hard)
    assert not any('mmcv' in line or 'opencv' in line for line in hard)  # would overwrite a full mmcv
    assert not (tree / 'cmim_mm/.mim').exists()


def test_editable_install_links_into_the_repository(tree, tmp_path):
    build = 'import sys; from setuptools import build_meta; build_meta.build_editable(sys.argv[1])'
    for _ in range(2):  # again over what is there
        run('-c', build, tmp_path, cwd=tree)
    mim = tree / 'cmim_mm/.mim'
    for name in ('configs', 'tools', 'model-index.yml'):
        assert not os.path.isabs(os.readlink(mim / name))
        assert (mim / name).resolve() == tree / name


def test_index_names_existing_configs(repository):
    index = yaml.safe_load((repository / 'model-index.yml').read_text())
    files = [yaml.safe_load((repository / path).read_text()) for path in index['Import']]
    models = [model for file in files for model in file['Models']]
    assert models
    for model in models:
        assert (repository / model['Config']).is_file(), model['Config']


def test_citation_names_the_paper(repository):
    citation = yaml.safe_load((repository / 'CITATION.cff').read_text())
    paper = citation['preferred-citation']
    assert paper['title'] == 'Network Binarization via Contrastive Learning'
    assert [a['family-names'] for a in paper['authors']] == ['Shang', 'Xu', 'Zong', 'Nie', 'Yan']


def test_metafile_lists_every_config_of_a_task(repository):
    listed = re.findall(r'Config: (\S+)', (repository / 'configs/metafile.yml').read_text())
    configs = [path.relative_to(repository).as_posix() for folder in ('', 'nyud', 'pretrain')
               for path in (repository / 'configs' / folder).glob('*.py')]
    assert sorted(listed) == sorted(configs)
