#include "core/abi/quantizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "core/abi/tables.h"

namespace precis {
namespace {

using testing::HasSubstr;

// A method that stores each weight as its bytes, with the tables that a test gives it.
class TableTest : public testing::Test {
 protected:
  void SetUp() override {
    tables_.clear();
    tables_[PRECIS_QUANTIZE_1] = &quantize_;
  }
  Result<std::shared_ptr<const Quantizer>> adopt(const std::string& canonical_config = {}) {
    return Quantizer::adopt(&handle_, "tests", "1.0", "bytes", canonical_config);
  }

  static precis_status plan(const precis_quantizer*, const precis_call*, precis_device,
                            const precis_param* param, precis_plan* plan) {
    plan->count = 1;
    precis_tensor_spec& spec = *plan->outputs[0];
    spec.name = {"weight", 6};
    spec.dtype = param->dtype;
    spec.nbytes = static_cast<uint64_t>(param->shape[0]);
    return PRECIS_OK;
  }
  static precis_status quantize(const precis_quantizer*, const precis_call*, const precis_param*,
                                const precis_tensor*, precis_tensor* const*, uint64_t) {
    return PRECIS_OK;
  }
  static precis_status dequantize(const precis_quantizer*, const precis_call*, const precis_param*,
                                  const precis_tensor* const*, uint64_t, int64_t, precis_tensor*) {
    return PRECIS_OK;
  }

  static void destroy(precis_quantizer*) {}
  static const void* get_extension(const precis_quantizer*, const char* id) {
    const auto found = tables_.find(id);
    return found == tables_.end() ? nullptr : found->second;
  }

  static inline std::map<std::string, const void*> tables_;
  static inline const char* const no_tables_[] = {nullptr};
  static inline const precis_method method_{
      sizeof(precis_method), 0, "bytes", "bytes", "1.0", "safetensors", nullptr, 0, 0, no_tables_};
  precis_quantize_v1 quantize_{plan, quantize, dequantize};
  precis_quantizer handle_{&method_, nullptr, destroy, get_extension};
};

Param linear_weight() {
  Param param;
  param.name = "layer.weight";
  param.module_kind = "Linear";
  param.dtype = DType::f32;
  param.shape = {4, 8};
  return param;
}

TEST_F(TableTest, WithoutALoadingTableLinearWeightsAreQuantizedAndStoredOnesAreNotRead) {
  const auto quantizer = adopt();
  ASSERT_TRUE(quantizer.ok()) << quantizer.error().text();
  Param param = linear_weight();
  const auto linear = (*quantizer)->storage(param);
  ASSERT_TRUE(linear.ok()) << linear.error().text();
  EXPECT_FALSE(linear->keep);
  EXPECT_EQ(linear->bytes, 4u);  // what plan() says
  param.module_kind = "Conv2d";
  const auto other = (*quantizer)->storage(param);
  ASSERT_TRUE(other.ok()) << other.error().text();
  EXPECT_TRUE(other->keep);
  EXPECT_EQ(other->bytes, 4u * 8 * 4);
  EXPECT_THAT(other->reason, HasSubstr("Linear"));
  const auto stored = (*quantizer)->stored_params({});
  ASSERT_FALSE(stored.ok());
  EXPECT_THAT(stored.error().text(), HasSubstr(PRECIS_LOADING_1));
}

TEST_F(TableTest, WithoutASerializeTableTheCanonicalConfigIsWritten) {
  const std::string config = R"({"quant_method":"bytes"})";
  const auto quantizer = adopt(config);
  ASSERT_TRUE(quantizer.ok()) << quantizer.error().text();
  EXPECT_EQ(*(*quantizer)->config({}), config);
  EXPECT_EQ(*(*quantizer)->metadata({}), "{}");
  EXPECT_EQ(*(*quantizer)->sidecar_files({}), "{}");
}

TEST_F(TableTest, WithoutAQuantizeTableTheMethodIsRefused) {
  tables_.clear();
  const auto quantizer = adopt();
  ASSERT_FALSE(quantizer.ok());
  EXPECT_THAT(quantizer.error().text(), HasSubstr(PRECIS_QUANTIZE_1));
}

TEST_F(TableTest, ATableWithANullMemberIsRefused) {
  quantize_.dequantize = nullptr;
  const auto without_decoder = adopt();
  ASSERT_FALSE(without_decoder.ok());
  EXPECT_EQ(without_decoder.error().code(), ErrorCode::plugin);
  EXPECT_THAT(without_decoder.error().text(), HasSubstr("precis.quantize/1 has a null member"));
  quantize_.dequantize = dequantize;
  const precis_loading_v1 loading{};
  tables_[PRECIS_LOADING_1] = &loading;
  EXPECT_THAT(adopt().error().text(), HasSubstr("precis.loading/1 has a null member"));
}

}  // namespace
}  // namespace precis
