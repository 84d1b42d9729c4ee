#include <gtest/gtest.h>

#include <cstring>

#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

json config_of(const json&) {
  return {{"quant_method", "spqr"}};
}

std::optional<std::vector<PartSpec>> parts_of(const json& options, const Param& param) {
  const int64_t rows = param.shape[0], columns = param.shape[1];
  std::vector<PartSpec> parts{
      {"dense_weights", DType::i64, {rows * ((columns + 15) / 16)}, 0, ""},
      {"row_offsets", DType::i32, {options["in_turn"] ? rows / 16 + 1 : rows + 1}, 0, ""},
      {"col_vals", DType::i32, {0}, 0, ""}};
  if (options["permuted"]) parts.push_back({"in_perm", DType::i32, {columns / 2}, 0, ""});
  return parts;
}

// A weight of 16 x 32 with one outlier in row 1, whose tensors tests spoil.
struct Spoilt {
  std::vector<int64_t> dense = std::vector<int64_t>(32);
  std::vector<int32_t> offsets = std::vector<int32_t>(17, 1);
  std::vector<uint32_t> outliers{0x3c00'0005};  // 1 in column 5
  std::vector<uint16_t> order;

  Spoilt() { offsets[0] = offsets[1] = 0; }

  Result<std::vector<float>> decoded() const {
    const auto bytes = [](const auto& numbers) { return std::as_bytes(std::span(numbers)); };
    std::vector<Bytes> parts{bytes(dense), bytes(offsets), bytes(outliers)};
    std::vector<PartSpec> specs{
        {"dense_weights", DType::i64, {static_cast<int64_t>(dense.size())}, 0, ""},
        {"row_offsets", DType::i32, {static_cast<int64_t>(offsets.size())}, 0, ""},
        {"col_vals", DType::i32, {static_cast<int64_t>(outliers.size())}, 0, ""}};
    if (!order.empty()) {
      parts.push_back(bytes(order));
      specs.push_back({"in_perm", DType::i32, {static_cast<int64_t>(order.size() / 2)}, 0, ""});
    }
    for (std::size_t i = 0; i < specs.size(); ++i) specs[i].nbytes = parts[i].size();
    Param param;
    param.name = "layer.weight";
    param.module_kind = "Linear";
    param.dtype = DType::f16;
    param.shape = {16, 32};
    std::vector<float> out(16 * 32);
    const auto quantizer = *test_resolver(false).from_spec(R"({"quant_method": "spqr"})", "");
    PRECIS_TRY(quantizer->dequantize(param, specs, parts, 0, 16, DType::f32,
                                     std::as_writable_bytes(std::span(out))));
    return out;
  }
  void expect_refused(const std::string& because) const {
    const auto result = decoded();
    ASSERT_FALSE(result.ok()) << because;
    EXPECT_EQ(result.error().code(), ErrorCode::data_loss);
    EXPECT_NE(result.error().text().find(because), std::string::npos) << result.error().text();
  }
};

TEST(SpqrStored, AnOutlierIsAddedInItsPlace) {
  const auto plain = Spoilt().decoded();
  ASSERT_TRUE(plain.ok()) << plain.error().text();
  EXPECT_EQ((*plain)[32 + 5], 1.0f);
  EXPECT_EQ((*plain)[5], 0.0f);
  Spoilt turned;
  for (uint16_t i = 0; i < 32; ++i) turned.order.push_back(static_cast<uint16_t>(31 - i));
  EXPECT_EQ((*turned.decoded())[32 + 26], 1.0f);
}

TEST(SpqrStored, TensorsThatLeadNowhereAreRefused) {
  Spoilt spoilt;
  spoilt.offsets[1] = 2;
  spoilt.expect_refused("'row_offsets' at 2 is 1");
  spoilt = {};
  spoilt.offsets[16] = 2;
  spoilt.expect_refused("'row_offsets' leaves 'col_vals'");
  spoilt = {};
  spoilt.offsets[0] = -1;
  spoilt.expect_refused("'row_offsets' does not begin with 0");
  spoilt = {};
  spoilt.offsets.resize(4);
  spoilt.expect_refused("'row_offsets' has 4 elements for 16 rows");
  spoilt = {};
  spoilt.outliers[0] = 32;
  spoilt.expect_refused("of column 32 of 32");
  spoilt = {};
  spoilt.order.assign(32, 0);
  spoilt.expect_refused("'in_perm' is no permutation");
  spoilt.order.resize(30);
  spoilt.expect_refused("'in_perm' has 60 bytes for 32 columns");
  spoilt = {};
  spoilt.offsets = {0, 1};
  spoilt.expect_refused("'row_offsets' at 1 is 1");
}

// The shape is told by the order of columns or by the offsets, of rows or of 16 rows in turn.
TEST(SpqrStored, TellsItsShape) {
  const auto shape = [](int64_t words, int64_t offsets, int64_t order) {
    std::vector<TensorEntry> tensors{{"a.dense_weights", DType::i64, "", {words}, 0, 0},
                                     {"a.row_offsets", DType::i32, "", {offsets}, 0, 0},
                                     {"a.col_vals", DType::i32, "", {5}, 0, 0}};
    if (order > 0) tensors.push_back({"a.in_perm", DType::i32, "", {order}, 0, 0});
    StateDict state;
    for (const TensorEntry& tensor : tensors) state.tensors.push_back(&tensor);
    const auto quantizer = *test_resolver(false).from_spec(R"({"quant_method": "spqr"})", "");
    const auto found = quantizer->stored_params(state);
    return found.ok() ? found->front().param.shape : std::vector<int64_t>{};
  };
  EXPECT_EQ(shape(64 * 3, 5, 20), (std::vector<int64_t>{64, 40}));
  EXPECT_EQ(shape(64 * 3, 65, 20), (std::vector<int64_t>{64, 40}));
  EXPECT_EQ(shape(48 * 5, 49, 0), (std::vector<int64_t>{48, 80}));
  EXPECT_EQ(shape(48 * 5, 4, 0), (std::vector<int64_t>{48, 80}));
  EXPECT_EQ(shape(48 * 5, 8, 0), (std::vector<int64_t>{}));
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "spqr",
      .golden = {{.folder = "spqr", .config = config_of, .read_only = parts_of}},
      .least_configs = 15};
  return method;
}

}  // namespace precis
