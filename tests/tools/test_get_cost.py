"""tools/analysis_tools/get_cost.py on variants."""


def test_totals_of_variants(tool, repository, tmp_path):
    out = tmp_path / 'cost.md'
    tool('analysis_tools/get_cost.py').main([
        str(repository / 'configs/pretrain/r20_cifar100_quick.py'), '--shape', '32', '32', '--out', str(out),
        '--vary', 'model.backbone.binarizer=BNN,None'])
    header, _, binary, full = [[cell.strip() for cell in line.split('|')[1:-1]]
                               for line in out.read_text().splitlines()]
    assert header == ['network', 'params', 'flops', 'bops', 'ops', 'bytes']
    assert binary[0] == 'r20_cifar100_quick binarizer=BNN' and full[0].endswith('binarizer=None')
    assert binary[1] == full[1] == '270,500' and full[3] == '0'
    assert float(binary[4]) < 0.03 * float(full[4])
