"""docs/tutorial.ipynb runs from its first cell to its last."""
import json

import pytest


def test_tutorial(repository, tmp_path, monkeypatch):
    reason = "no nbclient or ipykernel: pip install 'cmim_mm[dev]'"
    nbclient = pytest.importorskip('nbclient', reason=reason)
    pytest.importorskip('ipykernel', reason=reason)
    nbformat = pytest.importorskip('nbformat', reason=reason)
    monkeypatch.setenv('PYTHONPATH', str(repository))
    notebook = nbformat.read(repository / 'docs/tutorial.ipynb', as_version=4)
    parameters, = (cell for cell in notebook.cells if 'parameters' in cell.metadata.get('tags', ()))
    parameters.source += f"\nrepository = Path('{repository}')\nrooms, size, steps = 10, '48 64', 2"
    where = {'metadata': {'path': str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=560, kernel_name='python3', resources=where).execute()
    text = json.dumps([cell.get('outputs') for cell in notebook.cells])
    assert 'depth_cmim   mIoU' in text and 'image/png' in text
    work = tmp_path / 'tutorial'
    assert (work / 'transfer/report.html').is_file() and (work / 'probes.png').is_file()
    assert len(list(work.glob('depth-*.pth'))) == 1
