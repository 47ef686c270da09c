"""A network of ordinary operations as an ONNX file."""
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cmim_mm.checkpoint import CheckpointError

from .from_image import FromImage


def to_onnx(model: FromImage, size: tuple[int, int], metadata: Mapping[str, str]) -> bytes:
    """The file's content. Its input is ``image``, (N, C, H, W) with any N.

    Args:
        model: A simulated or a full-precision one.
        size: (H, W).
        metadata: Texts that go along.

    Raises:
        ImportError: onnx or onnxscript is not installed.
        CheckpointError: torch.export cannot trace the model.
    """
    # Two images: torch.export takes a single one for a constant.
    try:
        with _quiet():
            program = torch.onnx.export(
                model, (torch.zeros(2, model.channels, *size), ), dynamo=True, verbose=False,
                input_names=['image'], dynamic_shapes=({0: torch.export.Dim.DYNAMIC}, ))
    except torch.onnx.OnnxExporterError as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise CheckpointError(
            f'{type(model.model).__name__} cannot be exported, torch.export says: {reason}. Its forward must '
            'be the same operations for every image') from error
    graph = program.model.graph
    for output, name in zip(graph.outputs, model.output_names(len(graph.outputs))):
        output.name = name
    for node in graph.all_nodes():  # where in which source file each came from
        node.metadata_props.clear()
        node.doc_string = None
    program.model.metadata_props.update(metadata)
    return program.model_proto.SerializeToString()


def run_onnx(path: Path, image: Tensor) -> list[np.ndarray]:
    """What ONNX Runtime gives.

    Raises:
        ImportError: onnxruntime is not installed.
    """
    from onnxruntime import InferenceSession
    return InferenceSession(path, providers=['CPUExecutionProvider']).run(None, {'image': image.numpy()})


@contextmanager
def _quiet() -> Iterator[None]:
    """torch warns of each torchvision operator that it cannot register."""
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
