// The rows of upsample.h; included once for each width of vectors, behind LANES, Floats, largest and equal.

inline float to_float(float value) { return value; }
inline float to_float(uint16_t value) { return from_bfloat16(value); }

template <class V = Floats>
inline V at(const float* values) {
  V v;
  memcpy(&v, values, sizeof v);
  return v;
}

// to = w_first first + w_second second.
template <class T>
inline void blend(const T* first, const T* second, const Tap& t, int64_t n, float* __restrict to) {
  float w_first = t.w_first, w_second = t.w_second;
  for (int64_t i = 0; i < n; i++) to[i] = w_first * to_float(first[i]) + w_second * to_float(second[i]);
}

inline bool finite(const float* values, int64_t n) {
  int32_t bad = 0;
  for (int64_t i = 0; i < n; i++) {
    int32_t bits;
    memcpy(&bits, values + i, 4);
    bad |= (bits & 0x7f800000) == 0x7f800000;
  }
  return !bad;
}

// A row of logits at the input's width, with pixels ``stride`` floats apart; what lies between is least.
template <class T>
void blend_logits(const Labels& l, const T* first, const T* second, const Tap& t, float* row) {
  int64_t width = l.logits.width, stride = l.stride();
  if (stride == l.classes) return blend(first, second, t, width * stride, row);
  for (int64_t x = 0; x < width; x++) {
    blend(first + x * l.classes, second + x * l.classes, t, l.classes, row + x * stride);
    for (int64_t k = l.classes; k < stride; k++) row[x * stride + k] = -FLT_MAX;
  }
}

inline Floats larger(Floats a, Floats b) { return a > b ? a : b; }

// Vector j of n; the last one begins earlier, so that it ends with the classes.
inline int64_t begin(int j, int n, int64_t classes) { return j && j == n - 1 ? classes - LANES : j * LANES; }

// Of finite values, in N vectors of at most 64 classes.
template <int N>
void few_classes(const Labels& l, const float* row, float*, int64_t* labels) {
  int64_t stride = l.stride();
  for (int64_t x = 0; x < l.out_width; x++) {
    Tap t = l.logits.columns[x];
    const float *first = row + t.first * stride, *second = row + t.second * stride;
    Floats v[N], most;
    for (int j = 0; j < N; j++) {
      int64_t k = begin(j, N, stride);
      v[j] = t.w_first * at(first + k) + t.w_second * at(second + k);
      most = j ? larger(v[j], most) : v[j];
    }
    float top = largest(most);
    uint64_t mask = 0;
    for (int j = 0; j < N; j++) mask |= equal(v[j], top) << begin(j, N, stride);
    labels[x] = __builtin_ctzll(mask);
  }
}

// Of finite values.
inline void many_classes(const Labels& l, const float* row, float* values, int64_t* labels) {
  int64_t stride = l.stride();
  int n = (stride + LANES - 1) / LANES;
  for (int64_t x = 0; x < l.out_width; x++) {
    Tap t = l.logits.columns[x];
    blend(row + t.first * stride, row + t.second * stride, t, stride, values);
    Floats most = at(values);
    for (int j = 1; j < n; j++) most = larger(at(values + begin(j, n, stride)), most);
    float top = largest(most);
    uint64_t mask = 0;
    for (int j = 0; !mask; j++) {
      mask = equal(at(values + begin(j, n, stride)), top);
      labels[x] = begin(j, n, stride) + (mask ? __builtin_ctzll(mask) : 0);
    }
  }
}

// Where infinities and NaN are about: one class after the other.
inline void any_values(const Labels& l, const float* row, float*, int64_t* labels) {
  for (int64_t x = 0; x < l.out_width; x++) {
    const Tap& t = l.logits.columns[x];
    const float *first = row + t.first * l.stride(), *second = row + t.second * l.stride();
    float top = t.w_first * first[0] + t.w_second * second[0];
    labels[x] = 0;
    for (int64_t k = 1; k < l.classes && top == top; k++) {
      float v = t.w_first * first[k] + t.w_second * second[k];
      if (!(v <= top)) top = v, labels[x] = k;
    }
  }
}

void labels_row(const Labels& l, int64_t row, float* scratch) {
  constexpr decltype(&many_classes) BY_VECTORS[] = {
      few_classes<1>, few_classes<2>, few_classes<3>, few_classes<4>,
      few_classes<5>, few_classes<6>, few_classes<7>, few_classes<8>};
  int64_t image = row / l.out_height, length = l.logits.width * l.classes, used = l.logits.width * l.stride();
  Tap t = tap(l.logits.height, l.out_height, l.align_corners, row % l.out_height);
  int64_t first = (image * l.logits.height + t.first) * length;
  int64_t second = (image * l.logits.height + t.second) * length;
  if (l.logits.map.bfloat16) {
    auto* data = static_cast<const uint16_t*>(l.logits.map.data);
    blend_logits(l, data + first, data + second, t, scratch);
  } else {
    auto* data = static_cast<const float*>(l.logits.map.data);
    blend_logits(l, data + first, data + second, t, scratch);
  }
  int64_t vectors = (l.stride() + LANES - 1) / LANES;
  auto find = l.classes <= 64 && vectors <= 8 ? BY_VECTORS[vectors - 1] : many_classes;
  if (!finite(scratch, used)) find = any_values;
  find(l, scratch, scratch + used, l.labels + row * l.out_width);
}

// Row y of a map as float32, at the map's own width.
inline const float* row_of(const Sum& s, const Resized& x, int64_t image, int64_t y, float* scratch) {
  Tap t = tap(x.height, s.out_height, s.align_corners, y);
  int64_t length = x.width * s.channels;
  int64_t first = (image * x.height + t.first) * length, second = (image * x.height + t.second) * length;
  if (x.map.bfloat16) {
    auto* data = static_cast<const uint16_t*>(x.map.data);
    if (x.height == s.out_height)
      for (int64_t i = 0; i < length; i++) scratch[i] = to_float(data[first + i]);
    else
      blend(data + first, data + second, t, length, scratch);
    return scratch;
  }
  auto* data = static_cast<const float*>(x.map.data);
  if (x.height == s.out_height) return data + first;
  blend(data + first, data + second, t, length, scratch);
  return scratch;
}

// y = the shares of channels c ... of a pixel; V is a vector or a float.
template <class V>
inline void add(const Sum& s, const Share* shares, int64_t c, float* y) {
  V v = {};
  for (const Share* end = shares + s.maps.size(); shares < end; shares++) {
    V first = at<V>(shares->first + c);
    if (shares->second)
      first = shares->w_first * first + shares->w_second * at<V>(shares->second + c);
    v += first;
  }
  if (s.bias) v += at<V>(s.bias + c);
  if (s.relu) v = v < 0 ? V{} : v;
  memcpy(y + c, &v, sizeof v);
}

void sum_row(const Sum& s, int64_t row, float* scratch, Share* shares) {
  int64_t image = row / s.out_height, y = row % s.out_height, n = s.channels, count = s.maps.size();
  float* sums = scratch;
  scratch += n;
  for (int64_t i = 0; i < count; i++) {
    shares[i].row = row_of(s, s.maps[i], image, y, scratch);
    scratch += s.maps[i].width * n;
  }
  for (int64_t x = 0; x < s.out_width; x++) {
    for (int64_t i = 0; i < count; i++) {
      const Tap& t = s.maps[i].columns[x];
      Share& share = shares[i];
      share.first = share.row + t.first * n;
      share.second = s.maps[i].width == s.out_width ? nullptr : share.row + t.second * n;
      share.w_first = t.w_first, share.w_second = t.w_second;
    }
    int64_t at = (row * s.out_width + x) * n;
    float* to = s.y.bfloat16 ? sums : static_cast<float*>(s.y.data) + at;
    for (int64_t c = 0; c + LANES <= n; c += LANES) add<Floats>(s, shares, c, to);
    if (n % LANES && n > LANES) add<Floats>(s, shares, n - LANES, to);
    for (int64_t c = 0; c < n && n < LANES; c++) add<float>(s, shares, c, to);
    if (s.y.bfloat16)
      for (int64_t c = 0; c < n; c++) store(s.y, at + c, sums[c]);
  }
}

constexpr Upsampler rows = {labels_row, sum_row};
