#include "plugins/hqq/stored.h"

#include <cstring>

namespace precis::hqq {

using sdk::PluginError;

namespace {

constexpr std::string_view kNames[kPartCount] = {"W_q",
                                                 "scale",
                                                 "zero",
                                                 "shape",
                                                 "nbits",
                                                 "group_size",
                                                 "axis",
                                                 "packing",
                                                 "view_as_float",
                                                 "compute_dtype",
                                                 "quant_scale",
                                                 "quant_zero",
                                                 "unpack_view_dtype",
                                                 "offload_meta",
                                                 "encoded_state_dict",
                                                 "stores_quant_config",
                                                 "channel_wise",
                                                 "optimize",
                                                 "round_zero"};

[[noreturn]] void damaged(std::size_t part, const std::string& rule) {
  throw PluginError(PRECIS_DATA_LOSS, "'" + std::string(part_name(part)) + "' " + rule);
}

template <typename Number>
Number number(const std::vector<std::string>& bytes, std::size_t part, std::size_t index = 0) {
  if (bytes[part].size() < (index + 1) * sizeof(Number)) damaged(part, "is too small");
  Number value;
  std::memcpy(&value, bytes[part].data() + index * sizeof value, sizeof value);
  return value;
}

template <typename Number>
std::string bytes_of(Number value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

bool flag(const std::vector<std::string>& bytes, std::size_t part) {
  return part < bytes.size() && !bytes[part].empty() && bytes[part][0] != 0;
}

// 1.58 is the one width that is no whole number, and a float32 of the same size.
double read_nbits(const std::vector<std::string>& bytes) {
  const auto whole = number<int32_t>(bytes, kNbits);
  const double nbits = whole >= 1 && whole <= 8 ? whole : number<float>(bytes, kNbits);
  try {
    check_nbits(nbits);
  } catch (const PluginError&) {
    damaged(kNbits, "is none of HQQ's widths");
  }
  return nbits;
}

}  // namespace

std::string_view part_name(std::size_t part) {
  return kNames[part];
}

kernels::HqqGrid Description::grid() const {
  const uint64_t other =
      scheme.axis == 1 ? static_cast<uint64_t>(columns) : static_cast<uint64_t>(rows);
  const uint64_t group = scheme.group_size > 0 ? static_cast<uint64_t>(scheme.group_size) : other;
  const uint64_t groups = group == 0 ? 0 : elements() / group;
  return scheme.axis == 1 ? kernels::HqqGrid{scheme.packed_bits(), 1, groups, group}
                          : kernels::HqqGrid{scheme.packed_bits(), 0, group, groups};
}

void check_groups(const Description& description) {
  const kernels::HqqGrid grid = description.grid();
  const std::string shape = "its shape [" + std::to_string(description.rows) + ", " +
                            std::to_string(description.columns) + "]";
  if (grid.rows * grid.columns != description.elements() || description.elements() == 0) {
    throw PluginError(PRECIS_UNSUPPORTED, shape + " is not in groups of " +
                                              std::to_string(description.scheme.group_size));
  }
  if (grid.bits != 3 && grid.rows % grid.pieces() != 0) {
    throw PluginError(PRECIS_UNSUPPORTED, shape + " makes " + std::to_string(grid.rows) +
                                              " rows of groups, " + description.scheme.packing() +
                                              " packs multiples of " +
                                              std::to_string(grid.pieces()));
  }
}

Description read_description(const std::vector<std::string>& bytes, precis_dtype scale) {
  for (std::size_t part = kShape; part < kNeededParts; ++part) {
    if (bytes.size() <= part || bytes[part].empty()) damaged(part, "is missing");
  }
  if (flag(bytes, kQuantScale) || flag(bytes, kQuantZero)) {
    throw PluginError(
        PRECIS_UNSUPPORTED,
        "scales or zero points are quantized themselves, which hqq has no safetensors "
        "form for; quantize the model again with hqq 0.2");
  }
  Description description;
  Scheme& scheme = description.scheme;
  description.rows = number<int64_t>(bytes, kShape, 0);
  description.columns = number<int64_t>(bytes, kShape, 1);
  // Beyond this no tensor of a checkpoint can be.
  constexpr int64_t kMost = int64_t{1} << 48;
  if (description.rows <= 0 || description.columns <= 0 ||
      description.rows > kMost / description.columns)
    damaged(kShape, "is impossible");
  scheme.nbits = read_nbits(bytes);
  scheme.group_size = number<int32_t>(bytes, kGroupSize);
  if (scheme.group_size <= 0) damaged(kGroupSize, "is not positive");
  scheme.axis = number<int32_t>(bytes, kAxis);
  if (scheme.axis != 0 && scheme.axis != 1) damaged(kAxis, "is neither 0 nor 1");
  if (bytes[kPacking] != scheme.packing())
    damaged(kPacking, "is not " + scheme.packing() + ", as nbits needs");
  scheme.view_as_float = flag(bytes, kViewAsFloat);
  description.compute = sdk::is_weight_dtype(scale) ? scale : sdk::kFloat16;
  if (bytes.size() > kComputeDtype && !bytes[kComputeDtype].empty()) {
    for (const precis_dtype dtype : {sdk::kFloat32, sdk::kFloat16, sdk::kBFloat16}) {
      if (bytes[kComputeDtype] == "torch." + std::string(sdk::torch_name(dtype)))
        description.compute = dtype;
    }
  }
  try {
    check_groups(description);
  } catch (const PluginError& error) {
    throw PluginError(PRECIS_DATA_LOSS, error.what());
  }
  return description;
}

std::string describing_bytes(const Description& description, bool offload_meta, std::size_t part) {
  const Scheme& scheme = description.scheme;
  switch (part) {
    case kShape:
      return bytes_of(description.rows) + bytes_of(description.columns);
    case kNbits:
      return scheme.nbits == 1.58 ? bytes_of(1.58f) : bytes_of(static_cast<int32_t>(scheme.nbits));
    case kGroupSize: {
      const kernels::HqqGrid grid = description.grid();
      return bytes_of(static_cast<int32_t>(scheme.axis == 1 ? grid.columns : grid.rows));
    }
    case kAxis:
      return bytes_of(scheme.axis);
    case kPacking:
      return scheme.packing();
    case kUnpackViewDtype:
      return scheme.packed_bits() == 3 ? "torch.int32" : "torch.uint8";
    case kComputeDtype:
      return "torch." + std::string(sdk::torch_name(description.compute));
    case kViewAsFloat:
      return {static_cast<char>(scheme.view_as_float)};
    case kOffloadMeta:
      return {static_cast<char>(offload_meta)};
    case kOptimize:
      return {static_cast<char>(scheme.optimize)};
    case kRoundZero:
      return {static_cast<char>(scheme.round_zero)};
    case kEncodedStateDict:
    case kStoresQuantConfig:
    case kChannelWise:
      return {'\1'};
    default:
      return {'\0'};  // scales and zero points that are not quantized
  }
}

}  // namespace precis::hqq
