// The GEMM over the matrix units of other vendors, whose layouts the executor knows.
#include "kernels/device/runtime.h"

#include <gtest/gtest.h>

#include "kernels/device/formats/int8_row.h"
#include "kernels/device/gemm.h"
#include "kernels/device/int8_gemm.h"
#include "kernels/selftest/device_memory.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::device_simt {
namespace {

constexpr uint32_t kM = 20, kRows = 40, kColumns = 176;

struct Int8Matrices : testing::Test {
  std::vector<int8_t> weight = std::vector<int8_t>(kRows * kColumns);
  std::vector<int8_t> x = std::vector<int8_t>(kM * kColumns);
  std::vector<float> scb = std::vector<float>(kRows, 127.0f);
  std::vector<float> x_absmax = std::vector<float>(kM, 1.0f);

  Int8Matrices() {
    Random random(5);
    for (int8_t& code : weight)
      code = static_cast<int8_t>(static_cast<int>(random.bits() % 15) - 7);
    for (int8_t& code : x) code = static_cast<int8_t>(static_cast<int>(random.bits() % 15) - 7);
  }
  void TearDown() override { simt::options() = simt::Options{}; }

  int sum(uint32_t m, uint32_t row) const {
    int total = 0;
    for (uint32_t k = 0; k < kColumns; ++k)
      total += x[m * kColumns + k] * weight[row * kColumns + k];
    return total;
  }

  // Small whole numbers: every sum is exact in float16's range, so any fault of layout shows.
  template <class Unit, int TileM>
  void decoded_weight() {
    std::vector<Half> halves;
    for (const int8_t code : x) halves.push_back(from_float<Half>(code));
    const DeviceArray<int8_t> codes(weight);
    const DeviceArray<float> scales(scb);
    const DeviceArray<Half> device_x(halves), y(kM * kRows);
    const Int8Row::Weight tensor{kRows, kColumns, codes.data(), scales.data()};
    const auto launched = launch_gemm_tile<Int8Row, Half, Unit, TileM>(
        tensor, device_x.data(), static_cast<const Half*>(nullptr), y.data(), kM, nullptr);
    ASSERT_EQ(launched, nullptr);
    const auto values = y.values();
    for (uint32_t m = 0; m < kM; ++m)
      for (uint32_t row = 0; row < kRows; ++row)
        ASSERT_EQ(values[m * kRows + row].bits, half_bits(static_cast<float>(sum(m, row))));
  }

  template <class Unit>
  void integers() {
    const DeviceArray<int8_t> codes(weight), device_x(x);
    const DeviceArray<float> scales(scb), absmax(x_absmax);
    const DeviceArray<BFloat16> y(kM * kRows);
    const Int8Product product{
        kM,           kRows,         kColumns,           device_x.data(), absmax.data(),
        codes.data(), scales.data(), kInverse127Squared, nullptr,         nullptr};
    const auto launched = launch_int8_gemm_tile<BFloat16, Unit, 32>(
        product, static_cast<const BFloat16*>(nullptr), y.data(), nullptr);
    ASSERT_EQ(launched, nullptr);
    const auto values = y.values();
    for (uint32_t m = 0; m < kM; ++m)
      for (uint32_t row = 0; row < kRows; ++row)
        ASSERT_EQ(
            values[m * kRows + row].bits,
            from_float<BFloat16>((static_cast<float>(sum(m, row)) * 127.0f) * kInverse127Squared)
                .bits);
  }

  template <class Unit>
  void all_orders() {
    for (const simt::Order order :
         {simt::Order::forward, simt::Order::reverse, simt::Order::random}) {
      simt::options().order = order;
      decoded_weight<Unit, 32>();
      decoded_weight<Unit, 64>();
      integers<Unit>();
    }
  }
};

TEST_F(Int8Matrices, Nvidia) {
  all_orders<NvidiaUnit>();
}
TEST_F(Int8Matrices, Cdna) {
  all_orders<CdnaUnit>();
}
TEST_F(Int8Matrices, Rdna3) {
  all_orders<Rdna3Unit>();
}
TEST_F(Int8Matrices, Rdna4) {
  all_orders<Rdna4Unit>();
}
TEST_F(Int8Matrices, WithoutMatrixUnits) {
  all_orders<PlainUnit>();
}

}  // namespace
}  // namespace precis::kernels::device_simt
