#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

constexpr precis_dtype kUInt8{PRECIS_TYPE_UINT, 8, 1};
constexpr int64_t kExperts = 3, kIn = 96, kOut = 40;

std::vector<uint8_t> decoded(PluginOnDevice& plugin, precis_dtype dtype, precis_device device) {
  const std::vector<int64_t> shape{kExperts, kIn, kOut};
  precis_param param{};
  param.struct_size = sizeof param;
  param.name = {"experts.gate_up_proj", 20};
  param.dtype = dtype;
  param.ndim = 3;
  param.shape = shape.data();
  OwnedTensor blocks = random_part(kUInt8, {kExperts, kOut, kIn / 32, 16}),
              scales = random_part(kUInt8, {kExperts, kOut, kIn / 32});
  OwnedTensor out(device, dtype, shape,
                  static_cast<uint64_t>(kExperts * kIn * kOut) * dtype.bits / 8);
  blocks.move_to(device);
  scales.move_to(device);
  precis_tensor* parts[] = {blocks.abi(), scales.abi()};
  PluginOnDevice::Call call(0);
  EXPECT_EQ(
      plugin.quantize().dequantize(plugin.quantizer(), &call.abi, &param, parts, 2, 0, out.abi()),
      PRECIS_OK)
      << call.answer.message;
  return out.bytes();
}

TEST(MxFp4OnDevice, Experts) {
  PluginOnDevice plugin("mxfp4", R"({"quant_method": "mxfp4"})");
  for (const precis_dtype dtype :
       {precis_dtype{PRECIS_TYPE_FLOAT, 32, 1}, precis_dtype{PRECIS_TYPE_FLOAT, 16, 1},
        precis_dtype{PRECIS_TYPE_BFLOAT, 16, 1}})
    EXPECT_EQ(decoded(plugin, dtype, kExecutor), decoded(plugin, dtype, {PRECIS_DEVICE_CPU, 0}));
}

}  // namespace
}  // namespace precis
