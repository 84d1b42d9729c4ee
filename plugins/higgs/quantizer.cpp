#include "plugins/higgs/quantizer.h"

#include <bit>
#include <cmath>

#include "plugins/higgs/order.h"
#include "plugins/weight_type.h"

namespace precis::higgs {

using sdk::PluginError;

namespace {

// The normalized Hadamard matrix of Sylvester's order times each block, in place.
void rotate(std::vector<double>& row, uint64_t size) {
  const double factor = 1 / std::sqrt(static_cast<double>(size));
  for (uint64_t begin = 0; begin < row.size(); begin += size) {
    double* block = row.data() + begin;
    for (uint64_t step = 1; step < size; step *= 2) {
      for (uint64_t i = 0; i < size; ++i) {
        if ((i & step) != 0) continue;
        const double first = block[i], second = block[i + step];
        block[i] = first + second;
        block[i + step] = first - second;
      }
    }
    for (uint64_t i = 0; i < size; ++i) block[i] *= factor;
  }
}

}  // namespace

uint64_t HiggsQuantizer::tile(std::string_view module) const {
  const sdk::Json& all = config_.tune_metadata;
  const auto own = all.is_object() ? all.find(std::string(module)) : all.end();
  const sdk::Json id =
      own != all.end() && own->is_object() ? own->value("template_id", sdk::Json()) : sdk::Json();
  if (!id.is_number_integer())
    throw PluginError(PRECIS_DATA_LOSS, "'tune_metadata' has no template_id of '" +
                                            std::string(module) +
                                            "', which the order of its numbers depends on");
  const uint64_t found = tile_of(config_.bits, id.get<int64_t>());
  if (found == 0 || (config_.bits == 3 && found != 32))
    throw PluginError(PRECIS_UNSUPPORTED, "template " + id.dump() +
                                              " is none that flute-kernel 0.4 packs " +
                                              std::to_string(config_.bits) + " bits for");
  return found;
}

std::vector<sdk::PartLayout> HiggsQuantizer::layout(const precis_param& param) const {
  const auto rotated = static_cast<uint64_t>(config_.hadamard_size);
  if (config_.hadamard_size <= 0 || !std::has_single_bit(rotated))
    throw PluginError(PRECIS_UNSUPPORTED, "'hadamard_size' must be a power of two");
  const auto rows = static_cast<int64_t>(
      rows_together(config_.bits, tile(sdk::module_of(sdk::view(param.name)))));
  if (param.ndim != 2 || param.shape[0] % rows != 0 || param.shape[1] % config_.hadamard_size != 0)
    throw PluginError(PRECIS_UNSUPPORTED, "its shape must be in multiples of " +
                                              std::to_string(rows) + " and of hadamard_size " +
                                              std::to_string(config_.hadamard_size));
  const int64_t levels = int64_t{1} << config_.bits;
  return {{"weight", sdk::kInt16, {param.shape[0] * config_.bits / 16, param.shape[1]}},
          {"scales", param.dtype, {param.shape[0], param.shape[1] / config_.group_size}, true},
          // Bits of the model's dtype, labelled float16 whatever it is.
          {"tables2", sdk::kFloat16, {levels, levels, 2}, false, sdk::kBFloat16},
          sdk::companion("tables")};
}

void HiggsQuantizer::check_writable(const precis_param&) const {
  throw PluginError(PRECIS_UNSUPPORTED,
                    "HIGGS' checkpoints are only read: their order is tuned on a GPU; hqq has 2 to "
                    "4 bits without calibration");
}

sdk::StoredWeight HiggsQuantizer::describe(const sdk::StoredModule& module) const {
  const precis_tensor_info& codes = module.at("weight", 2);
  const precis_tensor_info& scales = module.at("scales", 2);
  return {sdk::is_weight_dtype(scales.dtype) ? scales.dtype : sdk::kFloat16,
          {scales.shape[0], codes.shape[1]}};
}

void HiggsQuantizer::encode(const precis_call&, const precis_param& param, const precis_tensor&,
                            const sdk::Parts&) const {
  check_writable(param);
}

void HiggsQuantizer::decode(const precis_call&, const precis_param& param,
                            const sdk::ConstParts& parts, sdk::RowRange rows,
                            const precis_tensor& out) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const uint64_t own_tile = tile(sdk::module_of(sdk::view(param.name)));
  const auto group = static_cast<uint64_t>(config_.group_size);
  const auto* words = sdk::data<const uint16_t>(*parts[kWeight]);
  const auto* pairs = sdk::data<const uint16_t>(*parts[kTables]);
  const auto type = plugins::weight_type(parts[kScales]->view.dtype);
  if (type == kernels::WeightType::f32)
    throw PluginError(PRECIS_DATA_LOSS, "'scales' must be float16 or bfloat16");
  std::vector<double> row(matrix.columns);
  kernels::with_types(type, plugins::weight_type(out.view.dtype), [&](auto stored, auto tag) {
    using Stored = decltype(stored);
    using Type = decltype(tag);
    if constexpr (sizeof(typename Stored::Stored) == sizeof(uint16_t)) {
      const auto* scales = sdk::data<const typename Stored::Stored>(*parts[kScales]);
      const auto* table = reinterpret_cast<const typename Stored::Stored*>(pairs);
      auto* to = sdk::data<typename Type::Stored>(out);
      const auto code = [&](uint64_t n, uint64_t k) {
        return code_at(words, config_.bits, own_tile, matrix.rows, matrix.columns, n, k);
      };
      for (uint64_t n = rows.begin; n < rows.end; ++n) {
        for (uint64_t k = 0; k < matrix.columns; k += 2) {
          const uint64_t pair = (uint64_t{code(n, k)} << config_.bits | code(n, k + 1)) * 2;
          const double scale = Stored::load(scales, n * (matrix.columns / group) + k / group);
          row[k] = Stored::load(table, pair) * scale;
          row[k + 1] = Stored::load(table, pair + 1) * scale;
        }
        rotate(row, static_cast<uint64_t>(config_.hadamard_size));
        for (uint64_t k = 0; k < matrix.columns; ++k)
          Type::store(to, (n - rows.begin) * matrix.columns + k, static_cast<float>(row[k]));
      }
    }
  });
}

}  // namespace precis::higgs
