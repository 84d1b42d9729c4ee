#include "plugins/hqq/stored_weight.h"

#include "plugins/linear.h"

namespace precis::hqq {

using sdk::PluginError;

kernels::HqqWeight stored_weight(const precis_param& param, const sdk::ConstParts& parts) {
  return stored_weight(param, parts, [](const precis_tensor& part) {
    return std::string(sdk::data<const char>(part), part.nbytes);
  });
}

kernels::HqqWeight stored_weight(const precis_param& param, const sdk::ConstParts& parts,
                                 const PartBytes& bytes_of) {
  if (parts.size() < kNeededParts)
    throw PluginError(PRECIS_DATA_LOSS,
                      "'" + std::string(part_name(parts.size())) + "' is missing");
  std::vector<std::string> bytes(kPartCount);
  for (std::size_t part = kShape; part < std::min<std::size_t>(parts.size(), kPartCount); ++part)
    bytes[part] = bytes_of(*parts[part]);
  const precis_dtype meta = parts[kScale]->view.dtype;
  const Description description = read_description(bytes, meta);
  const sdk::Matrix matrix = sdk::matrix(param);
  if (static_cast<uint64_t>(description.rows) != matrix.rows ||
      static_cast<uint64_t>(description.columns) != matrix.columns)
    throw PluginError(PRECIS_DATA_LOSS, "'shape' is not the parameter's");
  if (!sdk::is_weight_dtype(meta) || !sdk::same(meta, parts[kZero]->view.dtype))
    throw PluginError(PRECIS_DATA_LOSS, "'scale' and 'zero' must be floats of one dtype");
  const kernels::HqqGrid grid = description.grid();
  plugins::require_bytes(*parts[kCodes], grid.packed_bytes());
  for (const std::size_t part : {kScale, kZero})
    plugins::require_bytes(*parts[part], grid.groups() * (meta.bits / 8u));
  return {grid,
          sdk::data<const void>(*parts[kCodes]),
          plugins::weight_type(description.compute),
          plugins::weight_type(meta),
          sdk::data<const void>(*parts[kScale]),
          sdk::data<const void>(*parts[kZero])};
}

}  // namespace precis::hqq
