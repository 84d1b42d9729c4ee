// precis-selftest --device simt|cuda|hip [--json]: every matrix unit against a plain product, every
// kernel against the reference on the CPU; on a device then the speeds.
// Exit codes: 0 all passed, 1 a check failed, 2 bad use or no such device.
#include <cstdio>
#include <cstring>
#include <exception>

#include "kernels/selftest/backends.h"

namespace {

using precis::kernels::CheckSize;
using precis::kernels::SelftestBackend;
using precis::kernels::SelftestReport;

std::vector<SelftestBackend> backends() {
  return {
    precis::kernels::device_simt::selftest_backend(),
#if defined(PRECIS_SELFTEST_CUDA)
        precis::kernels::device_cuda::selftest_backend(),
#endif
#if defined(PRECIS_SELFTEST_HIP)
        precis::kernels::device_hip::selftest_backend(),
#endif
  };
}

SelftestReport run(const SelftestBackend& backend) {
  SelftestReport report{backend.name, backend.device_name(), {}, {}};
  for (const auto& check : backend.checks(backend.size)) {
    std::string fault;
    try {
      fault = check.run();
    } catch (const std::exception& error) {
      fault = error.what();
    }
    report.checks.push_back({check.name, fault});
  }
  if (backend.speeds != nullptr && report.failures() == 0) report.speeds = backend.speeds();
  return report;
}

int usage() {
  std::fprintf(stderr, "usage: precis-selftest --device NAME [--json]\nThis build has:");
  for (const SelftestBackend& backend : backends())
    std::fprintf(stderr, " %s", backend.name.c_str());
  std::fprintf(stderr, "\ncuda needs nvcc, hip clang 19: cmake --workflow --preset kernels-only\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  std::string device;
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0)
      json = true;
    else if (std::strcmp(argv[i], "--device") == 0 && i + 1 < argc)
      device = argv[++i];
    else
      return usage();
  }
  for (const SelftestBackend& backend : backends()) {
    if (backend.name != device) continue;
    try {
      const SelftestReport report = run(backend);
      std::fputs((json ? report.json() : report.text()).c_str(), stdout);
      return report.failures() == 0 ? 0 : 1;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "precis-selftest: device %s: %s\n", device.c_str(), error.what());
      return 2;
    }
  }
  return usage();
}
