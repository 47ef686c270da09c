"""NYUD's classes among those that mmsegmentation knows by their number.

``init_model`` asks there for names and colours where a checkpoint holds weights alone.
"""
from functools import partial

from mmseg.utils import class_names


def _of(kind: str, number: int) -> list:
    from cmim_mm.datasets import nyud_meta  # not with every model
    return list(getattr(nyud_meta, kind)[number])


for number in (40, 13):
    class_names.dataset_aliases[f'nyud{number}'] = [f'nyud{number}']
    setattr(class_names, f'nyud{number}_classes', partial(_of, 'CLASSES', number))
    setattr(class_names, f'nyud{number}_palette', partial(_of, 'PALETTE', number))
