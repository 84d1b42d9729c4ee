// As kernels_trace_test.cpp, of the formats that libraries store in orders of their own kernels.
#define PRECIS_DEVICE device_simt
#include "kernels/device/activations.h"
#include "kernels/device/decoders.h"
#include "kernels/device/eetq.h"
#include "kernels/device/grouped.h"
#include "kernels/device/higgs.h"
#include "kernels/device/nunchaku.h"
#include "kernels/device/rotated.h"
#include "kernels/device/scaled.h"
#include "kernels/device/sdnq.h"
#include "kernels/device/ternary.h"
#include "kernels/device/vptq.h"

#include "kernels/device/traffic_test.h"

namespace precis::kernels::device_simt {
namespace {

constexpr uint32_t kRows = 128, kColumns = 512;
constexpr uint64_t kCount = uint64_t{kRows} * kColumns;

// Scales of neighbouring groups stand a row of the weight apart; those of neighbouring rows share
// sectors, which come from cache.
TEST_F(DeviceTraffic, NunchakuAwq) {
  const Array<uint16_t> codes(kCount / 4), scales(kCount / 64), zeros(kCount / 64),
      x(40 * kColumns), y(40 * kRows), out(kCount);
  const NunchakuAwqTensor weight{kRows,
                                 kColumns,
                                 64,
                                 codes.data(),
                                 {WeightType::f16, scales.data()},
                                 {WeightType::f16, zeros.data()}};
  expect(dequantize_nunchaku_awq(weight, WeightType::f16, out.data(), nullptr), {1.3, 1.0});
  for (const uint32_t m : {1u, 40u}) {
    simt::trace_reset();
    expect(linear_nunchaku_awq(weight, WeightType::f16, x.data(), nullptr, y.data(), m, nullptr),
           {m == 1 ? 1.45 : 1.6, 1.0});
    EXPECT_EQ(simt::trace_report().global_bytes_read,
              kCount / 2 + kCount / 64 * 4 + uint64_t{m} * kColumns * 2);
  }
}

// Codes and x in the order of groups whose columns are scattered. Neighbouring threads read codes
// of neighbouring rows of GPTQ's, but single bytes of a row and single numbers of x.
TEST_F(DeviceTraffic, ScatteredGroups) {
  const Array<uint32_t> order(kColumns), gptq_codes(kCount / 8), zeros(kRows), codes(kCount / 8);
  for (uint32_t i = 0; i < kColumns; ++i) order.data()[i] = i * 5 % kColumns;
  const Array<uint16_t> x(40 * kColumns), gathered(40 * kColumns);
  const Array<float> scales(kCount / 64), group_scales(kCount / 32);
  expect(gather_columns(x.data(), 40, kColumns, order.data(), gathered.data(), nullptr),
         {4.1, 1.0});
  EXPECT_EQ(simt::trace_report().global_bytes_read, uint64_t{40} * kColumns * 2 + kColumns * 4);
  const GptqTensor gptq{{4, false, true}, {kRows, kColumns, 64}, gptq_codes.data(), zeros.data(),
                        WeightType::f32,  scales.data(),         nullptr,           true,
                        order.data()};
  simt::trace_reset();
  expect(repack(gptq, codes.data(), group_scales.data(), nullptr), {1.2, 1.0});
  ScaledWeight numbers{};
  numbers.rows = {NarrowType::packed_int, 4, false, kColumns};
  numbers.codes = gptq_codes.data();
  simt::trace_reset();
  expect(order_scaled({kRows, numbers}, order.data(), codes.data(), nullptr), {2.0, 1.0});
}

// Rows that share scales are far apart: each reads them anew, but for the first from cache.
TEST_F(DeviceTraffic, GroupsOfColumns) {
  const Array<uint8_t> stored(kCount / 2);
  const Array<uint16_t> x(40 * kColumns), y(40 * kRows), scales(kCount / 64), zeros(kCount / 64);
  const HqqTensor tensor{{{4, 0, 64, kCount / 64},
                          stored.data(),
                          WeightType::f16,
                          WeightType::f16,
                          scales.data(),
                          zeros.data()},
                         kRows,
                         kColumns};
  GroupedRows rows;
  ASSERT_EQ(plan_rows(tensor, &rows), nullptr);
  const Array<uint32_t> codes(rows.code_words());
  const Array<float> pairs(rows.scale_count());
  expect(repack(tensor, codes.data(), pairs.data(), nullptr), {5.4, 1.0});
  rows.codes = codes.data();
  rows.scales = pairs.data();
  for (const uint32_t m : {1u, 40u}) {
    simt::trace_reset();
    expect(linear_groups(rows, WeightType::f16, x.data(), nullptr, y.data(), m, nullptr),
           {1.75, 1.0});
    EXPECT_EQ(simt::trace_report().global_bytes_read,
              kCount / 2 + kCount / 64 * 4 + uint64_t{m} * kColumns * 2);
  }
}

// Neighbouring runs share their 16 bytes.
TEST_F(DeviceTraffic, Eetq) {
  const Array<uint8_t> codes(kCount);
  const Array<uint16_t> scales(kRows), x(40 * kColumns), y(40 * kRows), out(kCount);
  const EetqTensor weight{kRows, kColumns, codes.data(), scales.data()};
  expect(dequantize_eetq(weight, WeightType::f16, out.data(), nullptr), {1.0, 1.0});
  for (const uint32_t m : {1u, 40u}) {
    simt::trace_reset();
    expect(linear_eetq(weight, WeightType::f16, x.data(), nullptr, y.data(), m, nullptr),
           {1.0, 1.0});
    EXPECT_EQ(simt::trace_report().global_bytes_read,
              kCount + kRows * 2 + uint64_t{m} * kColumns * 2);
  }
}

// A byte is read once for its four rows. x is read twice and its codes once more; scales are read
// by sectors.
TEST_F(DeviceTraffic, Ternary) {
  const Array<uint8_t> codes(kCount / 4), workspace(ternary_workspace(40, kColumns));
  const Array<uint16_t> x(40 * kColumns), y(40 * kRows), out(kCount);
  const TernaryTensor weight{kRows, kColumns, codes.data(), 1.0f};
  expect(dequantize_ternary(weight, WeightType::f16, out.data(), nullptr), {1.0, 1.0});
  for (const uint32_t m : {1u, 40u}) {
    simt::trace_reset();
    expect(linear_ternary(weight, WeightType::f16, x.data(), nullptr, y.data(), m, workspace.data(),
                          nullptr),
           {1.2, 1.0});
    EXPECT_EQ(simt::trace_report().global_bytes_read,
              kCount / 4 + uint64_t{m} * kColumns * 3 + (m * sizeof(float) + 31) / 32 * 32);
  }
}

TEST_F(DeviceTraffic, Svdq) {
  constexpr uint32_t kRank = 32, kM = 40;
  const Array<uint32_t> codes(kCount / 8);
  const Array<uint16_t> scales(kCount / 64), smooth(kColumns), down(kColumns * kRank),
      up(kRows * kRank), x(kM * kColumns), y(kM * kRows), out(kCount), row_down(kColumns * kRank),
      row_up(kRows * kRank);
  const Array<float> row_smooth(kColumns), row_scales(kRows);
  const Array<uint8_t> workspace(svdq_workspace(kM, kColumns, kRank));
  SvdqTensor weight{};
  weight.rows = kRows;
  weight.columns = kColumns;
  weight.rank = kRank;
  weight.codes = codes.data();
  weight.scales = {WeightType::f16, scales.data()};
  weight.smooth = {WeightType::f16, smooth.data()};
  weight.down = {WeightType::f16, down.data()};
  weight.up = {WeightType::f16, up.data()};
  expect(dequantize_svdq(weight, WeightType::f16, out.data(), nullptr), {1.7, 1.0});
  const SvdqRows rows{row_down.data(), row_up.data(), row_smooth.data(), row_scales.data()};
  simt::trace_reset();
  expect(lay_out_svdq(weight, WeightType::f16, rows, nullptr), {1.5, 1.0});
  for (const uint32_t m : {1u, kM}) {
    simt::trace_reset();
    expect(linear_svdq(weight, rows, WeightType::f16, x.data(), nullptr, y.data(), m,
                       workspace.data(), nullptr),
           {1.4, 1.0});
    const uint64_t of_x =
        uint64_t{m} * (2 * kColumns + 2 * kRank) * 2;  // divided and x down, again
    EXPECT_EQ(simt::trace_report().global_bytes_read,
              kCount / 2 + kCount / 64 * 2 + (kColumns + kRows) * kRank * 2 + kColumns * 4 + of_x);
  }
}

// Codes of 6 bits are read byte by byte, from cache but for the first.
TEST_F(DeviceTraffic, Sdnq) {
  const Array<uint8_t> codes(kCount);
  const Array<float> scales(kCount / 64), zeros(kCount / 64);
  const Array<uint16_t> x(40 * kColumns), y(40 * kRows), out(kCount), workspace(40 * kColumns);
  for (const uint32_t bits : {4u, 6u}) {
    for (const uint32_t rotated : {0u, 64u, 256u}) {
      SCOPED_TRACE(std::to_string(bits) + " bits, rotated " + std::to_string(rotated));
      // Steps of two or four doubles meet in banks.
      const Limits limits{bits == 4 ? 1.6 : 4.5, rotated == 0 ? 1.0 : 2.6};
      SdnqTensor weight{};
      weight.rows = kRows;
      weight.columns = kColumns;
      weight.number = {SdnqKind::unsigned_integer, bits, 0, 0, false};
      weight.codes = codes.data();
      weight.byte_step = 1;
      weight.groups = kColumns / 64;
      weight.levels = 1;
      weight.scales = {WeightType::f32, scales.data()};
      weight.zeros = {WeightType::f32, zeros.data()};
      weight.rotation = {
          rotated == 64 ? RotationKind::fours : RotationKind::twos, rotated, 0.0625, {}, false};
      simt::trace_reset();
      expect(dequantize_sdnq(weight, WeightType::f16, out.data(), nullptr), limits);
      for (const uint32_t m : {1u, 40u}) {
        simt::trace_reset();
        expect(linear_sdnq(weight, {}, WeightType::f16, x.data(), nullptr, y.data(), m,
                           workspace.data(), nullptr),
               limits);
        EXPECT_EQ(
            simt::trace_report().global_bytes_read,
            kCount * bits / 8 + kCount / 64 * 8 + uint64_t{m} * kColumns * (rotated == 0 ? 2 : 4));
      }
    }
  }
}

// x and x down are written once and read again; the low-rank part is read once.
TEST_F(DeviceTraffic, SdnqLowRank) {
  constexpr uint32_t kRank = 32, kM = 40;
  const Array<uint8_t> codes(kCount / 2), workspace(sdnq_workspace(kM, kColumns, kRank, false));
  const Array<float> scales(kCount / 64);
  const Array<uint16_t> x(kM * kColumns), y(kM * kRows), up(kRows * kRank), down(kColumns * kRank),
      row_up(kRows * kRank), row_down(kColumns * kRank);
  SdnqTensor weight{};
  weight.rows = kRows;
  weight.columns = kColumns;
  weight.number = {SdnqKind::unsigned_integer, 4, 0, 0, false};
  weight.codes = codes.data();
  weight.byte_step = 1;
  weight.groups = kColumns / 64;
  weight.levels = 1;
  weight.scales = {WeightType::f32, scales.data()};
  weight.rank = kRank;
  weight.up = {WeightType::f16, up.data()};
  weight.down = {WeightType::f16, down.data()};
  const SdnqLowRank part{row_down.data(), row_up.data()};
  expect(lay_out_low_rank(weight, WeightType::f16, part, nullptr), {1.0, 1.0});
  for (const uint32_t m : {1u, kM}) {
    simt::trace_reset();
    expect(linear_sdnq(weight, part, WeightType::f16, x.data(), nullptr, y.data(), m,
                       workspace.data(), nullptr),
           {1.7, 1.0});
    EXPECT_EQ(simt::trace_report().global_bytes_read,
              kCount / 2 + kCount / 64 * 4 + (kColumns + kRows) * kRank * 2 +
                  uint64_t{m} * (2 * kColumns + 2 * kRank) * 2);
  }
}

// Rows of a vector ask for the same words of indices.
TEST_F(DeviceTraffic, Vptq) {
  const Array<uint32_t> indices(kCount / 8 / 4);
  const Array<uint16_t> centroids(256 * 8), scales(kColumns), biases(kColumns), x(40 * kColumns),
      y(40 * kRows), out(kCount);
  VptqWeight weight{};
  weight.rows = kRows;
  weight.columns = kColumns;
  weight.type = WeightType::f16;
  weight.vector = 8;
  weight.groups = 1;
  weight.group_size = kColumns;
  weight.bits = 8;
  weight.indices = indices.data();
  weight.centroids = centroids.data();
  weight.scales = scales.data();
  weight.biases = biases.data();
  expect(dequantize_vptq(weight, WeightType::f16, out.data(), nullptr), {4.0, 1.0});
  for (const uint32_t m : {1u, 40u}) {
    simt::trace_reset();
    expect(linear_vptq(weight, WeightType::f16, x.data(), nullptr, y.data(), m, nullptr),
           {1.8, 1.0});
    EXPECT_EQ(simt::trace_report().global_bytes_read,
              kCount / 8 + 32 + kColumns * 4 + uint64_t{m} * kColumns * 2);
  }
}

// Neighbouring threads read lines of the matrix, or columns of it: whole sectors, all but the first
// time from cache.
TEST_F(DeviceTraffic, StoredRotation) {
  const Array<uint16_t> matrix(32 * 32), numbers(8 * kColumns), out(8 * kColumns);
  for (const bool transposed : {false, true}) {
    simt::trace_reset();
    expect(dequantize_rotated(
               {WeightType::f16, numbers.data()}, 8, kColumns,
               {RotationKind::matrix, 32, 1, {WeightType::f16, matrix.data()}, transposed},
               WeightType::f16, out.data(), nullptr),
           {transposed ? 1.1 : 15.2, 1.0});
    EXPECT_EQ(simt::trace_report().global_bytes_read, 32u * 32 * 2 + 8 * kColumns * 2);
  }
}

// Of three bits the last of sixteen rows are of three words.
TEST_F(DeviceTraffic, Higgs) {
  for (const uint32_t bits : {3u, 4u}) {
    SCOPED_TRACE(bits);
    constexpr uint32_t kHiggsRows = 512, kHiggsColumns = 128;
    const Array<uint16_t> words(kHiggsRows * bits / 16 * kHiggsColumns), scales(kHiggsRows * 2),
        x(40 * kHiggsColumns), y(40 * kHiggsRows), workspace(40 * kHiggsColumns),
        out(kHiggsRows * kHiggsColumns);
    const Array<uint32_t> pairs(256);
    const HiggsTensor weight{kHiggsRows,
                             kHiggsColumns,
                             bits,
                             32,
                             64,
                             words.data(),
                             {WeightType::f16, scales.data()},
                             pairs.data(),
                             {RotationKind::twos, 128, 0.0625, {}, false}};
    simt::trace_reset();
    expect(dequantize_higgs(weight, WeightType::f16, out.data(), nullptr), {1.0, 1.5});
    for (const uint32_t m : {1u, 40u}) {
      simt::trace_reset();
      expect(linear_higgs(weight, WeightType::f16, x.data(), nullptr, y.data(), m, workspace.data(),
                          nullptr),
             {1.1, 1.5});
      EXPECT_EQ(simt::trace_report().global_bytes_read,
                kHiggsRows * bits / 8 * kHiggsColumns + kHiggsRows * 4 + (1u << (2 * bits)) * 4 +
                    uint64_t{m} * kHiggsColumns * 4);
    }
  }
}

// Each thread looks through its row's outliers; the threads of a row share what they read.
TEST_F(DeviceTraffic, Spqr) {
  const Array<uint64_t> dense(kRows * kColumns / 16);
  const Array<int32_t> starts(kRows + 1);
  for (uint32_t i = 0; i <= kRows; ++i) starts.data()[i] = static_cast<int32_t>(8 * i);
  const Array<uint32_t> outliers(8 * kRows);
  const Array<uint16_t> out(kCount);
  expect(dequantize_spqr(
             {kRows, kColumns, dense.data(), starts.data(), false, outliers.data(), nullptr},
             WeightType::f16, out.data(), nullptr),
         {1.5, 1.0});
}

}  // namespace
}  // namespace precis::kernels::device_simt
