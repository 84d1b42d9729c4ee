// What encoders do to memory: no races, no reads of unset shared memory, and bounds on scattered
// accesses and bank conflicts.
#define PRECIS_DEVICE device_simt
#include "kernels/device/eetq.h"
#include "kernels/device/float8.h"
#include "kernels/device/gguf.h"
#include "kernels/device/grouped.h"
#include "kernels/device/scaled.h"
#include "kernels/device/ternary.h"
#include "kernels/device/traffic_test.h"

namespace precis::kernels::device_simt {
namespace {

class EncoderTraffic : public DeviceTraffic {};

// GPTQ's and AWQ's gemv read a group again from cache, a row a thread.
TEST_F(EncoderTraffic, BlocksAndGroups) {
  constexpr uint32_t kRows = 64, kColumns = 512;
  constexpr uint64_t kCount = uint64_t{kRows} * kColumns;
  const Array<uint16_t> matrix(kCount), scales(kCount / 16), zeros(kCount / 16);
  const Array<uint32_t> codes(kCount / 2), packed_zeros(kCount / 16), workspace(1024);
  const Array<float> wide_scales(kRows);
  auto* bytes = reinterpret_cast<uint8_t*>(codes.data());
  auto* numbers = reinterpret_cast<int8_t*>(codes.data());
  const auto run = [&](const char* name, const char* error, Limits limits) {
    SCOPED_TRACE(name);
    expect(error, limits);
    simt::trace_reset();
  };
  for (uint32_t i = 0; i < gguf_type_count(); ++i) {
    const GgufTypeShape& shape = gguf_type_at(i);
    if (!shape.encodes) continue;
    const bool searched = shape.block_elements >= 64 || shape.type == GgufType::iq4_nl;
    const bool small = shape.block_elements == 64 || shape.block_elements == 128;
    run(shape.name.data(),
        quantize_gguf(shape.type, WeightType::bf16, matrix.data(), kRows, kColumns, bytes, nullptr),
        // A thread loads the neighbours of its own sub-block, of which others have the sectors.
        // Blocks of 64 and 128 stand closer in shared memory than its banks are wide.
        {searched ? 2.0 : 1.3, small      ? 2.1
                               : searched ? 1.3
                                          : 1.0});
  }
  for (const int bits : {4, 2})
    run("quanto",
        quantize_quanto_groups(bits, WeightType::bf16, matrix.data(), kCount / 128, 128, false,
                               bytes, scales.data(), zeros.data(), nullptr),
        {1.0, 1.0});
  for (const int bits : {4, 3})
    run("gptq",
        quantize_gptq(WeightType::bf16, matrix.data(), {bits, false, true}, true,
                      {kRows, kColumns, 128}, codes.data(), packed_zeros.data(), scales.data(),
                      nullptr),
        {8.2, 1.4});
  for (const AwqLayout layout : {AwqLayout::gemm, AwqLayout::gemv, AwqLayout::gemv_fast})
    run("awq",
        quantize_awq(WeightType::bf16, matrix.data(), layout, {kRows, kColumns, 128}, codes.data(),
                     packed_zeros.data(), scales.data(), nullptr),
        {layout == AwqLayout::gemv ? 4.1 : 1.8, 1.1});
  run("torchao int8",
      quantize_torchao_int8(WeightType::bf16, matrix.data(), kRows, kColumns,
                            {kColumns, AoMapping::symmetric, {-128, 127}, 0x1p-7f, true}, numbers,
                            scales.data(), numbers + kCount, nullptr),
      {1.0, 1.0});
  run("torchao int4",
      quantize_torchao_int4(WeightType::bf16, matrix.data(), kRows, kColumns, 128, bytes,
                            scales.data(), zeros.data(), nullptr),
      {1.4, 1.0});
  bool exact = false;
  run("hqq",
      quantize_hqq(WeightType::bf16, matrix.data(), {{4, 1, kCount / 64, 64}, 15, true, 2, 16},
                   bytes, scales.data(), zeros.data(), &exact, nullptr),
      {3.0, 1.0});  // eight lanes of a group take its neighbours in turn
  run("eetq",
      quantize_eetq(WeightType::bf16, matrix.data(), kRows, kColumns, bytes, scales.data(),
                    nullptr),
      {2.0, 1.0});
  const Array<double> sums(kRows);
  run("ternary",
      quantize_ternary(WeightType::bf16, matrix.data(), kRows, kColumns, true, sums.data(), bytes,
                       scales.data(), nullptr),
      {12.0, 1.0});  // a row a thread, from cache
  run("torchao float8",
      quantize_torchao_float8(Float8Type::e4m3fn, WeightType::bf16, matrix.data(), kRows, kColumns,
                              false, bytes, wide_scales.data(), nullptr),
      {1.0, 1.0});
  run("torchao tiles",
      quantize_torchao_tiles(matrix.data(), kRows, kColumns, 128, kRows, kColumns, codes.data(),
                             scales.data(), nullptr),
      {8.0, 1.0});  // numbers of a word are eight apart, from cache
  run("float8 rows",
      quantize_float8_rows(WeightType::bf16, matrix.data(), kRows, kColumns, bytes,
                           wide_scales.data(), nullptr),
      {1.0, 1.0});
  run("float8 as a whole",
      quantize_float8_tiles(WeightType::bf16, matrix.data(), kRows, kColumns, {0, 0},
                            Fp8ScaleType::f32, bytes, wide_scales.data(), workspace.data(),
                            nullptr),
      {1.0, 1.0});
}

TEST_F(EncoderTraffic, ScaledNumbers) {
  constexpr uint32_t kRows = 128, kColumns = 512;
  const Array<uint16_t> matrix(size_t{kRows} * kColumns), scales(size_t{kRows} * 32);
  const Array<uint8_t> codes(size_t{kRows} * kColumns);
  const Array<uint32_t> zeros(size_t{kRows} * 32);
  struct Case {
    const char* name;
    NarrowType type;
    ScaleRule rule;
    uint64_t tile_rows, tile_columns;
    bool symmetric;
  };
  for (const Case& c :
       {Case{"int4", NarrowType::packed_int, ScaleRule::own, 1, 128, false},
        Case{"int8 rows", NarrowType::int8, ScaleRule::own, 1, kColumns, true},
        Case{"float8 blocks", NarrowType::float8_e4m3fn, ScaleRule::float32, 128, 128, true},
        Case{"float8 as a whole", NarrowType::float8_e4m3fn, ScaleRule::own, kRows, kColumns, true},
        Case{"mxfp6", NarrowType::float6_e2m3, ScaleRule::exponent, 1, 32, true},
        Case{"nvfp4", NarrowType::float4_e2m1, ScaleRule::two_levels, 1, 16, true}}) {
    SCOPED_TRACE(c.name);
    ScaledEncoding encoding{{c.type, 4, false, kColumns},
                            {c.tile_rows, c.tile_columns, kColumns / c.tile_columns}};
    encoding.scale_rule = c.rule;
    encoding.bits = c.type == NarrowType::packed_int ? 4 : 8;
    encoding.symmetric = c.symmetric;
    encoding.zero_type = c.symmetric ? ZeroType::none : ZeroType::packed;
    simt::trace_reset();
    expect(quantize_scaled(WeightType::bf16, matrix.data(), kRows, encoding,
                           {c.tile_rows == kRows && c.tile_columns == kColumns},
                           {codes.data(), scales.data(), zeros.data()}, nullptr),
           {2.0, 1.0});
  }
}

}  // namespace
}  // namespace precis::kernels::device_simt
