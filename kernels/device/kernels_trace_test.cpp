// What kernels do to memory: no races, no reads of unset shared memory, every weight fetched once,
// and bounds on scattered accesses and bank conflicts.
#define PRECIS_DEVICE device_simt
#include "kernels/device/activations.h"
#include "kernels/device/aqlm.h"
#include "kernels/device/bitsandbytes.h"
#include "kernels/device/decoders.h"
#include "kernels/device/float8.h"
#include "kernels/device/gguf.h"
#include "kernels/device/grouped.h"
#include "kernels/device/host_runtime.h"
#include "kernels/device/int8.h"
#include "kernels/device/scaled.h"

#include "kernels/device/traffic_test.h"

namespace precis::kernels::device_simt {
namespace {

struct FourBitArrays {
  uint32_t rows, columns;
  Array<uint8_t> packed{size_t{rows} * columns / 2};
  Array<float> absmax{size_t{rows} * columns / 64};
  FourBitTensor tensor() const {
    return {FourBitType::nf4, WeightType::bf16, rows, columns, 64, packed.data(), absmax.data()};
  }
};

TEST_F(DeviceTraffic, FourBitQuantize) {
  const Array<uint16_t> weight(64 * 16);
  const Array<uint8_t> packed(32 * 16);
  const Array<float> absmax(16);
  expect(quantize_4bit(FourBitType::nf4, WeightType::bf16, weight.data(), 64 * 16, 64,
                       packed.data(), absmax.data(), nullptr),
         {1.2, 1.0});
}

TEST_F(DeviceTraffic, FourBitDequantize) {
  const FourBitArrays weight{4, 2048};
  const Array<uint16_t> out(4 * 2048);
  expect(dequantize_4bit(weight.tensor(), WeightType::bf16, out.data(), nullptr), {1.0, 1.0});
  EXPECT_EQ(simt::trace_report().global_bytes_read, 4u * 2048 / 2 + 4 * 2048 / 64 * 4);
  EXPECT_EQ(simt::trace_report().global_bytes_written, 4u * 2048 * 2);
}

TEST_F(DeviceTraffic, FourBitMatrixVector) {
  const FourBitArrays weight{4, 2048};
  const Array<uint16_t> x(2048), y(4);
  expect(linear_4bit(weight.tensor(), WeightType::f16, x.data(), nullptr, y.data(), 1, nullptr),
         {1.05, 1.0});
  EXPECT_EQ(simt::trace_report().global_bytes_read, 4u * 2048 / 2 + 4 * 2048 / 64 * 4 + 2048 * 2);
}

TEST_F(DeviceTraffic, FourBitMatrixProduct) {
  for (const uint32_t m : {16u, 40u}) {
    simt::trace_reset();
    const FourBitArrays weight{128, 192};
    const Array<uint16_t> x(m * 192), y(m * 128);
    expect(linear_4bit(weight.tensor(), WeightType::bf16, x.data(), nullptr, y.data(), m, nullptr),
           {1.3, 1.3});
  }
}

TEST_F(DeviceTraffic, Int8Rows) {
  const Array<uint16_t> matrix(2 * 1024), out(2 * 1024);
  const Array<int8_t> codes(2 * 1024);
  const Array<float> absmax(2);
  expect(quantize_int8_rows(WeightType::f16, matrix.data(), 2, 1024, codes.data(), absmax.data(),
                            nullptr),
         {1.1, 1.0});
  simt::trace_reset();
  expect(dequantize_int8_rows({2, 1024, codes.data(), absmax.data()}, WeightType::f16, out.data(),
                              nullptr),
         {1.0, 1.0});
}

TEST_F(DeviceTraffic, Int8Products) {
  const Array<int8_t> codes(128 * 256), x(16 * 256);
  const Array<float> scb(128), x_absmax(16);
  const Array<uint16_t> wide_x(16 * 256), y(16 * 128);
  const Int8Tensor weight{128, 256, codes.data(), scb.data()};
  expect(linear_int8(weight, WeightType::f16, wide_x.data(), nullptr, y.data(), 1, nullptr),
         {1.1, 1.0});
  simt::trace_reset();
  expect(linear_int8(weight, WeightType::f16, wide_x.data(), nullptr, y.data(), 16, nullptr),
         {1.3, 1.3});
  simt::trace_reset();
  expect(linear_int8_int8(weight, x.data(), x_absmax.data(), WeightType::f16, nullptr, y.data(), 16,
                          nullptr),
         {1.3, 1.3});
}

// Products over wgmma: tiles come in whole sectors and into all banks at once, at every place of
// the source, and each code is read once by each block that needs it.
class WgmmaTraffic : public DeviceTraffic {
 protected:
  static constexpr uint32_t kM = 160, kRows = 128, kColumns = 384;
  const Array<uint8_t> x{size_t{kM} * kColumns}, weight{size_t{kRows} * kColumns};
  const Array<uint16_t> y{size_t{kM} * kRows};

  void SetUp() override {
    DeviceTraffic::SetUp();
    executor_has_wgmma() = true;
  }
  void TearDown() override { executor_has_wgmma() = false; }

  static void expect_each(const char* error, Limits limits) {
    expect(error, limits);
    uint64_t products = 0;
    for (const simt::Site& site : simt::trace_report().sites) {
      const std::string place = site.place();
      products += place.find("wgmma_simt") != std::string::npos ? site.requests : 0;
      EXPECT_LE(static_cast<double>(site.sectors),
                limits.sectors * static_cast<double>(site.least_sectors))
          << place;
      EXPECT_LE(static_cast<double>(site.bank_cycles),
                limits.bank_cycles * static_cast<double>(site.least_bank_cycles))
          << place;
    }
    EXPECT_GT(products, 0u);
  }
};

TEST_F(WgmmaTraffic, Int8) {
  const Array<float> scb(kRows), x_absmax(kM);
  for (const uint32_t m : {64u, kM}) {
    simt::trace_reset();
    expect_each(
        linear_int8_int8({kRows, kColumns, reinterpret_cast<int8_t*>(weight.data()), scb.data()},
                         reinterpret_cast<int8_t*>(x.data()), x_absmax.data(), WeightType::f16,
                         nullptr, y.data(), m, nullptr),
        {1.0, 1.0});
    EXPECT_EQ(simt::trace_report().global_bytes_read,
              uint64_t{kRows + m} * kColumns + (kRows + m) * 4);
  }
}

TEST_F(WgmmaTraffic, Float8) {
  const Array<float> scales(kRows), x_scales(kM * 3);
  for (const uint32_t tile : {0u, 128u}) {
    simt::trace_reset();
    const Float8Tensor tensor{Float8Type::e4m3fn,
                              kRows,
                              kColumns,
                              weight.data(),
                              {tile == 0 ? 1 : tile, tile},
                              Fp8ScaleType::f32,
                              scales.data(),
                              WeightType::f32};
    expect_each(linear_float8_float8(tensor, {x.data(), x_scales.data(), tile}, WeightType::bf16,
                                     nullptr, y.data(), kM, nullptr),
                {tile == 0 ? 1.0 : 3.0, 1.0});  // scales of rows stand apart
  }
}

TEST_F(WgmmaTraffic, DecodedWeights) {
  const FourBitArrays four_bit{kRows, 192};
  const Array<uint16_t> wide(kM * 192);
  expect_each(
      linear_4bit(four_bit.tensor(), WeightType::bf16, wide.data(), nullptr, y.data(), kM, nullptr),
      {2.0, 1.0});  // two rows share a sector of scales
}

// Blocks of 34 and 18 bytes are read by pieces of 2 bytes: many sectors a request, all from cache
// but the first. The bytes fetched from memory are the least.
TEST_F(DeviceTraffic, GgufBlocks) {
  struct Case {
    GgufType type;
    size_t bytes;
    Limits limits;
  };
  for (const Case& c : {Case{GgufType::q8_0, 4 * 2048 / 32 * 34, {3.5, 1.0}},
                        Case{GgufType::q4_0, 4 * 2048 / 32 * 18, {2.5, 1.0}},
                        Case{GgufType::q4_k, 4 * 2048 / 256 * 144, {1.4, 1.0}}}) {
    simt::trace_reset();
    const Array<uint8_t> blocks(c.bytes);
    const Array<uint16_t> x(2048), y(4);
    expect(linear_gguf({c.type, 4, 2048, blocks.data()}, WeightType::f16, x.data(), nullptr,
                       y.data(), 1, nullptr),
           c.limits);
    EXPECT_EQ(simt::trace_report().global_bytes_read, c.bytes + 2048 * 2);
  }
}

// The types that share kernels: every byte of theirs that is read is read from memory once.
TEST_F(DeviceTraffic, GgufFamilies) {
  for (const GgufType type :
       {GgufType::q5_0, GgufType::mxfp4, GgufType::tq1_0, GgufType::q6_k, GgufType::q5_k,
        GgufType::q3_k, GgufType::iq4_xs, GgufType::iq3_s, GgufType::iq1_m}) {
    const GgufTypeShape& shape = gguf_type_at(static_cast<uint32_t>(type));
    SCOPED_TRACE(shape.name);
    const size_t bytes = size_t{128} * 512 / shape.block_elements * shape.block_bytes;
    const Array<uint8_t> blocks(bytes);
    const Array<uint16_t> x(40 * 512), y(40 * 128), out(128 * 512);
    const GgufTensor weight{type, 128, 512, blocks.data()};
    simt::trace_reset();
    expect(dequantize_gguf(weight, WeightType::f16, out.data(), nullptr), {3.5, 1.0});
    for (const uint32_t m : {1u, 40u}) {
      simt::trace_reset();
      expect(linear_gguf(weight, WeightType::f16, x.data(), nullptr, y.data(), m, nullptr),
             {m == 1 ? 3.1 : 4.6, 1.0});
      const uint64_t read = simt::trace_report().global_bytes_read - uint64_t{m} * 512 * 2;
      EXPECT_LE(read, bytes + 512);  // a lattice's points
      EXPECT_GE(read, bytes * 9 / 10);
    }
  }
}

TEST_F(DeviceTraffic, Float8Tiles) {
  const Array<uint16_t> matrix(8 * 1024), out(8 * 1024), y(16 * 8);
  const Array<uint8_t> codes(8 * 1024), x(16 * 1024);
  const Array<float> scales(8), x_scales(16 * 8);
  expect(quantize_float8_tiles(WeightType::bf16, matrix.data(), 8, 1024, {128, 128},
                               Fp8ScaleType::f32, codes.data(), scales.data(), nullptr, nullptr),
         {1.1, 1.0});
  const Float8Tensor weight{
      Float8Type::e4m3fn, 8, 1024, codes.data(), {128, 128}, Fp8ScaleType::f32, scales.data(),
      WeightType::f32};
  simt::trace_reset();
  expect(dequantize_float8(weight, WeightType::bf16, out.data(), nullptr), {1.1, 1.0});
  simt::trace_reset();
  expect(linear_float8(weight, WeightType::bf16, matrix.data(), nullptr, y.data(), 1, nullptr),
         {1.1, 1.0});
  EXPECT_EQ(simt::trace_report().global_bytes_read, 8u * 1024 + 8 * 4 + 1024 * 2);
  simt::trace_reset();
  expect(linear_float8_float8(weight, {x.data(), x_scales.data(), 128}, WeightType::bf16, nullptr,
                              y.data(), 16, nullptr),
         {2.0, 1.3});
}

// Codes that lie along the rows of the weight come and go in whole sectors.
TEST_F(DeviceTraffic, RepackedCodes) {
  const Array<uint32_t> qweight(64 * 256 * 3 / 32), qzeros(2 * 64 * 3 / 32), codes(64 * 256 / 8);
  const Array<uint16_t> scales(2 * 64), out(64 * 256), x(256), y(64);
  const Array<float> row_scales(64 * 2 * 2);
  const GptqTensor gptq{{3, false, true}, {64, 256, 128}, qweight.data(), qzeros.data(),
                        WeightType::f16,  scales.data(),  nullptr};
  expect(dequantize_groups(gptq, WeightType::f16, out.data(), nullptr), {2.0, 1.3});
  simt::trace_reset();
  expect(repack(gptq, codes.data(), row_scales.data(), nullptr), {2.0, 1.3});
  EXPECT_EQ(simt::trace_report().global_bytes_read,
            64u * 256 * 3 / 8 + 2 * 64 * 2 + 2 * 64 * 3 / 8 + 16);  // the last sector in part
  EXPECT_EQ(simt::trace_report().global_bytes_written, 64u * 256 / 2 + 64 * 2 * 8);
  GroupedRows rows;
  ASSERT_EQ(plan_rows(gptq, &rows), nullptr);
  rows.codes = codes.data();
  rows.scales = row_scales.data();
  simt::trace_reset();
  expect(linear_groups(rows, WeightType::f16, x.data(), nullptr, y.data(), 1, nullptr),
         {1.05, 1.0});
  EXPECT_EQ(simt::trace_report().global_bytes_read, 64u * 256 / 2 + 64 * 2 * 8 + 256 * 2);
}

// What GPTQ and AWQ store is read where it is, by whole sectors too, and nothing else is made of it
// than scales.
TEST_F(DeviceTraffic, CodesInPlace) {
  const Array<uint32_t> qweight(64 * 256 / 8), qzeros(2 * 64 / 8);
  const Array<uint16_t> scales(2 * 64), x(160 * 256), y(160 * 64);
  const Array<float> row_scales(64 * 2 * 2);
  const GptqTensor gptq{{4, false, true}, {64, 256, 128}, qweight.data(), qzeros.data(),
                        WeightType::f16,  scales.data(),  nullptr};
  const AwqTensor awq{AwqLayout::gemm, {64, 256, 128},  qweight.data(),
                      qzeros.data(),   WeightType::f16, scales.data()};
  for (const GroupedTensor& weight : {GroupedTensor{gptq}, GroupedTensor{awq}}) {
    const bool is_awq = std::holds_alternative<AwqTensor>(weight);
    GroupedRows rows;
    ASSERT_EQ(plan_rows(weight, &rows), nullptr);
    ASSERT_TRUE(rows.in_place);
    rows.scales = row_scales.data();
    simt::trace_reset();
    expect(repack(weight, nullptr, row_scales.data(), nullptr), {2.0, 1.0});
    EXPECT_EQ(simt::trace_report().global_bytes_read, 2u * 64 * 2 + 2 * 64 / 2);
    EXPECT_EQ(simt::trace_report().global_bytes_written, 64u * 2 * 8);
    for (const uint32_t m : {1u, 8u, 16u, 160u}) {
      executor_has_wgmma() = m >= 128;
      simt::trace_reset();
      // Half a sector holds AWQ's words of 32 rows.
      expect(linear_groups(rows, WeightType::f16, x.data(), nullptr, y.data(), m, nullptr),
             {is_awq ? 1.6 : 1.05, m == 16 ? 1.3 : 1.0});
      EXPECT_EQ(simt::trace_report().global_bytes_read,
                64u * 256 / 2 + 64 * 2 * 8 + uint64_t{m} * 256 * 2);
    }
    executor_has_wgmma() = false;
  }
}

TEST_F(DeviceTraffic, Activations) {
  const Array<uint16_t> x(8 * 1024), out(8 * 1024);
  const Array<int8_t> codes(8 * 1024);
  const Array<float> scales(8 * 8);
  expect(quantize_int8_activations(WeightType::bf16, x.data(), 8, 1024,
                                   {ActivationRule::torchao_integer}, codes.data(), scales.data(),
                                   nullptr),
         {1.0, 1.0});
  for (const uint32_t tile : {0u, 128u}) {
    simt::trace_reset();
    expect(quantize_float8_activations(
               WeightType::bf16, x.data(), 8, 1024, {ActivationRule::float8, tile},
               reinterpret_cast<uint8_t*>(codes.data()), scales.data(), nullptr),
           {1.0, 1.0});
  }
  simt::trace_reset();
  expect(
      encode_activations(WeightType::bf16, x.data(), 8, 1024, {ActivationRule::compressed_integer},
                         codes.data(), scales.data(), nullptr),
      {1.0, 1.0});
  simt::trace_reset();
  expect(round_activations(WeightType::bf16, x.data(), 8, 1024,
                           {ActivationRule::compressed_integer}, out.data(), nullptr),
         {1.0, 1.0});
}

// Narrow numbers with scales for groups of 64, and sums of codewords.
TEST_F(DeviceTraffic, ScaledNumbers) {
  constexpr uint32_t kRows = 128, kColumns = 512;
  const Array<uint8_t> codes(size_t{kRows} * kColumns);
  const Array<uint16_t> scales(size_t{kRows} * 8), x(40 * kColumns), y(40 * kRows),
      out(size_t{kRows} * kColumns);
  for (const NarrowType type :
       {NarrowType::float4_e2m1, NarrowType::float8_e4m3fn, NarrowType::float6_e2m3}) {
    ScaledWeight weight{};
    weight.rows = {type, 8, false, kColumns};
    weight.codes = codes.data();
    weight.scale_type = ScaleType::f16;
    weight.scales = scales.data();
    weight.tiles = {1, 64, 8};
    SCOPED_TRACE(static_cast<int>(type));
    const bool gathered = type == NarrowType::float6_e2m3;  // code by code, from cache
    simt::trace_reset();
    expect(dequantize_scaled({kRows, weight}, WeightType::f16, out.data(), nullptr),
           {gathered ? 4.0 : 1.0, 1.0});
    for (const uint32_t m : {1u, 40u}) {
      simt::trace_reset();
      expect(
          linear_scaled({kRows, weight}, WeightType::f16, x.data(), nullptr, y.data(), m, nullptr),
          {gathered ? 6.5 : 1.1, 1.0});
      EXPECT_EQ(simt::trace_report().global_bytes_read,
                kRows * weight.rows.row_bytes() + kRows * 8 * 2 + uint64_t{m} * kColumns * 2);
    }
  }
}

TEST_F(DeviceTraffic, Codewords) {
  const AqlmShape shape{128, 512, 1, 8, 2, 8};
  const Array<uint8_t> codes(shape.blocks() * 2);
  const Array<uint16_t> codebooks(2 * 256 * 8), scales(128), x(40 * 512), y(40 * 128),
      out(128 * 512);
  const AqlmWeight weight{shape,           codes.data(),     shape.in_groups() * 2, 2,
                          WeightType::f16, codebooks.data(), scales.data()};
  expect(dequantize_aqlm(weight, WeightType::f16, out.data(), nullptr), {1.1, 1.0});
  for (const uint32_t m : {1u, 40u}) {
    simt::trace_reset();
    expect(linear_aqlm(weight, WeightType::f16, x.data(), nullptr, y.data(), m, nullptr),
           {1.6, 1.0});
  }
}

TEST_F(DeviceTraffic, Decoders) {
  const Array<uint8_t> codes(128 * 512), scales(128 * 16);
  const Array<uint16_t> out(128 * 512);
  expect(dequantize_experts(codes.data(), scales.data(), 1, 128, 512, WeightType::f16, out.data(),
                            nullptr),
         {1.4, 1.0});
}

}  // namespace
}  // namespace precis::kernels::device_simt
