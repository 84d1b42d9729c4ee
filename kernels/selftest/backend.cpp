// Compiled by every back end.
#include "kernels/selftest/backends.h"

#if !defined(PRECIS_DEVICE_SIMT)
#include "kernels/selftest/speed_cuda.h"
#endif

namespace precis::kernels::PRECIS_DEVICE {
namespace {

std::vector<Check> all_checks(CheckSize size) {
  std::vector<Check> checks = fragment_checks();
  for (auto* more : {four_bit_checks, int8_checks, gguf_checks, float8_checks, grouped_checks,
                     quantize_groups_checks}) {
    const std::vector<Check> of_format = more(size);
    checks.insert(checks.end(), of_format.begin(), of_format.end());
  }
  return checks;
}

}  // namespace

SelftestBackend selftest_backend() {
#if defined(PRECIS_DEVICE_SIMT)
  return {"simt", [] { return std::string("the executor on the CPU"); }, all_checks, nullptr};
#else
  return {"cuda", device_name, all_checks, measure_speeds};
#endif
}

}  // namespace precis::kernels::PRECIS_DEVICE
