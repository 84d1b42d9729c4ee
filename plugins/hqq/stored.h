// The tensors of a stored HQQ weight, as HQQLinear.state_dict() of hqq 0.2 names and encodes them:
// texts and flags are tensors too.
#pragma once

#include "kernels/cpu/hqq/hqq.h"
#include "plugins/hqq/config.h"

namespace precis::hqq {

// In the order of the parts. What reading needs stands first; all behind kPacking may be missing.
enum Part : std::size_t {
  kCodes,
  kScale,
  kZero,
  kShape,
  kNbits,
  kGroupSize,
  kAxis,
  kPacking,
  kViewAsFloat,
  kComputeDtype,
  kQuantScale,
  kQuantZero,
  kUnpackViewDtype,
  kOffloadMeta,
  kEncodedStateDict,
  kStoresQuantConfig,
  kChannelWise,
  kOptimize,
  kRoundZero,
  kPartCount
};
inline constexpr std::size_t kNeededParts = kPacking + 1;

std::string_view part_name(std::size_t part);

// What the describing tensors say.
struct Description {
  int64_t rows = 0, columns = 0;
  Scheme scheme;
  precis_dtype compute = sdk::kFloat32;

  uint64_t elements() const { return static_cast<uint64_t>(rows) * static_cast<uint64_t>(columns); }
  kernels::HqqGrid grid() const;
};

// Throws PRECIS_UNSUPPORTED, naming the rule, where a weight of this shape has no such groups.
void check_groups(const Description& description);

// The describing tensors' bytes by part; empty: the part is missing. Throws PRECIS_DATA_LOSS for
// what hqq does not write, PRECIS_UNSUPPORTED for quantized scales or zero points. scale: the dtype
// of the scales, which weights are computed in when the file does not say.
Description read_description(const std::vector<std::string>& bytes, precis_dtype scale);

// The bytes of part `part` behind kZero.
std::string describing_bytes(const Description& description, bool offload_meta, std::size_t part);

}  // namespace precis::hqq
