// The test of the tests: each check fails where two neighbouring bytes of any of its inputs are
// others on the device than on the CPU.
#define PRECIS_DEVICE device_simt
#include <gtest/gtest.h>

#include "kernels/selftest/checks.h"
#include "kernels/selftest/device_memory.h"
#include "kernels/simt/simt.h"

namespace precis::kernels::device_simt {
namespace {

class SpoiledInputs : public testing::TestWithParam<std::vector<Check> (*)(CheckSize)> {
 protected:
  void SetUp() override { simt::options() = simt::Options{}; }
  void TearDown() override { copies() = Copies{}; }
};

// Of products with few rows and over the matrix units one each, where the rounding of y hides
// least.
// Most of 65536 centroids are not named.
bool is_tried(const Check& check) {
  if (check.name.find("of 32 bits") != std::string::npos) return false;
  if (check.name.find(" linear ") == std::string::npos) return true;
  return check.name.find(" f16 4 rows") != std::string::npos ||
         check.name.find(" f16 17 rows") != std::string::npos;
}

TEST_P(SpoiledInputs, AreFound) {
  int tried = 0;
  for (const Check& check : GetParam()(CheckSize::small)) {
    if (!is_tried(check)) continue;
    copies() = Copies{};
    ASSERT_EQ(check.run(), "") << check.name;
    const int inputs = copies().count;
    ASSERT_GT(inputs, 0) << check.name;
    for (int input = 0; input < inputs; ++input) {
      copies() = Copies{0, input};
      EXPECT_NE(check.run(), "") << check.name << ", input " << input;
      ++tried;
    }
  }
  EXPECT_GT(tried, 20);
}

INSTANTIATE_TEST_SUITE_P(Checks, SpoiledInputs,
                         testing::Values(&nunchaku_checks, &decoders_checks, &higgs_checks,
                                         &rotated_checks, &vptq_checks, &sdnq_checks, &eetq_checks,
                                         &ternary_checks, &ordered_checks));

}  // namespace
}  // namespace precis::kernels::device_simt
