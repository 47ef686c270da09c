"""The tool: what it says, and that it writes nothing where the folder is not whole."""
import pytest

from cmim_mm.checkpoint import CheckpointError
from cmim_mm.engine.cli import ToolError

TOOL = 'model_converters/import_bnn_pynq.py'


def test_mistakes_are_named_and_nothing_is_written(tool, tmp_path):
    out = tmp_path / 'cnv.pth'
    with pytest.raises(ToolError, match='nowhere: there is no such folder; expected cnvW1A1'):
        tool(TOOL).main([str(tmp_path / 'nowhere'), '-o', str(out)])
    with pytest.raises(ToolError, match='is a folder; name a file'):
        tool(TOOL).main([str(tmp_path), '-o', str(tmp_path)])
    with pytest.raises(CheckpointError, match='0-0-weights.bin: there is no such file'):
        tool(TOOL).main([str(tmp_path), '-o', str(out)])
    assert not list(tmp_path.iterdir())
