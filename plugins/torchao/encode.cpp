#include "plugins/torchao/quantizer.h"
#include "plugins/torchao/stored.h"
#include "plugins/weight_type.h"

namespace precis::torchao {

namespace {

kernels::AoBlocks blocks_of(const Scheme& scheme, const sdk::Matrix& matrix) {
  const uint64_t block =
      scheme.group_size > 0 ? static_cast<uint64_t>(scheme.group_size) : matrix.columns;
  return {matrix.columns, block, scheme.group_size < 0};
}

bool has_ranges(const Scheme& scheme) {
  return scheme.tensor != TensorClass::int4 && scheme.tensor != TensorClass::int4_tiles;
}

// A weight under way. lows, highs: of each block, in the workspace.
struct Work {
  const precis_call& call;
  const Scheme& scheme;
  sdk::Matrix matrix;
  kernels::AoBlocks blocks;
  kernels::WeightType type;
  const void* values;
  float *lows = nullptr, *highs = nullptr;

  uint64_t scale_count() const { return blocks.whole ? 1 : matrix.rows * blocks.per_row(); }
};

// Every block's range; of a single scale the whole's, in front.
void find_ranges(Work& work) {
  sdk::for_rows(work.call, work.matrix, 1, [&](sdk::RowRange rows) {
    kernels::ao_encoders(kernels::current_isa())
        .ranges(work.type, work.values, work.blocks, rows.begin, rows.end, work.lows, work.highs);
  });
  if (!work.blocks.whole) return;
  for (uint64_t i = 1; i < work.matrix.rows; ++i) {
    const float low = work.lows[i], high = work.highs[i];
    if (low < work.lows[0] || low != low) work.lows[0] = low;
    if (high > work.highs[0] || high != high) work.highs[0] = high;
  }
}

// Scales into lows, and in their own dtype into the part.
void find_scales(Work& work, const sdk::Parts& parts) {
  const Scheme& scheme = work.scheme;
  const bool integers = scheme.tensor != TensorClass::float8;
  const bool in_float32 = scheme.tensor != TensorClass::intx;
  const float smallest = smallest_scale(scheme, work.type);
  auto* zero_points = integers ? sdk::data<int8_t>(*parts[kZero]) : nullptr;
  void* scales = sdk::data<void>(*parts[kScale]);
  const auto stored = in_float32 ? kernels::WeightType::f32 : work.type;
  kernels::with_type(stored, [&](auto tag) {
    using Type = decltype(tag);
    for (uint64_t i = 0; i < work.scale_count(); ++i) {
      if (integers) {
        const kernels::AoParameters found = kernels::ao_parameters(
            scheme.mapping, work.type, scheme.range, smallest, work.lows[i], work.highs[i]);
        work.lows[i] = found.scale;
        zero_points[i] = found.zero_point;
      } else {
        work.lows[i] =
            kernels::ao_float8_scale(work.type, scheme.float8, work.lows[i], work.highs[i]);
      }
      Type::store(static_cast<typename Type::Stored*>(scales), i, work.lows[i]);
    }
  });
}

void encode_blocks(Work& work, const sdk::Parts& parts) {
  find_ranges(work);
  find_scales(work, parts);
  const Scheme& scheme = work.scheme;
  const auto& encoder = kernels::ao_encoders(kernels::current_isa());
  sdk::for_rows(work.call, work.matrix, 1, [&](sdk::RowRange rows) {
    if (scheme.tensor == TensorClass::float8) {
      encoder.float8_codes(scheme.float8, work.type, work.values, work.blocks, work.lows,
                           rows.begin, rows.end, sdk::data<uint8_t>(*parts[kCodes]));
    } else {
      encoder.int8_codes(work.type, work.values, work.blocks, work.lows,
                         sdk::data<const int8_t>(*parts[kZero]), scheme.range,
                         scheme.tensor == TensorClass::intx, rows.begin, rows.end,
                         sdk::data<int8_t>(*parts[kCodes]));
    }
  });
}

void encode_pairs(const Work& work, const sdk::Parts& parts) {
  sdk::for_rows(work.call, work.matrix, 1, [&](sdk::RowRange rows) {
    kernels::ao_encoders(kernels::current_isa())
        .int4_pairs(work.type, work.values, work.matrix.rows, work.matrix.columns,
                    work.blocks.block, rows.begin, rows.end, sdk::data<uint8_t>(*parts[kCodes]),
                    sdk::data<void>(*parts[kScale]), sdk::data<void>(*parts[kZero]));
  });
}

void encode_tiles(const Work& work, const sdk::Parts& parts) {
  const TileShape shape(static_cast<int64_t>(work.matrix.rows),
                        static_cast<int64_t>(work.matrix.columns),
                        static_cast<int64_t>(work.scheme.tile_rows));
  const sdk::Matrix padded{static_cast<uint64_t>(shape.rows), static_cast<uint64_t>(shape.columns)};
  sdk::for_rows(work.call, padded, 8, [&](sdk::RowRange rows) {
    kernels::ao_encoders(kernels::current_isa())
        .int4_tiles(static_cast<const uint16_t*>(work.values), work.matrix.rows,
                    work.matrix.columns, work.blocks.block, padded.rows, padded.columns,
                    rows.begin / 8, rows.end / 8, sdk::data<uint32_t>(*parts[kCodes]),
                    sdk::data<uint16_t>(*parts[kScale]));
  });
}

}  // namespace

uint64_t TorchAoQuantizer::workspace(const precis_param& param) const {
  const Scheme scheme = this->scheme(param);
  if (!has_ranges(scheme)) return 0;
  const sdk::Matrix matrix = sdk::matrix(param);
  return matrix.rows * blocks_of(scheme, matrix).per_row() * 2 * sizeof(float);
}

void TorchAoQuantizer::encode(const precis_call& call, const precis_param& param,
                              const precis_tensor& weight, const sdk::Parts& parts) const {
  const Scheme scheme = this->scheme(param);
  const sdk::Matrix matrix = sdk::matrix(param);
  Work work{call,
            scheme,
            matrix,
            blocks_of(scheme, matrix),
            plugins::weight_type(param.dtype),
            sdk::data<const void>(weight)};
  if (has_ranges(scheme)) {
    work.lows = static_cast<float*>(call.workspace);
    work.highs = work.lows + matrix.rows * work.blocks.per_row();
    encode_blocks(work, parts);
  } else if (scheme.tensor == TensorClass::int4) {
    encode_pairs(work, parts);
  } else {
    encode_tiles(work, parts);
  }
}

}  // namespace precis::torchao
