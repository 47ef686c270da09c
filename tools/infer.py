"""Predicts images with a trained model and paints the result.

For each image NAME.* it writes NAME.png, the painted prediction (beside its ground truth where the image
lies in a data folder), and NAME_label.png (labels as the data set stores them, from 1) or NAME_depth.png
(16-bit millimetres).
"""
import cmim_mm  # noqa: F401  (before any import of mmsegmentation)

# isort: split
import glob
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import cv2
import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.apis import inference_model, init_model
from mmseg.structures import SegDataSample
from rich.progress import track

from cmim_mm.datasets.layout import encode_depth, read_image, write_png
from cmim_mm.datasets.nyud_meta import MAP_40_TO_13
from cmim_mm.engine.cli import ToolError, add_config_arguments, load_config, parse_args, run
from cmim_mm.visualization import DenseVisualizer

SUFFIXES = ('.png', '.jpg', '.jpeg')


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='checkpoint file or URL')
    parser.add_argument('images', nargs='+', metavar='IMAGE', help='images, folders of images, or patterns')
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
            here = [path] if path.is_file() else [Path(p) for p in sorted(glob.glob(argument))]
        if not here:
            raise ToolError(f'{argument}: there is no such image, nor a folder with png or jpg images')
        found += here
    found = list(dict.fromkeys(found))
    twice = [stem for stem, count in Counter(p.stem for p in found).items() if count > 1]
    if twice:
        same = ', '.join(str(p) for p in found if p.stem == twice[0])
        raise ToolError(f'{same}: all would be written as {twice[0]}.png; give them in separate calls')
    return found


def add_ground_truth(sample: SegDataSample, image: Path, num_classes: int) -> None:
    """Adds gt_sem_seg and gt_depth_map where the image's data folder has them."""
    root, name = image.parent.parent, f'{image.stem}.png'
    if image.parent.name != 'image':
        return
    label, depth = root / 'label40' / name, root / 'depth' / name
    if 'pred_sem_seg' in sample and label.is_file():
        labels = read_image(str(label))
        labels = MAP_40_TO_13[labels] if num_classes == 13 else labels
        labels = np.uint8(labels - 1)  # 0, unlabelled, becomes 255
        sample.gt_sem_seg = PixelData(data=torch.from_numpy(labels).long()[None])
    if 'pred_depth_map' in sample and depth.is_file():
        metres = read_image(str(depth)) / np.float32(1000)
        sample.gt_depth_map = PixelData(data=torch.from_numpy(metres)[None])


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
    args = parse_args(make_parser(), argv)
    images = find_images(args.images)
    out = Path(args.out)
    if out.exists() and not out.is_dir():
        raise ToolError(f'--out {out}: is a file, expected a folder')
    inputs = next((p for p in images if p.resolve().parent == out.resolve()), None)
    if inputs:
        raise ToolError(f'--out {out}: holds {inputs}, which would be overwritten; choose another folder')
    model = init_model(load_config(args), args.checkpoint, device=args.device)
    visualizer = DenseVisualizer()
    visualizer.dataset_meta = model.dataset_meta
    out.mkdir(parents=True, exist_ok=True)
    for path in track(images, 'images'):
        image = read_image(str(path))
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else image[..., 2::-1]
        sample = inference_model(model, str(path)).cpu()
        add_ground_truth(sample, path, len(model.dataset_meta['classes']))
        write(sample, np.ascontiguousarray(image), visualizer, out, path.stem)
    print(f'{len(images)} images in {out}')


if __name__ == '__main__':
    run(main)
