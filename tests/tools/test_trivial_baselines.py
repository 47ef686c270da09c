"""tools/analysis_tools/trivial_baselines.py on rooms."""
import json

import pytest


@pytest.mark.parametrize('task, predictor, metric', [
    ('seg', 'majority class (', 'mIoU'), ('depth', 'mean depth (', 'pixel/rmse')])
def test_prints_and_writes_figures(tool, task, predictor, metric, repository, rooms_root, tmp_path, capsys):
    tool('analysis_tools/trivial_baselines.py').main(
        [str(repository / f'configs/nyud_{task}_bnn.py'), '--data-root', str(rooms_root),
         '--out', str(tmp_path / 'new/figures.json')])
    figures = json.loads((tmp_path / 'new/figures.json').read_text())
    assert figures['predictor'].startswith(predictor)
    assert figures['metrics'][metric] > 0
    printed = capsys.readouterr().out.splitlines()
    assert figures['predictor'] in printed[0]
    assert len(printed) == 2 + len(figures['metrics'])
