"""cmim_mm: binary neural networks with CMIM for dense prediction, on MMEngine."""
from .compat import check_versions, install_ops_stand_in
from .version import __version__

check_versions()
install_ops_stand_in()

from . import checkpoint, load_image, runner  # noqa: E402  (need the versions that were just checked)

checkpoint.install()
load_image.install()
runner.install()

__all__ = ['__version__']
