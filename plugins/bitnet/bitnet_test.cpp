#include <gtest/gtest.h>

#include "tests/method/method_test.h"
#include "tests/method/product.h"

namespace precis {
namespace {

// Ternary codes, four rows in a byte, with one scale.
StoredWeight ternary_weight(int64_t rows, int64_t columns) {
  StoredWeight weight;
  weight.quantizer = *test_resolver(false).from_spec("bitnet", "");
  weight.param.name = "layer.weight";
  weight.param.module_kind = "Linear";
  weight.param.dtype = DType::f32;
  weight.param.shape = {rows, columns};
  const auto bytes = static_cast<uint64_t>(rows / 4 * columns);
  weight.specs = {{"weight", DType::u8, {rows / 4, columns}, bytes, ""},
                  {"weight_scale", DType::f32, {1}, sizeof(float), ""}};
  std::vector<std::byte> codes;
  for (const float number : normal_numbers(bytes, 3, 100.0f)) {
    const auto random = static_cast<unsigned>(static_cast<int>(number) + 1000);
    unsigned byte = 0;
    for (unsigned i = 0; i < 4; ++i) byte |= random / (i + 1) % 3 << (2 * i);
    codes.push_back(static_cast<std::byte>(byte));
  }
  weight.memory = {codes, stored_numbers(DType::f32, {2.5f})};
  return weight;
}

TEST(BitNetProducts, AreSumsOverTheDecodedWeightWithActivationsOf8Bits) {
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{4, 7}, {36, 1312}}) {
    const StoredWeight weight = ternary_weight(rows, columns);
    for (const DType activation : {DType::f32, DType::f16, DType::bf16}) {
      for (const std::size_t batch : {1, 3, 32, 257}) {
        expect_product(weight, Sums::dynamic_int8, activation, batch, batch != 3);
        if (HasFatalFailure()) return;
      }
    }
  }
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "bitnet",
      .golden = {},
      .skip_lists =
          {{"bitnet", {{"quant_method", "bitnet"}}, "modules_to_not_convert", true, false}},
      .least_configs = 25};
  return method;
}

}  // namespace precis
