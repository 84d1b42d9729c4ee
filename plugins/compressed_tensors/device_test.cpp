#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

std::string config_of(const std::string& group) {
  return R"({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"targets": ["Linear"], )" +
         group + "}}}";
}
DeviceCase weights(const std::string& args, int64_t columns = 256) {
  return {"compressed-tensors", config_of(R"("weights": {)" + args + "}"), 24, columns, 0x1p-7};
}
DeviceCase integers(int bits, bool symmetric, const std::string& rest, int64_t columns = 256) {
  return weights(R"("num_bits": )" + std::to_string(bits) + R"(, "type": "int", "symmetric": )" +
                     (symmetric ? "true, " : "false, ") + rest,
                 columns);
}

TEST(CompressedTensorsOnDevice, Integers) {
  for (const bool symmetric : {true, false}) {
    for (const int bits : {4, 8, 3})
      expect_device_as_cpu(integers(bits, symmetric, R"("strategy": "group", "group_size": 32)"));
    expect_device_as_cpu(integers(4, symmetric, R"("strategy": "channel")", 200));
  }
  expect_device_as_cpu(integers(8, true, R"("strategy": "tensor")", 200));
}

TEST(CompressedTensorsOnDevice, Floats) {
  for (const char* strategy : {R"("strategy": "tensor")", R"("strategy": "channel")",
                               R"("strategy": "block", "block_structure": [8, 64])"})
    expect_device_as_cpu(weights(std::string(R"("num_bits": 8, "type": "float", )") + strategy));
  for (const char* group :
       {R"("group_size": 16, "strategy": "tensor_group", "scale_dtype": "torch.float8_e4m3fn")",
        R"("group_size": 32, "strategy": "group", "scale_dtype": "torch.uint8")"})
    expect_device_as_cpu(weights(std::string(R"("num_bits": 4, "type": "float", )") + group));
  for (const int bits : {6, 8})
    expect_device_as_cpu(weights(
        R"("num_bits": )" + std::to_string(bits) +
        R"(, "type": "float", "group_size": 32, "strategy": "group", "scale_dtype": "torch.uint8")"));
}

TEST(CompressedTensorsOnDevice, RoundedActivations) {
  const auto dynamic = [](const std::string& args, const std::string& inputs) {
    return DeviceCase{"compressed-tensors",
                      config_of(R"("weights": {)" + args +
                                R"(}, "input_activations": {"dynamic": true, )" + inputs + "}"),
                      24, 256, 0x1p-6};
  };
  const std::string channel = R"("num_bits": 8, "strategy": "channel", "type": )";
  const std::string token = R"("num_bits": 8, "type": "int", "strategy": "token")";
  // Codes meet codes, whose sums are exact.
  for (const std::string& weight :
       {channel + R"("int")",
        std::string(R"("num_bits": 8, "strategy": "tensor", "type": "int")")}) {
    DeviceCase codes = dynamic(weight, token);
    codes.tolerance = 0;
    expect_device_as_cpu(codes);
  }
  // These are no multiple of 16 columns: rounded numbers are multiplied.
  DeviceCase narrow = dynamic(channel + R"("int")", token);
  narrow.columns = 200;
  expect_device_as_cpu(narrow);
  expect_device_as_cpu(
      dynamic(channel + R"("int")",
              R"("num_bits": 8, "type": "int", "strategy": "token", "symmetric": false)"));
  expect_device_as_cpu(
      dynamic(channel + R"("float")", R"("num_bits": 8, "type": "float", "strategy": "token")"));
}

// Codes meet codes where activations may be rounded as the library does not: y is that of numbers
// but for the rounding of each to the dtype of x.
TEST(CompressedTensorsOnDevice, Float8Codes) {
  const std::string token = R"("strategy": "token")",
                    groups = R"("strategy": "group", "group_size": 128)";
  for (const auto& [weight, inputs] :
       {std::pair{R"("strategy": "channel")", token},
        {R"("strategy": "tensor")", token},
        {R"("strategy": "block", "block_structure": [128, 128])", groups}}) {
    DeviceCase on{
        "compressed-tensors",
        config_of(std::string(R"("weights": {"num_bits": 8, "type": "float", )") + weight +
                  R"(}, "input_activations": {"dynamic": true, "num_bits": 8, )"
                  R"("type": "float", )" +
                  inputs + "}"),
        24, 256, 0x1p-6};
    on.options = PRECIS_LINEAR_MAY_ROUND_ACTIVATIONS;
    expect_device_as_cpu(on);
    // A byte for each of x, where numbers take two.
    EXPECT_LT(planned_workspace(on, on.options), planned_workspace(on, 0));
  }
}

// Groups of a checkpoint whose columns are scattered; packed, or a byte each.
DeviceCase scattered(int bits, bool packed, bool symmetric, const std::string& inputs = "") {
  constexpr int64_t kRows = 32, kColumns = 256, kGroups = kColumns / 32;
  DeviceCase on{
      "compressed-tensors",
      config_of(std::string(R"("format": ")") + (packed ? "pack-quantized" : "int-quantized") +
                R"(", "weights": {"type": "int", "strategy": "group", "group_size": 32, )"
                R"("actorder": "group", "num_bits": )" +
                std::to_string(bits) + R"(, "symmetric": )" + (symmetric ? "true}" : "false}") +
                inputs),
      kRows, kColumns, 0x1p-7};
  on.stored = [=](precis_dtype dtype) {
    const precis_dtype int8{PRECIS_TYPE_INT, 8, 1}, int32{PRECIS_TYPE_INT, 32, 1};
    std::vector<OwnedTensor> parts;
    parts.push_back(packed ? random_part(int32, {kRows, kColumns * bits / 32})
                           : random_part(int8, {kRows, kColumns}));
    parts.push_back(random_part(dtype, {kRows, kGroups}));
    if (packed) parts.push_back(random_part({PRECIS_TYPE_INT, 64, 1}, {2}));
    if (!symmetric)
      parts.push_back(packed ? random_part(int32, {kRows * bits / 32, kGroups})
                             : random_part(int8, {kRows, kGroups}));
    std::vector<int32_t> groups;
    for (int64_t i = 0; i < kColumns; ++i) groups.push_back(static_cast<int32_t>(i * 5 % kGroups));
    const auto* bytes = reinterpret_cast<const uint8_t*>(groups.data());
    parts.push_back(random_part(int32, {kColumns}));
    parts.back().assign({bytes, bytes + groups.size() * sizeof(int32_t)});
    return parts;
  };
  return on;
}

TEST(CompressedTensorsOnDevice, ColumnsInOrderOfActivation) {
  for (const bool symmetric : {true, false}) {
    for (const int bits : {4, 8}) expect_device_as_cpu(scattered(bits, true, symmetric));
    expect_device_as_cpu(scattered(8, false, symmetric));
  }
  DeviceCase rounded = scattered(
      4, true, true,
      R"(, "input_activations": {"dynamic": true, "num_bits": 8, "type": "int", "strategy": "token"})");
  rounded.tolerance = 0x1p-6;
  expect_device_as_cpu(rounded);
}

TEST(CompressedTensorsOnDevice, Refused) {
  expect_other_devices_refused(integers(8, true, R"("strategy": "channel")"));
}

}  // namespace
}  // namespace precis
