// Compiled once for each instruction set. Bound by writing the values.
#include "kernels/cpu/bitnet/bitnet.h"
#include "kernels/cpu/common/decode_rows.h"
#include "kernels/cpu/common/value_table.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

template <typename Out>
class Rows {
 public:
  explicit Rows(const BitNetWeight& weight) : weight_(weight), table_(of_codes(weight)) {}

  void decode(uint64_t row, uint64_t begin, uint64_t count, typename Out::Stored* out) const {
    const uint8_t* bytes = weight_.codes + row % weight_.packed_rows * weight_.columns + begin;
    table_.look_up_plane(bytes, static_cast<int>(row / weight_.packed_rows * 2), 3, count, out);
  }

 private:
  static ValueTable<Out> of_codes(const BitNetWeight& weight) {
    float values[16];
    for (int i = 0; i < 16; ++i) values[i] = weight.values[i & 3];
    return ValueTable<Out>(values, [](auto value) { return value; });
  }

  const BitNetWeight& weight_;
  ValueTable<Out> table_;
};

void dequantize(const BitNetWeight& weight, uint64_t row_begin, uint64_t row_end,
                WeightType out_type, void* out) {
  with_type(out_type, [&](auto tag) {
    using Out = decltype(tag);
    const Rows<Out> rows(weight);
    decode_row_lines(static_cast<typename Out::Stored*>(out), row_begin, row_end, weight.columns,
                     [&](uint64_t row, uint64_t first, uint64_t count, auto* values) {
                       rows.decode(row, first, count, values);
                     });
  });
}

void decode_floats(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const Rows<F32> rows(*static_cast<const BitNetWeight*>(format));
  rows.decode(row, begin, end - begin, static_cast<float*>(out));
}

}  // namespace

const BitNetKernels& bitnet_kernels() {
  static constexpr BitNetKernels kernels{dequantize, decode_floats};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
