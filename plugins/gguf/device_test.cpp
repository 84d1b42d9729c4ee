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

}  // namespace
}  // namespace precis
