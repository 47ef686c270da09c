"""One 3x3 convolution in OpenVINO and in ONNX Runtime: what a user could take instead of packed bits.

Each gives something that, called, infers once on an input that it holds. A channel's scale and offset follow
the convolution, as a folded norm does.
"""
from typing import Callable, NamedTuple, Optional

import numpy as np

QUANTIZED_RANGE = 4.0


class Layer(NamedTuple):
    """A 3x3 convolution, stride 1, padding 1, from C to C channels on one image of H x W."""
    channels: int
    height: int
    width: int

    @property
    def operations(self) -> int:
        """Multiplications and additions, those at the padding included."""
        return 2 * self.channels ** 2 * 9 * self.height * self.width

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x (1, C, H, W), filters (C, C, 3, 3), scale and offset (2, C), float32."""
        random = np.random.default_rng(0)
        shapes = (1, self.channels, self.height, self.width), (self.channels, self.channels, 3, 3)
        x, w = (random.standard_normal(shape, dtype=np.float32) for shape in shapes)
        return x, w, random.random((2, self.channels), dtype=np.float32)


class OpenVINOLayer:
    """Attributes:
        node_seconds: The inference without OpenVINO's conversions of layout at entry and exit, by its own
            clock, best of all calls.
    """

    def __init__(self, layer: Layer, kind: str, threads: int) -> None:
        import openvino
        from openvino import opset1
        x, w, affine = layer.arrays()

        def constant(value):
            return opset1.constant(np.asarray(value, dtype=np.float32))

        def quantized(node, levels, low, high):
            return opset1.fake_quantize(node, *map(constant, (*low, *high)), levels)

        parameter = opset1.parameter(list(x.shape), np.float32)
        same = [1, 1], [1, 1], [1, 1], [1, 1]
        if kind == 'binary':  # x >= 0: OpenVINO's own comparison is x > threshold
            bits = quantized(parameter, 2, (-1.2e-38, -1.2e-38), (0, 1))
            packed = np.packbits(w.flatten() >= 0, bitorder='little')
            filters = openvino.op.Constant(openvino.Tensor(packed, w.shape, openvino.Type.u1))
            self._kept = packed, filters  # OpenVINO does not keep them alive
            y = opset1.binary_convolution(bits, filters, *same, 'xnor-popcount', 0.0)
        else:
            node, filters = parameter, constant(w)
            if kind == 'int8':
                limits = -QUANTIZED_RANGE, QUANTIZED_RANGE
                node, filters = quantized(node, 256, limits, limits), quantized(filters, 255, limits, limits)
            y = opset1.convolution(node, filters, *same)
        scale, offset = (constant(row.reshape(1, -1, 1, 1)) for row in affine)
        model = openvino.Model([opset1.add(opset1.multiply(y, scale), offset)], [parameter])
        options = dict(INFERENCE_NUM_THREADS=threads, PERFORMANCE_HINT='LATENCY', PERF_COUNT=True,
                       INFERENCE_PRECISION_HINT='f32')
        self._compiled = openvino.Core().compile_model(model, 'CPU', options)
        self._request = self._compiled.create_infer_request()
        self._request.set_input_tensor(openvino.Tensor(x))
        self.node_seconds = float('inf')

    def __call__(self) -> None:
        self._request.start_async()
        self._request.wait()

    def note_nodes(self) -> None:
        """Takes the profile of the last call into ``node_seconds``."""
        nodes = [node for node in self._request.get_profiling_info() if node.node_type != 'Reorder']
        self.node_seconds = min(self.node_seconds, sum(node.real_time.total_seconds() for node in nodes))


def onnx_layer(layer: Layer, quantized: bool, threads: int) -> Callable[[], object]:
    """ONNX Runtime on float32 or on QLinearConv between a quantization and its inverse."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
    x, w, affine = layer.arrays()
    step = np.float32(QUANTIZED_RANGE / 127)  # activations unsigned around 128: its fast way on x86
    weights = dict(w=w, scale=affine[0].reshape(-1, 1, 1), offset=affine[1].reshape(-1, 1, 1))
    conv = dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    if quantized:
        weights.update(w=np.clip(np.round(w / step), -127, 127).astype(np.int8), step=step, zero=np.int8(0),
                       middle=np.uint8(128), y_step=np.float32(step * 3 * layer.channels ** 0.5))
        operands = ['q', 'step', 'middle', 'w', 'step', 'zero', 'y_step', 'middle']
        nodes = [helper.make_node('QuantizeLinear', ['x', 'step', 'middle'], ['q']),
                 helper.make_node('QLinearConv', operands, ['qy'], **conv),
                 helper.make_node('DequantizeLinear', ['qy', 'y_step', 'middle'], ['y'])]
    else:
        nodes = [helper.make_node('Conv', ['x', 'w'], ['y'], **conv)]
    nodes += [helper.make_node('Mul', ['y', 'scale'], ['scaled']),
              helper.make_node('Add', ['scaled', 'offset'], ['out'])]
    entry, end = (helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape) for name in ('x', 'out'))
    graph = helper.make_graph(nodes, 'layer', [entry], [end], [
        numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')  # others take their turn too
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ['CPUExecutionProvider'])
    return lambda: session.run(None, {'x': x})


def rival_layers(layer: Layer, threads: int) -> dict[str, Optional[Callable[[], object]]]:
    """Those that are installed, by name; None where the package is missing."""
    makers = {f'OpenVINO {kind}': lambda kind=kind: OpenVINOLayer(layer, kind, threads)
              for kind in ('float32', 'int8', 'binary')}
    makers.update({'ONNX Runtime float32': lambda: onnx_layer(layer, False, threads),
                   'ONNX Runtime int8': lambda: onnx_layer(layer, True, threads)})
    rivals = {}
    for name, make in makers.items():
        try:
            rivals[name] = make()
        except ImportError:
            rivals[name] = None
    return rivals
