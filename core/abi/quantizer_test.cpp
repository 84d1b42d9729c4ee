#include "core/abi/quantizer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

#include "core/abi/calibration.h"
#include "core/abi/grid.h"
#include "core/abi/linear.h"
#include "core/abi/plugin_call.h"
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

TEST_F(TableTest, APlanThatAsksForMoreThanTheContractHasIsRefused) {
  const Param param = linear_weight();
  quantize_.plan = [](const precis_quantizer* quantizer, const precis_call* call,
                      precis_device device, const precis_param* param, precis_plan* out) {
    out->outputs[0]->alignment = 4096;
    return plan(quantizer, call, device, param, out);
  };
  EXPECT_THAT((*adopt())->plan(param).error().text(),
              HasSubstr("'weight' asks for an alignment of 4096"));
  quantize_.plan = [](const precis_quantizer* quantizer, const precis_call* call,
                      precis_device device, const precis_param* param, precis_plan* out) {
    out->outputs[0]->layout = "tiles/1";
    return plan(quantizer, call, device, param, out);
  };
  EXPECT_THAT((*adopt())->plan(param).error().text(), HasSubstr("the layout 'tiles/1'"));
}

TEST_F(TableTest, AGridIsReadWithTheWorkspaceThatWasPlanned) {
  precis_grid_v1 table{};
  table.plan = [](const precis_quantizer*, const precis_call*, precis_device, const precis_param*,
                  precis_plan* out) -> precis_status {
    out->workspace_size = 96;
    return PRECIS_OK;
  };
  table.read = [](const precis_quantizer*, const precis_call* call, const precis_param*,
                  const precis_tensor* const*, uint64_t, precis_tensor* const*,
                  uint64_t) -> precis_status {
    return call->workspace_size == 96 ? PRECIS_OK : PRECIS_INTERNAL;
  };
  table.write = [](const precis_quantizer*, const precis_call*, const precis_param*,
                   const precis_tensor*, const precis_tensor* const*, uint64_t,
                   precis_tensor* const*, uint64_t) -> precis_status { return PRECIS_OK; };
  tables_[PRECIS_GRID_1] = &table;
  const auto quantizer = adopt();
  ASSERT_TRUE(quantizer.ok()) << quantizer.error().text();
  const Param param = linear_weight();
  const auto planned = Grid::plan(**quantizer, param);
  ASSERT_TRUE(planned.ok()) << planned.error().text();
  std::vector<std::byte> workspace(planned->workspace_bytes);
  EXPECT_TRUE(Grid::read(**quantizer, param, {}, {}, {}, {}, workspace).ok());
}

// What a thread is in while a plugin's product or calibration runs, and an exception out of it.
[[noreturn]] void tell_and_throw() {
  const PluginCall* call = current_plugin_call();
  const std::string text = call == nullptr
                               ? "nothing"
                               : fmt::format("{} {} {}", call->plugin, call->doing, call->subject);
  throw std::runtime_error("in " + text);
}

TEST_F(TableTest, ProductsNameThePluginAndTheWeight) {
  precis_linear_v1 table{};
  table.plan = [](const precis_quantizer*, const precis_call*, const precis_linear_options*,
                  const precis_param*, precis_plan*) -> precis_status { tell_and_throw(); };
  table.prepare = [](const precis_quantizer*, const precis_call*, const precis_linear_options*,
                     const precis_param*, const precis_tensor* const*, uint64_t,
                     precis_tensor* const*, uint64_t, precis_linear** out) -> precis_status {
    *out = reinterpret_cast<precis_linear*>(&tables_);
    return PRECIS_OK;
  };
  table.destroy = [](precis_linear*) {};
  table.forward = [](const precis_linear*, const precis_call*, const precis_tensor*,
                     const precis_tensor*, precis_tensor*) -> precis_status { tell_and_throw(); };
  table.unpack = [](const precis_linear*, const precis_call*, precis_tensor* const*,
                    uint64_t) -> precis_status { tell_and_throw(); };
  tables_[PRECIS_LINEAR_1] = &table;
  const auto quantizer = adopt();
  ASSERT_TRUE(quantizer.ok()) << quantizer.error().text();
  const Param param = linear_weight();
  EXPECT_THAT(Linear::plan(**quantizer, {}, param).error().text(),
              HasSubstr("in tests planning the product of layer.weight"));
  const auto linear = Linear::prepare(*quantizer, {}, param, {}, {}, {});
  ASSERT_TRUE(linear.ok()) << linear.error().text();
  precis_tensor x{}, y{};
  const Status forward = (*linear)->forward(x, nullptr, y, {});
  EXPECT_THAT(forward.error().text(),
              HasSubstr("plugin tests let an exception out while multiplying by 'layer.weight': in "
                        "tests multiplying by layer.weight"));
  EXPECT_THAT((*linear)->unpack({}).error().text(), HasSubstr("unpacking layer.weight"));
}

TEST_F(TableTest, CalibrationNamesThePluginAndTheWeight) {
  precis_calibration_v1 table{};
  table.plan = [](const precis_quantizer*, const precis_call*, precis_device,
                  const precis_calibration_group*, precis_plan* plan) -> precis_status {
    plan->count = 0;
    return PRECIS_OK;
  };
  table.observe = [](const precis_quantizer*, const precis_call*, const precis_param*,
                     const precis_tensor*, precis_tensor* const*,
                     uint64_t) -> precis_status { tell_and_throw(); };
  table.finish = [](const precis_quantizer*, const precis_call*,
                    const precis_calibration_group*) -> precis_status { tell_and_throw(); };
  tables_[PRECIS_CALIBRATION_1] = &table;
  const auto quantizer = adopt();
  ASSERT_TRUE(quantizer.ok()) << quantizer.error().text();
  auto group = CalibrationGroup::begin(*quantizer, {linear_weight()});
  ASSERT_TRUE(group.ok()) << group.error().text();
  const std::vector<std::byte> row(8 * sizeof(float));
  EXPECT_THAT(group->observe(DType::f32, row, 1).error().text(),
              HasSubstr("watching the input of layer.weight"));
  EXPECT_THAT(group->finish({}, {}, nullptr).error().text(),
              HasSubstr("plugin tests let an exception out while calibrating 'layer.weight'"));
}

}  // namespace
}  // namespace precis
