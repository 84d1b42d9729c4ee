// Without a device: every kernel that is linked has its code for every target, under the name that
// it is looked up by, and a launch is an error, not a crash.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#define PRECIS_DEVICE device_hip
#include "kernels/device/bitsandbytes.h"
#include "kernels/device/host_runtime.h"
#include "kernels/hip/modules.h"
#include "kernels/hip/runtime_library.h"
#include "kernels/selftest/backends.h"

namespace precis::kernels {
namespace {

int failures = 0;

void expect(bool holds, const std::string& what) {
  if (holds) return;
  std::printf("%s\n", what.c_str());
  ++failures;
}

uint64_t number_at(const char* from) {
  uint64_t number;
  std::memcpy(&number, from, sizeof number);
  return number;
}

// Names of a kernel's descriptor stand in a code object's symbols as NAME.kd.
void expect_code(const hip::RegisteredKernel& kernel) {
  const auto* image = static_cast<const char*>(kernel.bundle);
  const std::string_view magic(image, 24);
  expect(magic == "__CLANG_OFFLOAD_BUNDLE__", kernel.name + ": no bundle");
  const std::string symbol = '\0' + kernel.name + ".kd" + '\0';
  const char* entry = image + 32;
  for (uint64_t i = 0, count = number_at(image + 24); i < count; ++i) {
    const uint64_t offset = number_at(entry), size = number_at(entry + 8);
    const std::string target(entry + 24, number_at(entry + 16));
    entry += 24 + target.size();
    if (size == 0) continue;
    expect(std::string_view(image + offset, size).find(symbol) != std::string_view::npos,
           kernel.name + ": no code for " + target);
  }
}

void expect_launch_to_fail() {
  uint8_t packed[32] = {};
  float absmax[1] = {}, out[64] = {};
  const device_hip::FourBitTensor weight{FourBitType::nf4, WeightType::f32, 1, 64, 64,
                                         packed,           absmax};
  const char* error = device_hip::dequantize_4bit(weight, WeightType::f32, out, nullptr);
  expect(error != nullptr, "a launch without a device succeeded");
  if (error != nullptr) std::printf("launch: %s\n", error);
  expect(device_hip::CurrentDevice(0).error() != nullptr, "device 0 became the current one");
}

int run() {
  // Which links every kernel, for the self-test checks them all.
  expect(device_hip::selftest_backend().name == "hip", "the self-test is of another back end");
  const auto kernels = hip::registered_kernels();
  std::printf("%zu kernels\n", kernels.size());
  expect(kernels.size() > 100, "kernels are missing");
  for (const auto& kernel : kernels) expect_code(kernel);
  const std::string fault = device_hip::device_fault(0);
  std::printf("device 0: %s\n", fault.empty() ? "can be used" : fault.c_str());
  if (!fault.empty()) expect_launch_to_fail();
  expect(!device_hip::device_fault(1000).empty(), "device 1000 can be used");
  return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace precis::kernels

int main() {
  return precis::kernels::run();
}
