// Dicts that name no method, or one that no library knows: the dispatcher answers as the libraries
// do. The dicts of a method are checked beside its plugin (tests/method/config_test.cpp).
#include <gtest/gtest.h>

#include <algorithm>

#include "registry/config/dispatch.h"
#include "tests/method/config_cases.h"

namespace precis {
namespace {

bool of_no_method(const std::string& quant_method) {
  const auto& known = known_quant_methods();
  return std::find(known.begin(), known.end(), quant_method) == known.end();
}

TEST(DispatchOracle, FromDict) {
  EXPECT_GE(expect_config_cases_agree("from_dict", of_no_method, {}).passed, 60u);
}

TEST(DispatchOracle, FromDictOfTheYear2025) {
  EXPECT_GE(expect_config_cases_agree("seed-era", of_no_method, {}).passed, 10u);
}

}  // namespace
}  // namespace precis
