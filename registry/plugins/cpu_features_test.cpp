#include "registry/plugins/cpu_features.h"

#include <gtest/gtest.h>

namespace precis {
namespace {

constexpr const char* kCpuinfo =
    "processor\t: 0\nmodel name\t: avx512f of sorts\nflags\t\t: fpu sse2 avx avx2 fma\n"
    "processor\t: 1\nflags\t\t: fpu avx512f\n";

TEST(CpuFeatures, TellTheFirstThatIsMissing) {
  EXPECT_EQ(missing_cpu_feature({"avx2", "fma"}, kCpuinfo), std::nullopt);
  EXPECT_EQ(missing_cpu_feature({"avx2", "avx512f", "amx_tile"}, kCpuinfo), "avx512f");
  EXPECT_EQ(missing_cpu_feature({"avx"}, "Features\t: asimd\n"), "avx");
  EXPECT_EQ(missing_cpu_feature({"fpu"}, "no such line"), "fpu");
}

TEST(CpuFeatures, AreThoseOfThisMachine) {
  EXPECT_EQ(missing_cpu_feature({}), std::nullopt);
  EXPECT_EQ(missing_cpu_feature({"no_such_feature"}), "no_such_feature");
}

}  // namespace
}  // namespace precis
