#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

DeviceCase gguf(const std::string& type) {
  return {"gguf", R"({"quant_method": "gguf", "type": ")" + type + R"("})", 24, 512, 0x1p-7};
}

TEST(GgufOnDevice, Blocks) {
  for (const char* type :
       {"f16",    "bf16",   "q8_0",  "q6_k",  "q5_k", "q5_1", "q5_0", "q4_k", "q4_1",  "q4_0",
        "iq4_nl", "iq4_xs", "mxfp4", "nvfp4", "q3_k", "q2_k", "q2_0", "q1_0", "tq2_0", "tq1_0"}) {
    SCOPED_TRACE(type);
    expect_device_as_cpu(gguf(type));
  }
}

// Encoded on the CPU, but for the three types that need an importance matrix there.
TEST(GgufOnDevice, DecodedAndMultiplied) {
  for (const char* type : {"iq3_s", "iq3_xxs", "iq2_s", "iq1_m"}) {
    SCOPED_TRACE(type);
    DeviceCase on = gguf(type);
    on.encodes = false;
    expect_device_as_cpu(on);
    expect_encoding_refused(on);
  }
}

TEST(GgufOnDevice, OtherDevices) {
  expect_other_devices_refused(gguf("q4_k"));
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
