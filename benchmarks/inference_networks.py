"""The parts of inference.py that time whole networks at 480x640, one image.

The twin is the full-precision network of the same layout; the simulation is the trained 1-bit network as it
trains. Labels of the packed forms are ``bilinear_labels``'s, as of ``load(path, logits=False)``; all others
upsample their logits and take the largest. ONNX Runtime and OpenVINO are measured where they are installed;
int8 is ONNX Runtime's static quantization, calibrated on noise, for time alone. Memory is the peak of all
tensors alive, weights included, of torch's forms.
"""
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Callable, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)

# isort: split
from mmengine.config import Config
from mmengine.registry import init_default_scope

from cmim_mm.deploy import keep_memory, load, pack, write
from cmim_mm.deploy.ops import bilinear_labels
from cmim_mm.deploy.packing import build, for_inference
from cmim_mm.engine.cli import format_table

try:
    from benchmarks.rounds import best_seconds
    from benchmarks.train_step import LiveTensors
except ImportError:  # run as a script: its own folder is on the path
    from rounds import best_seconds
    from train_step import LiveTensors

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
CASES = {'encoder': 'nyud_seg_bnn.py', 'seg': 'nyud_seg_bnn.py', 'depth': 'nyud_depth_bnn.py'}
TWINS = {'encoder': 'nyud_seg_fp.py', 'seg': 'nyud_seg_fp.py', 'depth': 'nyud_depth_fp.py'}


def upsampled(logits: Tensor, size: Sequence[int]) -> Tensor:
    """(N, K, h, w) -> (N, K, H, W), as mmsegmentation's heads do it."""
    return F.interpolate(logits.float(), size, mode='bilinear')


def labels_of(logits: Tensor, size: Sequence[int]) -> Tensor:
    """(N, K, h, w) -> (N, H, W), as mmsegmentation does it."""
    return upsampled(logits, size).argmax(1)


class Whole(nn.Module):
    """Images -> labels or depth at the images' size; of a backbone alone its maps.

    Args:
        model: Gives logits (N, K, h, w), depth (N, 1, h, w), or maps.
        labels: What makes (N, H, W) of logits and the size.
    """

    def __init__(self, model: nn.Module,
                 labels: Callable[[Tensor, Sequence[int]], Tensor] = labels_of) -> None:
        super().__init__()
        self.model, self.labels = model, labels

    def forward(self, x: Tensor):
        y = self.model(x)
        if not isinstance(y, Tensor):
            return y
        return self.labels(y, x.shape[2:]) if y.shape[1] > 1 else upsampled(y, x.shape[2:])


def model_of(config: str, part: Optional[str]) -> tuple[nn.Module, dict]:
    """An untrained model with statistics as of a trained one, and its config."""
    cfg = for_inference(Config.fromfile(CONFIGS / config).model.to_dict())
    cfg = cfg[part] if part else cfg
    torch.manual_seed(0)
    model = build(dict(model=cfg))
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 20)
            module.bias.data.normal_(0, 0.3)
    return model, dict(model=cfg)


def torch_forms(case: str, folder: Path) -> tuple[dict[str, nn.Module], dict[str, int]]:
    """Networks by their names, and the bytes of their files."""
    part = 'backbone' if case == 'encoder' else None
    twin, _ = model_of(TWINS[case], part)
    trained, config = model_of(CASES[case], part)
    sizes = {name: sum(t.numel() * 4 for t in model.state_dict().values())
             for name, model in (('twin, float32', twin), ('simulation, float32', trained))}
    file = folder / 'model.cmim'
    size = write(pack(trained, config), file)
    forms = {'twin, float32': twin, 'twin, bfloat16': model_of(TWINS[case], part)[0].bfloat16(),
             'simulation, float32': trained}
    for dtype in (torch.float32, torch.bfloat16, torch.int8):
        name = f'packed, {str(dtype)[6:]}'
        forms[name], sizes[name] = load(file, dtype=dtype), size
    wholes = {name: Whole(model, bilinear_labels) if name.startswith('packed') else Whole(model)
              for name, model in forms.items()}
    return {name: whole.eval().requires_grad_(False) for name, whole in wholes.items()}, sizes


def calls_of(forms: dict[str, nn.Module], image: Tensor) -> dict[str, Callable[[], object]]:
    """A call of each form, in the memory format that is best for it: the channels last."""
    calls = {}
    for name, network in forms.items():
        network.to(memory_format=torch.channels_last)
        dtype = torch.bfloat16 if name == 'twin, bfloat16' else torch.float32
        calls[name] = partial(network, image.to(dtype, memory_format=torch.channels_last))
    return calls


def engines(twin: nn.Module, image: Tensor, folder: Path, threads: int) -> dict[str, Callable[[], object]]:
    """The twin in ONNX Runtime and OpenVINO, in float32 and int8."""
    found: dict[str, Callable[[], object]] = {}
    try:
        import onnxruntime
        from onnxruntime.quantization import CalibrationDataReader, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError:
        return found
    files = {kind: str(folder / f'{kind}.onnx') for kind in ('float32', 'prepared', 'int8')}
    if not Path(files['int8']).is_file():
        torch.onnx.export(twin, (image, ), files['float32'], input_names=['x'], dynamo=True, verbose=False)
        quant_pre_process(files['float32'], files['prepared'])

        class Noise(CalibrationDataReader):
            rest = iter([{'x': torch.randn(image.shape).numpy()} for _ in range(2)])

            def get_next(self):
                return next(self.rest, None)

        quantize_static(files['prepared'], files['int8'], Noise())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    for kind in ('float32', 'int8'):
        session = onnxruntime.InferenceSession(files[kind], options, providers=['CPUExecutionProvider'])
        found[f'twin, ONNX Runtime {kind}'] = lambda s=session: s.run(None, {'x': image.numpy()})
    try:
        import openvino
    except ImportError:
        return found
    for kind in ('float32', 'int8'):
        compiled = openvino.Core().compile_model(files[kind], 'CPU', dict(
            INFERENCE_NUM_THREADS=threads, PERFORMANCE_HINT='LATENCY', INFERENCE_PRECISION_HINT='f32'))
        found[f'twin, OpenVINO {kind}'] = lambda c=compiled: c(image.numpy())
    return found


def measure(case: str, threads: Sequence[int], rounds: int, size: Sequence[int] = (480, 640)) -> str:
    """The table of one case."""
    init_default_scope('mmseg')
    keep_memory()
    image = torch.randn(1, 3, *size)
    with TemporaryDirectory() as name, torch.inference_mode():
        forms, sizes = torch_forms(case, Path(name))
        calls = calls_of(forms, image)
        peaks, times = {}, []
        for form, call in calls.items():
            with LiveTensors([*forms[form].state_dict().values(), image]) as tensors:
                call()
            peaks[form] = tensors.peak
        for number in threads:
            torch.set_num_threads(number)
            others = engines(forms['twin, float32'], image, Path(name), number)
            seconds = best_seconds({**calls, **others}, rounds)
            times.append({form: 1e3 * value for form, value in seconds.items()})
    rows = []
    for form in times[0]:
        ratio = times[0]['twin, float32'] / times[0][form]
        rows.append([form, *(f'{one[form]:.1f}' for one in times), f'{ratio:.2f}',
                     f'{peaks[form] / 2**20:.0f}' if form in peaks else '',
                     f'{sizes[form] / 1e6:.2f}' if form in sizes else ''])
    header = [case, *(f'ms, threads {number}' for number in threads), 'times faster', 'MiB', 'MB']
    return format_table(header, rows)
