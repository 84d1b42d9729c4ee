// The self-test's checks: every kernel of a back end against the reference on the CPU.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace precis::kernels {

// Small shapes run on the executor under many orders; a device runs large ones as well.
enum class CheckSize { small, large };

struct Check {
  std::string name;  // "nf4 linear f16 17x130x200"
  // Empty when the kernel did what it should, else what was wrong. Throws when the device fails.
  std::function<std::string()> run;
  bool wgmma = false;  // where the device has it, a kernel over wgmma is what runs
};

// What each back end has.
#define PRECIS_CHECKS_OF(back_end)                           \
  namespace back_end {                                       \
  std::vector<Check> four_bit_checks(CheckSize size);        \
  std::vector<Check> int8_checks(CheckSize size);            \
  std::vector<Check> gguf_checks(CheckSize size);            \
  std::vector<Check> float8_checks(CheckSize size);          \
  std::vector<Check> grouped_checks(CheckSize size);         \
  std::vector<Check> quantize_groups_checks(CheckSize size); \
  std::vector<Check> quantize_scaled_checks(CheckSize size); \
  std::vector<Check> scaled_checks(CheckSize size);          \
  std::vector<Check> decoders_checks(CheckSize size);        \
  std::vector<Check> eetq_checks(CheckSize size);            \
  std::vector<Check> ternary_checks(CheckSize size);         \
  std::vector<Check> aqlm_checks(CheckSize size);            \
  std::vector<Check> nunchaku_checks(CheckSize size);        \
  std::vector<Check> higgs_checks(CheckSize size);           \
  std::vector<Check> ordered_checks(CheckSize size);         \
  std::vector<Check> rotated_checks(CheckSize size);         \
  std::vector<Check> vptq_checks(CheckSize size);            \
  std::vector<Check> sdnq_checks(CheckSize size);            \
  std::vector<Check> activations_checks(CheckSize size);     \
  std::vector<Check> fragment_checks();                      \
  }
PRECIS_CHECKS_OF(device_simt)
PRECIS_CHECKS_OF(device_cuda)
PRECIS_CHECKS_OF(device_hip)
#undef PRECIS_CHECKS_OF

}  // namespace precis::kernels
