"""Predicts images with a trained model and paints the result.

For each image NAME.* it writes NAME.png, the painted prediction (beside its ground truth where the image
lies in a data folder), and NAME_label.png (labels as the data set stores them, from 1) or NAME_depth.png
(16-bit millimetres).
"""
import cmim_mm  # noqa: F401  (before any import of mmsegmentation)

# isort: split
import glob
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.apis import inference_model, init_model
from mmseg.structures import SegDataSample
from rich.progress import track

from cmim_mm.datasets import NYUDSegDataset
from cmim_mm.datasets.layout import encode_depth, write_png
from cmim_mm.datasets.nyud_meta import CLASSES
from cmim_mm.datasets.transforms import LoadNYUDDepth, LoadNYUDLabel
from cmim_mm.deploy.format import is_packed
from cmim_mm.deploy.labels import labels_alone, predicts_labels
from cmim_mm.deploy.memory import keep_memory
from cmim_mm.engine.cli import ToolError, add_config_arguments, load_config, parse_args, run
from cmim_mm.models.pretrained import check_weights
from cmim_mm.reader import read_image
from cmim_mm.visualization import DenseVisualizer

SUFFIXES = ('.png', '.jpg', '.jpeg')
#: What the names of an image's outputs end in.
ENDINGS = ('', '_label', '_depth')


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='checkpoint file or URL; left out behind a packed model in place '
                        'of the config')
    parser.add_argument('images', nargs='*', metavar='IMAGE', help='images, folders of images, or patterns')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder to write')
    parser.add_argument('--device', default='cuda:0' if torch.cuda.is_available() else 'cpu')
    parser.set_defaults(work_dir=None)
    return parser


def find_images(arguments: Sequence[str]) -> list[Path]:
    """The images that paths, folders and patterns name.

    Raises:
        ToolError: Nothing is found for an argument, or two images would write the same files.
    """
    found: list[Path] = []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            here = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
        else:
            matches = [argument] if path.is_file() else sorted(glob.glob(argument))
            here = [p for p in map(Path, matches) if p.is_file()]
        if not here:
            raise ToolError(f'{argument}: there is no such image, nor a folder with png or jpg images')
        found += here
    found = list({path.resolve(): path for path in reversed(found)}.values())[::-1]
    writers = defaultdict(list)
    for path in found:
        for ending in ENDINGS:
            writers[path.stem + ending].append(str(path))
    for name, paths in writers.items():
        if len(paths) > 1:
            raise ToolError(f'{", ".join(paths)}: all would be written as {name}.png; '
                            'give them in separate calls, with an --out each')
    return found


def is_nyud(classes: Sequence[str]) -> bool:
    """Whether the labels of a data folder can be mapped to these classes."""
    return tuple(classes) == CLASSES[13] or set(classes) <= set(CLASSES[40])


def add_ground_truth(sample: SegDataSample, image: Path, classes: Sequence[str],
                     orientation: int = 1) -> None:
    """Adds gt_sem_seg and gt_depth_map where the image's data folder has them.

    Raises:
        DataError: The file is unreadable, out of range or not of the image's size.
    """
    image = image.absolute()
    root, name = image.parent.parent, f'{image.stem}.png'
    if image.parent.name != 'image':
        return
    label, depth = root / 'label40' / name, root / 'depth' / name
    if 'pred_sem_seg' in sample and label.is_file() and is_nyud(classes):
        loaded = LoadNYUDLabel()(dict(
            seg_map_path=str(label), label_map=NYUDSegDataset.get_label_map(classes), reduce_zero_label=True,
            ori_shape=sample.ori_shape, orientation=orientation))
        sample.gt_sem_seg = PixelData(data=torch.from_numpy(loaded['gt_seg_map']).long()[None])
    if 'pred_depth_map' in sample and depth.is_file():
        loaded = LoadNYUDDepth()(dict(
            depth_map_path=str(depth), ori_shape=sample.ori_shape, orientation=orientation))
        sample.gt_depth_map = PixelData(data=torch.from_numpy(loaded['gt_depth_map'])[None])


def write(
        sample: SegDataSample, image: np.ndarray, visualizer: DenseVisualizer, out: Path, stem: str) -> None:
    """Writes the painted picture and the raw prediction, each whole or not at all."""
    picture = visualizer.paint(image, sample, ['gt', 'pred'])
    write_png(str(out / f'{stem}.png'), np.ascontiguousarray(picture[..., ::-1]))
    if 'pred_sem_seg' in sample:
        labels = sample.pred_sem_seg.data.squeeze(0).cpu().numpy() + 1
        write_png(str(out / f'{stem}_label.png'), labels.astype(np.uint8))
    if 'pred_depth_map' in sample:
        depth = sample.pred_depth_map.data.squeeze(0).cpu().numpy()
        write_png(str(out / f'{stem}_depth.png'), encode_depth(depth))


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = make_parser()
    args = parse_args(parser, argv)
    if is_packed(args.config) and not is_packed(args.checkpoint):
        args.checkpoint, args.images = args.config, [args.checkpoint, *args.images]
    if not args.images:
        parser.error('the following arguments are required: IMAGE')
    images = find_images(args.images)
    out = Path(args.out)
    inputs = next((p for p in images if p.resolve().parent == out.resolve()), None)
    if inputs:
        raise ToolError(f'--out {out}: holds {inputs}, which would be overwritten; choose another folder')
    try:
        torch.empty(0, device=args.device)
    except (RuntimeError, AssertionError) as error:
        raise ToolError(f'--device {args.device}: {str(error).splitlines()[0]}') from error
    keep_memory()
    model = init_model(load_config(args), args.checkpoint, device=args.device)
    check_weights(model, args.checkpoint)
    if is_packed(args.checkpoint) and predicts_labels(model):
        labels_alone(model)
    visualizer = DenseVisualizer()
    visualizer.dataset_meta = model.dataset_meta
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ToolError(f'--out {out}: cannot be a folder ({error.strerror})') from error
    for path in track(images, 'images'):
        image = read_image(str(path))
        sample = inference_model(model, str(path)).cpu()
        add_ground_truth(sample, path, tuple(model.dataset_meta['classes']), image.orientation)
        write(sample, image.pixels[..., ::-1], visualizer, out, path.stem)
    print(f'{len(images)} images in {out}')


if __name__ == '__main__':
    run(main)
