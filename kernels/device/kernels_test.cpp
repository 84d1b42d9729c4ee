// Every kernel against the CPU's reference, under orders of threads that a device may choose.
#include <gtest/gtest.h>

#define PRECIS_DEVICE device_simt
#include "kernels/device/host_runtime.h"
#include "kernels/selftest/checks.h"
#include "kernels/simt/simt.h"

namespace precis::kernels {
namespace {

// Forward, reverse and random orders by their seed.
class DeviceKernels : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    auto& options = simt::options();
    options = simt::Options{};
    const int number = GetParam();
    options.order = number == 0   ? simt::Order::forward
                    : number == 1 ? simt::Order::reverse
                                  : simt::Order::random;
    options.seed = static_cast<uint64_t>(number);
  }
  void TearDown() override { simt::options() = simt::Options{}; }

  static void run(const std::vector<Check>& checks) {
    for (const Check& check : checks) EXPECT_EQ(check.run(), "") << check.name;
  }
};

TEST_P(DeviceKernels, FourBit) {
  run(device_simt::four_bit_checks(CheckSize::small));
}
TEST_P(DeviceKernels, Int8) {
  run(device_simt::int8_checks(CheckSize::small));
}
TEST_P(DeviceKernels, Gguf) {
  run(device_simt::gguf_checks(CheckSize::small));
}
TEST_P(DeviceKernels, Float8) {
  run(device_simt::float8_checks(CheckSize::small));
}
TEST_P(DeviceKernels, Grouped) {
  run(device_simt::grouped_checks(CheckSize::small));
}
TEST_P(DeviceKernels, Ordered) {
  run(device_simt::ordered_checks(CheckSize::small));
}
TEST_P(DeviceKernels, QuantizeGroups) {
  run(device_simt::quantize_groups_checks(CheckSize::small));
}
TEST_P(DeviceKernels, QuantizeScaled) {
  run(device_simt::quantize_scaled_checks(CheckSize::small));
}
TEST_P(DeviceKernels, Scaled) {
  run(device_simt::scaled_checks(CheckSize::small));
}
TEST_P(DeviceKernels, Activations) {
  run(device_simt::activations_checks(CheckSize::small));
}
TEST_P(DeviceKernels, Decoders) {
  run(device_simt::decoders_checks(CheckSize::small));
}
TEST_P(DeviceKernels, Eetq) {
  run(device_simt::eetq_checks(CheckSize::small));
}
TEST_P(DeviceKernels, Ternary) {
  run(device_simt::ternary_checks(CheckSize::small));
}
TEST_P(DeviceKernels, Aqlm) {
  run(device_simt::aqlm_checks(CheckSize::small));
}
TEST_P(DeviceKernels, Nunchaku) {
  run(device_simt::nunchaku_checks(CheckSize::small));
}
TEST_P(DeviceKernels, Sdnq) {
  run(device_simt::sdnq_checks(CheckSize::small));
}
TEST_P(DeviceKernels, Vptq) {
  run(device_simt::vptq_checks(CheckSize::small));
}
TEST_P(DeviceKernels, Rotated) {
  run(device_simt::rotated_checks(CheckSize::small));
}
TEST_P(DeviceKernels, Higgs) {
  run(device_simt::higgs_checks(CheckSize::small));
}
TEST_P(DeviceKernels, Wgmma) {
  device_simt::executor_has_wgmma() = true;
  std::vector<Check> checks;
  for (auto* more :
       {device_simt::four_bit_checks, device_simt::int8_checks, device_simt::gguf_checks,
        device_simt::float8_checks, device_simt::grouped_checks, device_simt::scaled_checks,
        device_simt::aqlm_checks, device_simt::nunchaku_checks, device_simt::sdnq_checks,
        device_simt::eetq_checks, device_simt::ordered_checks})
    for (Check& check : more(CheckSize::small))
      if (check.wgmma) checks.push_back(std::move(check));
  EXPECT_GE(checks.size(), 40u);
  run(checks);
  device_simt::executor_has_wgmma() = false;
}
TEST_P(DeviceKernels, MatrixUnits) {
  run(device_simt::fragment_checks());
}

std::string order_name(const testing::TestParamInfo<int>& info) {
  return info.param == 0   ? "Forward"
         : info.param == 1 ? "Reverse"
                           : "Random" + std::to_string(info.param);
}
INSTANTIATE_TEST_SUITE_P(Orders, DeviceKernels, testing::Range(0, 6), order_name);

}  // namespace
}  // namespace precis::kernels
