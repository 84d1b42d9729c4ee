#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

DeviceCase gguf(const std::string& type) {
  return {"gguf", R"({"quant_method": "gguf", "type": ")" + type + R"("})", 24, 512, 0x1p-7};
}

TEST(GgufOnDevice, Blocks) {
  for (const char* type : {"q8_0", "q4_0", "q4_k"}) expect_device_as_cpu(gguf(type));
}

TEST(GgufOnDevice, OtherDevices) {
  expect_other_devices_refused(gguf("q4_k"));
}

TEST(GgufOnDevice, TypesWithoutKernels) {
  PluginOnDevice plugin("gguf", gguf("q6_k").config);
  const std::vector<int64_t> shape{4, 512};
  precis_param param{};
  param.struct_size = sizeof param;
  param.name = {"a.weight", 8};
  param.dtype = {PRECIS_TYPE_FLOAT, 32, 1};
  param.ndim = 2;
  param.shape = shape.data();
  uint64_t workspace = 0;
  Answer answer;
  plugin.planned_parts(kExecutor, param, &workspace, &answer);
  EXPECT_EQ(answer.status, PRECIS_UNSUPPORTED);
  EXPECT_EQ(answer.message, "on a device there are kernels for q8_0, q4_0 and q4_k, not for q6_k");
}

// Refused before anything of the weight is read.
TEST(GgufOnDevice, SizesAreChecked) {
  PluginOnDevice plugin("gguf", gguf("q8_0").config);
  const std::vector<int64_t> shape{int64_t{1} << 32, 32};
  precis_param param{};
  param.struct_size = sizeof param;
  param.name = {"a.weight", 8};
  param.dtype = {PRECIS_TYPE_FLOAT, 32, 1};
  param.ndim = 2;
  param.shape = shape.data();
  OwnedTensor weight(kExecutor, param.dtype, {1, 32}, 128);
  OwnedTensor blocks(kExecutor, {PRECIS_TYPE_UINT, 8, 1}, {1, 32}, 34, "gguf.q8_0");
  precis_tensor* part = blocks.abi();
  PluginOnDevice::Call call(0);
  EXPECT_EQ(
      plugin.quantize().quantize(plugin.quantizer(), &call.abi, &param, weight.abi(), &part, 1),
      PRECIS_UNSUPPORTED);
  EXPECT_EQ(call.answer.message, "on a device sizes are below 2^31, not 4294967296");
}

}  // namespace
}  // namespace precis
