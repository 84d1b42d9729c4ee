#include "plugins/spqr/quantizer.h"

#include "plugins/spqr/stored.h"
#include "plugins/weight_type.h"

namespace precis::spqr {

using sdk::PluginError;

namespace {

int64_t count_of(const precis_tensor_info& info) {
  return static_cast<int64_t>(sdk::elements(info.ndim, info.shape));
}

// Offsets of 16 rows in turn are multiples of 16; those of single rows hardly ever are.
bool are_in_turn(const sdk::StoredModule& module) {
  constexpr uint64_t kMostBytes = uint64_t{1} << 26;
  const std::string bytes = module.bytes("row_offsets", kMostBytes);
  bool any = false;
  for (std::size_t at = 0; at + sizeof(int32_t) <= bytes.size(); at += sizeof(int32_t)) {
    int32_t offset = 0;
    std::memcpy(&offset, bytes.data() + at, sizeof offset);
    if (offset % 16 != 0) return false;
    any = any || offset != 0;
  }
  return any;
}

// No tensor tells the rows; the offsets do, in one of two ways.
int64_t rows_of(const sdk::StoredModule& module, int64_t words) {
  const int64_t offsets = count_of(module.at("row_offsets")) - 1;
  const auto fits = [&](int64_t rows) { return rows > 0 && rows % 16 == 0 && words % rows == 0; };
  const bool single = fits(offsets);
  const bool in_turn = offsets <= INT32_MAX && fits(offsets * 16);
  if (single && in_turn) return are_in_turn(module) ? offsets * 16 : offsets;
  return single ? offsets : in_turn ? offsets * 16 : 0;
}

}  // namespace

std::vector<sdk::PartLayout> SpqrQuantizer::layout(const precis_param& param) const {
  if (param.ndim != 2 || param.shape[0] % 16 != 0)
    throw PluginError(PRECIS_UNSUPPORTED, "out_features must be a multiple of 16");
  std::vector<sdk::PartLayout> parts{
      {"dense_weights", sdk::kInt64, {param.shape[0] * ((param.shape[1] + 15) / 16)}},
      {"row_offsets", sdk::kInt32, {param.shape[0] + 1}},
      // Without any outlier the library stores an empty float32 tensor.
      {"col_vals", sdk::kInt32, {0}, false, sdk::kFloat32},
      {"in_perm", sdk::kInt32, {param.shape[1] / 2}}};
  for (std::size_t i = 1; i < parts.size(); ++i) parts[i].counted = false;
  parts.back().optional = true;
  return parts;
}

void SpqrQuantizer::check_writable(const precis_param&) const {
  throw PluginError(PRECIS_UNSUPPORTED,
                    "SpQR needs calibration data and is only read; gptq:bits=3 or "
                    "gguf:type=q3_k are near its size");
}

sdk::StoredWeight SpqrQuantizer::describe(const sdk::StoredModule& module) const {
  const int64_t words = count_of(module.at("dense_weights"));
  const precis_tensor_info* order = module.find("in_perm");
  const int64_t columns = order == nullptr ? 0 : 2 * count_of(*order);
  const int64_t tiles = (columns + 15) / 16;
  int64_t rows = columns == 0 ? rows_of(module, words) : words % tiles == 0 ? words / tiles : 0;
  if (rows == 0)
    throw PluginError(PRECIS_DATA_LOSS, "'" + module.key("dense_weights") + "' has " +
                                            std::to_string(words) +
                                            " elements, which its 'row_offsets' or 'in_perm' do "
                                            "not make whole rows of");
  return {sdk::kFloat16, {rows, columns == 0 ? words / rows * 16 : columns}};
}

void SpqrQuantizer::encode(const precis_call&, const precis_param& param, const precis_tensor&,
                           const sdk::Parts&) const {
  check_writable(param);
}

void SpqrQuantizer::decode(const precis_call&, const precis_param& param,
                           const sdk::ConstParts& parts, sdk::RowRange rows,
                           const precis_tensor& out) const {
  const Stored stored = stored_weight(param, parts, rows);
  std::vector<float> row(stored.columns);
  kernels::with_type(plugins::weight_type(out.view.dtype), [&](auto tag) {
    using Type = decltype(tag);
    auto* to = sdk::data<typename Type::Stored>(out);
    for (uint64_t i = rows.begin; i < rows.end; ++i) {
      decode_row(stored, i, row.data());
      for (uint64_t column = 0; column < stored.columns; ++column)
        Type::store(to, (i - rows.begin) * stored.columns + column, row[column]);
    }
  });
}

}  // namespace precis::spqr
