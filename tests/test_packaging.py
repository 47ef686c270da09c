"""The wheel carries configs, tools and data; an editable install links to them."""
import os
import re
import runpy
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
    data |= {str(path.relative_to(tree)) for path in tree.glob('cmim_mm/deploy/kernels/*')}
    assert {'cmim_mm/datasets/data/nyud.json', 'cmim_mm/benchmark/data/report.html',
            'cmim_mm/deploy/kernels/kernel.h', 'cmim_mm/deploy/kernels/serial.cpp'} <= data
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
    configs = [path.relative_to(repository).as_posix() for folder in ('', 'nyud', 'pretrain', 'zoo')
               for path in (repository / 'configs' / folder).glob('*.py')]
    assert sorted(listed) == sorted(configs)


def test_every_place_names_the_same_python_versions(repository):
    """README, installer and package agree with the check that runs before anything is downloaded."""
    check = runpy.run_path(str(repository / 'tools/misc/check_python.py'))
    (_, first), (_, end) = check['FIRST'], check['END']
    span = f'3.{first} to 3.{end - 1}'
    assert f'Python {span}' in (repository / 'README.md').read_text()
    assert f"python_requires='>=3.{first},<3.{end}'" in (repository / 'setup.py').read_text()
    compat = (repository / 'cmim_mm/compat.py').read_text()
    assert f'(3, {first}) <= sys.version_info[:2] < (3, {end})' in compat and span in compat


@pytest.mark.parametrize('version, implementation, bits, missing, text', [
    ((3, 9), 'CPython', 64, [], 'it is Python 3.9'), ((2, 7), 'CPython', 64, ['venv'], 'it is Python 2.7'),
    ((3, 14), 'CPython', 64, [], 'it is Python 3.14'), ((3, 11), 'PyPy', 64, [], 'it is PyPy'),
    ((3, 12), 'CPython', 32, [], '32 bits'), ((3, 13), 'CPython', 64, ['ensurepip'], 'lacks ensurepip'),
    ((3, 10), 'CPython', 64, [], None)])
def test_interpreters(repository, version, implementation, bits, missing, text):
    problem = runpy.run_path(str(repository / 'tools/misc/check_python.py'))['problem']
    found = problem(version, implementation, bits, missing)
    assert found is None if text is None else text in found


@pytest.mark.parametrize('python, text', [
    ('python-that-is-not-there', 'error: there is no python-that-is-not-there'),
    ('fake', 'cannot run cmim_mm: it is Python 3.8. Needed is')])
def test_make_refuses_an_interpreter_before_it_installs(tree, tmp_path, python, text):
    """The fake runs the check as Python 3.8 would, and anything else would leave a mark."""
    if python == 'fake':
        script = tmp_path / 'python3.8'
        script.write_text(
            f'#!/bin/sh\ncase "$1" in *check_python.py) exec {sys.executable} -c "import sys, runpy; '
            "sys.version_info = (3, 8, 0); runpy.run_path('$1', run_name='__main__')\";; esac\n"
            f'touch {tmp_path}/called\n')
        script.chmod(0o755)
        python = str(script)
    done = subprocess.run(['make', 'install', f'PYTHON={python}', f'VENV={tmp_path / "venv"}'], cwd=tree,
                          capture_output=True, text=True)
    errors = [line for line in done.stderr.splitlines() if 'error:' in line]
    assert done.returncode != 0 and len(errors) == 1 and text in errors[0], done.stderr
    assert not (tmp_path / 'venv').exists() and not (tmp_path / 'called').exists()
