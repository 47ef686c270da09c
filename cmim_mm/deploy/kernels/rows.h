// An output row by vectors. Included by the file of an instruction set, inside its target, which defines
//
//     Floats, Ints    vectors of LANES float32 and int32
//     at_least(a, b)  bit i is a[i] >= b[i], for both
//     affine(v, gain, shift)  v gain + shift, rounded once
//     Cell, cell(d)   what the inner product reads for 32 bits d of an activation
//     PIXELS          the most output pixels of a tile
//     tile<P, Q>(x, stride, steps, n, w, counts)   popcounts of P pixels with 16 Q outputs:
//         counts[64 p + o] = sum over steps of popcount(x[p stride + step.x] xor w[step.w] of output o)
//
// Columns outside the image are cells of 0 in a padded copy of the rows, so that a tile has no branches: such
// a tap counts the 1 bits of the filter, which ``correct`` subtracts. Rows outside are left out.
#include "epilogue.h"

namespace cmim_mm {
namespace {

using TileFunction = void (*)(const Cell*, int64_t, const Step*, int64_t, const uint32_t*, int32_t*);

template <int P>
TileFunction tile_of(int64_t pixels, int64_t quads) {
  if constexpr (P > 1)
    if (pixels < P) return tile_of<P - 1>(pixels, quads);
  TileFunction functions[] = {tile<P, 1>, tile<P, 2>, tile<P, 3>, tile<P, 4>};
  return functions[quads - 1];
}

// Pixels of a tile, so that the last of a row is not much smaller than the others.
int64_t tile_width(int64_t width) {
  int64_t best = std::min<int64_t>(PIXELS, width);
  for (int64_t pixels = best; pixels > PIXELS / 2; pixels--)
    if (width % pixels == 0) return pixels;
  return best;
}

void copy_row(const Conv& c, const uint64_t* bits, Cell* cells) {
  int64_t dwords = c.dwords(), first = std::max<int64_t>(c.padding_w, 0);
  int64_t last = std::min(c.padding_w + c.width, c.padded_width());
  first = std::min(first, last);
  std::fill(cells, cells + first * dwords, 0);
  if (sizeof(Cell) == 4 && c.groups == 1 && dwords == 2 * c.words) {
    memcpy(cells + first * dwords, bits, (last - first) * dwords * 4);
  } else {
    for (int64_t column = first; column < last; column++)
      for (int64_t d = 0; d < dwords; d++) {
        uint64_t word = bits[(column - first) * c.groups * c.words + d / 2];
        cells[column * dwords + d] = cell(static_cast<uint32_t>(word >> d % 2 * 32));
      }
  }
  std::fill(cells + last * dwords, cells + c.padded_width() * dwords, 0);
}

// What is known of each output pixel of a row; T only where something reads it. Without, rows that have as
// many rows of the image inside are alike.
void describe_pixels(const Conv& c, const uint64_t* rows[], int64_t num_rows, bool totals, Scratch& scratch) {
  if (!totals && scratch.described == num_rows) return;
  scratch.described = num_rows;
  if (totals)
    for (int64_t column = 0; column < c.padded_width(); column++) {
      int64_t x = column - c.padding_w;
      int32_t ones = 0;
      for (int64_t i = 0; x >= 0 && x < c.width && i < num_rows; i++)
        for (int64_t j = 0; j < c.words; j++)
          ones += __builtin_popcountll(rows[i][x * c.groups * c.words + j]);
      scratch.columns[column] = ones;
    }
  for (int64_t x = 0; x < c.out_width; x++) {
    int64_t inside = 0, ones = 0;
    for (int64_t kw = 0; kw < c.kernel_w; kw++) {
      inside += c.column_inside(x, kw);
      if (totals) ones += scratch.columns[x * c.stride_w + kw * c.dilation_w];
    }
    int32_t inputs = c.channels * num_rows * inside;
    scratch.pixels[x] = {inputs, static_cast<int32_t>(2 * ones - inputs), num_rows * inside < c.taps()};
  }
}

// Takes away what taps outside the image, whose cells were 0, have counted.
void correct(const Conv& c, const int32_t* ones, int64_t y, int64_t x, int64_t lanes, int32_t* counts) {
  for (int64_t kw = 0; kw < c.kernel_w; kw++) {
    if (c.column_inside(x, kw) || !c.column_used(kw)) continue;
    for (int64_t kh = 0; kh < c.kernel_h; kh++) {
      if (!c.row_inside(y, kh)) continue;
      const int32_t* tap = ones + (kh * c.kernel_w + kw) * c.groups * c.lanes();
      for (int64_t o = 0; o < lanes; o++) counts[o] -= tap[o];
    }
  }
}

void conv_row(const Conv& c, const Epilogue& e, const uint64_t* bits, const Filters& filters, int64_t row,
              Scratch& scratch) {
  int64_t image = row / c.out_height, y = row % c.out_height, dwords = c.dwords();
  Cell* cells = reinterpret_cast<Cell*>(scratch.cells.data());
  const uint64_t** rows = scratch.rows.data();
  alignas(64) int32_t counts[PIXELS * 64] = {};
  const int64_t most = tile_width(c.out_width);
  for (int64_t group = 0; group < c.groups; group++) {
    int64_t num_rows = 0, num_steps = 0;
    for (int64_t kh = 0; kh < c.kernel_h; kh++) {
      if (!c.row_inside(y, kh)) continue;
      int64_t source = image * c.height + y * c.stride_h + kh * c.dilation_h - c.padding_h;
      rows[num_rows] = bits + (source * c.width * c.groups + group) * c.words;
      int64_t start = num_rows * c.padded_width() * dwords;
      copy_row(c, rows[num_rows++], cells + start);
      for (int64_t kw = 0; kw < c.kernel_w; kw++) {
        if (!c.column_used(kw)) continue;
        for (int64_t d = 0; d < dwords; d++)
          scratch.steps[num_steps++] = {static_cast<int32_t>(start + kw * c.dilation_w * dwords + d),
                                        static_cast<int32_t>((kh * c.kernel_w + kw) * dwords + d)};
      }
    }
    describe_pixels(c, rows, num_rows, e.window, scratch);
    for (int64_t first = 0; first < c.outputs(); first += 64) {
      int64_t count = std::min<int64_t>(64, c.outputs() - first), quads = (count + 15) / 16;
      int64_t lane = group * c.lanes() + first;
      for (int64_t x = 0; x < c.out_width; x += most) {
        int64_t pixels = std::min(most, c.out_width - x);
        tile_of<PIXELS>(pixels, quads)(cells + x * c.stride_w * dwords, c.stride_w * dwords,
                                       scratch.steps.data(), num_steps,
                                       filters.prepared + lane * c.taps() * dwords, counts);
        for (int64_t p = 0; p < pixels; p++)
          if (scratch.pixels[x + p].edge) correct(c, filters.ones + lane, y, x + p, quads * 16, counts + 64 * p);
        finish(c, e, {y, x, row * c.out_width + x, pixels, lane, group * c.outputs() + first, count,
                      scratch.pixels.data() + x, counts});
      }
    }
  }
}

}  // namespace
}  // namespace cmim_mm
