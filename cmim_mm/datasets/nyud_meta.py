"""NYUD-v2's official split, class maps and class names, kept in ``data/nyud.json``.

The split is that of the data set's authors (``splits.mat``: 795 training and
654 test frames, 1-based). 894 raw ids go to 40 classes by Gupta et al., CVPR
2013 (``classMapping40.mat``), these to 13 by Couprie et al., ICLR 2013
(``class13Mapping.mat``). In every map 0 stands for 'unlabelled'.
"""
import json
from pathlib import Path

import numpy as np

_META = json.loads((Path(__file__).parent / 'data' / 'nyud.json').read_text())

NUM_FRAMES = 1449
#: Official 1-based indices of the frames.
SPLIT = {'train': tuple(_META['train']), 'test': tuple(_META['test'])}

CLASSES = {40: tuple(_META['classes40']), 13: tuple(_META['classes13'])}
#: RGB. Of the 13 classes each has the colour of the class of 40 that is most typical of it.
PALETTE = {40: _META['palette40'], 13: _META['palette13']}

#: ``MAP_894_TO_40[raw id]``: uint8 of shape (895,).
MAP_894_TO_40 = np.array(_META['map_894_to_40'], np.uint8)
#: ``MAP_40_TO_13[class]``: uint8 of shape (41,).
MAP_40_TO_13 = np.array(_META['map_40_to_13'], np.uint8)
