#include "plugins/modelopt/effective.h"

#include <algorithm>

#include "kernels/cpu/common/float8.h"
#include "kernels/cpu/common/numbers.h"

namespace precis::modelopt {

void decode(const EffectiveWeight& weight, uint64_t row, uint64_t begin, uint64_t end, float* out) {
  kernels::scaled_kernels(kernels::current_isa())
      .decode_floats(&weight.numbers, row, begin, end, out);
  const float scale = weight.float8_scale;
  for (uint64_t i = 0; i < end - begin && scale != 0; ++i)
    out[i] =
        kernels::float8_e4m3fn_to_float(kernels::float_to_float8_e4m3fn(out[i] / scale)) * scale;
  for (uint64_t i = 0; i < end - begin && !weight.columns.empty(); ++i)
    out[i] *= weight.columns[begin + i];
}

void decode_floats(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const auto& weight = *static_cast<const EffectiveWeight*>(format);
  if (weight.out_type == kernels::WeightType::f32)
    return decode(weight, row, begin, end, static_cast<float*>(out));
  float values[kernels::kStrip];
  decode(weight, row, begin, end, values);
  for (uint64_t i = 0; i < end - begin; ++i)
    kernels::BF16::store(static_cast<uint16_t*>(out), i, values[i]);
}

}  // namespace precis::modelopt
