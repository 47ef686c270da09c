"""Random weights in place of a teacher's training; a helper of the tests here."""
import torch
from mmengine.registry import MODELS

from cmim_mm.models.teacher import full_precision_twin


def give_teacher_weights(model, path):
    """Writes them, and names them in the config of the model."""
    if 'teacher' in model:
        twin = full_precision_twin(dict(model, type=model.get('on', model.type)))
        torch.save(MODELS.build(model.teacher.get('model', twin)).state_dict(), path)
        model.teacher.checkpoint = str(path)
