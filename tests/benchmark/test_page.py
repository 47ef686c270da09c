"""Tables and plots of a page are those of the results beside it."""
import json
from xml.etree import ElementTree

import pytest

from cmim_mm.benchmark.page import PageError, fill, plots

FIGURE = dict(mean=10.25, std=0.5, values=[9.75, 10.75], difference=None)
BETTER = dict(mean=11.5, std=None, values=[11.5], difference=dict(
    mean=1.25, seeds=[0.5, 2.0], images=[1.0, 1.5], shown=True))
WITHIN = dict(mean=10.0, std=0.1, values=[10.0, 10.1], difference=dict(
    mean=-0.25, seeds=[-1.0, 0.5], images=[-0.5, -0.1], shown=False))


@pytest.fixture
def page(tmp_path):
    rows = [dict(encoder=name, task='segmentation', mode='finetune', share=100, seeds=[0, 1],
                 cost=dict(ops=1.25e12, bytes=2.5e6), figures=dict(mIoU=figure)) for name, figure in
            dict(scratch=FIGURE, better=BETTER, within=WITHIN).items()]
    (tmp_path / 'grid.json').write_text(json.dumps(dict(rows=rows)))
    path = tmp_path / 'results.md'
    path.write_text('# Title\n<!-- results: grid.json segmentation mIoU -->\nold\n<!-- end -->\nrest\n')
    return path


def test_a_block_is_made_anew_and_the_rest_stays(page):
    lines = fill(page).splitlines()
    assert lines[0] == '# Title' and lines[-1] == 'rest' and 'old' not in lines
    cells = [[cell.strip() for cell in line.split('|')[1:-1]] for line in lines if line.startswith('|')]
    assert cells[0] == ['encoder', 'mode', 'labels', 'seeds', 'mIoU', 'Δ mIoU [seeds] [images]']
    assert cells[2] == ['scratch', 'finetune', '100 %', '2', '10.25 ± 0.5', '-']
    assert cells[3][4:] == ['11.5', '+1.25 [+0.5, +2] [+1, +1.5]']
    assert cells[4][5] == '-0.25 [-1, +0.5] [-0.5, -0.1], holds 0'
    page.write_text(fill(page))
    assert fill(page) == page.read_text()


def test_rows_of_several_files_and_what_they_cost(page):
    row = dict(encoder='network', task='segmentation', mode='', share=100, seeds=[0], cost={},
               figures=dict(mIoU=BETTER))
    (page.parent / 'other.json').write_text(json.dumps(dict(rows=[row])))
    page.write_text('<!-- results: grid.json,other.json segmentation GOPs mIoU MB -->\n<!-- end -->\n')
    cells = [[cell.strip() for cell in line.split('|')[1:-1]] for line in fill(page).splitlines()[1:-1]]
    assert cells[0][4:] == ['GOPs', 'mIoU', 'MB', 'Δ mIoU [seeds] [images]']
    assert cells[2][4:] == ['1,250', '10.25 ± 0.5', '2.5', '-']
    assert cells[-1][0] == 'network' and cells[-1][4:7] == ['-', '11.5', '-']
    page.write_text('<!-- results: grid.json,no.json segmentation mIoU -->\n<!-- end -->\n')
    with pytest.raises(PageError, match='there is no .*no.json'):
        fill(page)


@pytest.mark.parametrize('block, message', [
    ('no.json segmentation mIoU', 'there is no .*no.json; copy the results.json'),
    ('grid.json depth mIoU', "has no task 'depth'; it has segmentation"),
    ('grid.json segmentation rmse', "has no metric 'rmse'; it has mIoU")])
def test_what_is_not_there_is_named(page, block, message):
    page.write_text(f'<!-- results: {block} -->\n<!-- end -->\n')
    with pytest.raises(PageError, match=message):
        fill(page)
    page.write_text(f'<!-- results: {block} -->\n')
    with pytest.raises(PageError, match='has no "<!-- end -->"'):
        fill(page)


@pytest.mark.parametrize('block', [
    'results: grid.json segmentation', 'results: ', 'results: grid.json segmentation MB',
    'plot: grid.json segmentation mIoU',
    'plot: grid.json segmentation mIoU aAcc one.svg', 'plot: grid.json'])
def test_a_block_that_lacks_something_is_named(page, block):
    page.write_text(f'<!-- {block} -->\n<!-- end -->\n')
    with pytest.raises(PageError, match=r'results.md: <!-- .* -->: expected <!-- results: FILE TASK'):
        fill(page)


def test_a_plot_has_a_dot_for_each_value(page):
    page.write_text('<!-- plot: grid.json segmentation mIoU images/one.svg -->\n<!-- end -->\n')
    assert fill(page).splitlines()[1] == '![mIoU (%) of each encoder, a dot for each seed](images/one.svg)'
    (path, svg), = plots(page).items()
    assert path == page.parent / 'images/one.svg'
    assert all(f'>{text}<' in svg for text in ('scratch', 'better', 'within', 'mIoU (%)'))
    root = ElementTree.fromstring(svg)
    markers = [group for group in root.iter('{http://www.w3.org/2000/svg}use') if 'fill-opacity' in
               group.get('style', '')]
    assert len(markers) == 5


def test_a_plot_of_rows_of_one_name_is_refused(page):
    page.write_text('<!-- plot: grid.json,grid.json segmentation mIoU images/one.svg -->\n<!-- end -->\n')
    with pytest.raises(PageError, match='several rows have one name'):
        plots(page)


@pytest.mark.parametrize('name', ['results.md', 'search.md'])
def test_the_tables_of_the_docs_are_those_of_their_stores(repository, name):
    page = repository / 'docs' / name
    assert fill(page) == page.read_text()
    assert all(path.is_file() for path in plots(page))
