// Compiled by every back end.
#include "kernels/selftest/backends.h"

#include "kernels/device/host_runtime.h"
#include "kernels/selftest/device_memory.h"
#if defined(PRECIS_SELFTEST_SPEEDS)
#include "kernels/selftest/speed_cuda.h"
#endif

namespace precis::kernels::PRECIS_DEVICE {
namespace {

#if defined(PRECIS_DEVICE_SIMT)
// The same on an executor that has wgmma.
Check over_wgmma(const Check& check) {
  struct Wgmma {
    Wgmma() { executor_has_wgmma() = true; }
    ~Wgmma() { executor_has_wgmma() = false; }
  };
  return {check.name + " by wgmma", [run = check.run] {
            const Wgmma on;
            return run();
          }};
}
#endif

std::vector<Check> all_checks(CheckSize size) {
  std::vector<Check> checks = fragment_checks();
  for (auto* more :
       {four_bit_checks, int8_checks, gguf_checks, float8_checks, grouped_checks, ordered_checks,
        quantize_groups_checks, scaled_checks, activations_checks, decoders_checks, eetq_checks,
        ternary_checks, aqlm_checks, nunchaku_checks, higgs_checks, rotated_checks, vptq_checks,
        sdnq_checks, quantize_scaled_checks}) {
    const std::vector<Check> of_format = more(size);
    checks.insert(checks.end(), of_format.begin(), of_format.end());
#if defined(PRECIS_DEVICE_SIMT)
    for (const Check& check : of_format)
      if (check.wgmma) checks.push_back(over_wgmma(check));
#endif
  }
  return checks;
}

}  // namespace

#define PRECIS_TEXT_OF(name) #name
#define PRECIS_TEXT(name) PRECIS_TEXT_OF(name)

SelftestBackend selftest_backend() {
  const std::string name = std::string(PRECIS_TEXT(PRECIS_DEVICE)).substr(sizeof "device_" - 1);
  const CheckSize size = name == "simt" ? CheckSize::small : CheckSize::large;
#if defined(PRECIS_SELFTEST_SPEEDS)
  return {name, size, device_name, all_checks, measure_speeds};
#else
  return {name, size, device_name, all_checks, nullptr};
#endif
}

}  // namespace precis::kernels::PRECIS_DEVICE
