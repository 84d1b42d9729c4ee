#include "plugins/hqq/quantizer.h"

#include <cstring>
#include <limits>

#include "plugins/hqq/stored_weight.h"
#include "plugins/weight_type.h"

namespace precis::hqq {

using sdk::PluginError;

namespace {

uint64_t task_count(const kernels::HqqGrid& grid) {
  return (grid.groups() + groups_together(grid) - 1) / groups_together(grid);
}

// A weight under the solver, in the workspace that the plan asked for.
struct Fit {
  const kernels::HqqGrid grid;
  const int levels;
  const kernels::WeightType type;
  const void* values;
  float *scales, *zeros;
  double* errors;  // of each task

  Fit(const Description& description, const precis_param& param, const precis_tensor& weight,
      void* workspace)
      : grid(description.grid()),
        levels(description.scheme.levels()),
        type(plugins::weight_type(param.dtype)),
        values(sdk::data<const void>(weight)),
        errors(static_cast<double*>(workspace)) {
    scales = reinterpret_cast<float*>(errors + task_count(grid));
    zeros = scales + grid.groups();
  }
};

template <typename Body>
void for_tasks(const precis_call& call, const Fit& fit, double done, Body&& body) {
  const uint64_t together = groups_together(fit.grid);
  sdk::Host::get().parallel_for(task_count(fit.grid), 1, [&](uint64_t begin, uint64_t end) {
    sdk::poll(&call, done);
    for (uint64_t task = begin; task < end; ++task)
      body(task, task * together, std::min((task + 1) * together, fit.grid.groups()));
  });
}

// optimize_weights_proximal_legacy: as long as the mean error falls. The zero points of the
// iteration that failed are kept, as the library keeps them.
void optimize(const precis_call& call, const Fit& fit) {
  const auto& solver = kernels::hqq_solver(kernels::current_isa());
  float best = std::numeric_limits<float>::infinity();
  for (int i = 0; i < kIterations; ++i) {
    for_tasks(call, fit, (i + 1.0) / (kIterations + 2),
              [&](uint64_t task, uint64_t begin, uint64_t end) {
                fit.errors[task] = solver.refine(fit.type, fit.values, fit.grid, fit.levels, begin,
                                                 end, fit.scales, fit.zeros);
              });
    double sum = 0;
    for (uint64_t task = 0; task < task_count(fit.grid); ++task) sum += fit.errors[task];
    const auto mean =
        static_cast<float>(sum / static_cast<double>(fit.grid.rows * fit.grid.columns));
    if (!(mean < best)) break;
    best = mean;
  }
}

void write_meta(const Fit& fit, const precis_tensor& scale, const precis_tensor& zero) {
  kernels::with_type(fit.type, [&](auto tag) {
    using Type = decltype(tag);
    auto* scales = sdk::data<typename Type::Stored>(scale);
    auto* zeros = sdk::data<typename Type::Stored>(zero);
    for (uint64_t group = 0; group < fit.grid.groups(); ++group) {
      Type::store(scales, group, 1.0f / fit.scales[group]);
      Type::store(zeros, group, fit.zeros[group]);
    }
  });
}

}  // namespace

HqqQuantizer::HqqQuantizer(Config config)
    : WeightQuantizer(config.normalized, config.skip), config_(std::move(config)) {}

void HqqQuantizer::storage(const precis_param& param, precis_storage& out) const {
  const std::string_view module = sdk::module_of(sdk::view(param.name));
  if (!config_.names(module)) {
    out.keep = 1;
    out.bytes = param.ndim < 0 ? 0 : sdk::elements(param.ndim, param.shape) * param.dtype.bits / 8;
    out.reason = sdk::str("no entry of the config's linear tags");
    return;
  }
  WeightQuantizer::storage(param, out);
}

Description HqqQuantizer::description_of(const precis_param& param) const {
  Description description;
  if (param.ndim != 2) throw PluginError(PRECIS_UNSUPPORTED, "hqq stores matrices only");
  description.rows = param.shape[0];
  description.columns = param.shape[1];
  description.scheme = config_.scheme(sdk::module_of(sdk::view(param.name)));
  description.compute = param.dtype;
  check_groups(description);
  return description;
}

std::vector<sdk::PartLayout> HqqQuantizer::layout(const precis_param& param) const {
  const Description description = description_of(param);
  const kernels::HqqGrid grid = description.grid();
  const auto rows = static_cast<int64_t>(grid.packed_rows());
  const uint64_t row_bytes = grid.packed_bytes() / grid.packed_rows();
  const precis_dtype codes = description.scheme.view_as_float ? description.compute
                             : grid.bits == 3                 ? sdk::kInt32
                                                              : sdk::kUInt8;
  if (row_bytes % (codes.bits / 8u) != 0) {
    throw PluginError(PRECIS_UNSUPPORTED, "view_as_float: rows of " + std::to_string(row_bytes) +
                                              " bytes are no whole numbers of its dtype");
  }
  const auto groups = static_cast<int64_t>(grid.groups());
  const std::vector<int64_t> meta =
      grid.axis == 1 ? std::vector<int64_t>{groups, 1} : std::vector<int64_t>{1, groups};
  std::vector<sdk::PartLayout> parts{
      {part_name(kCodes), codes, {rows, static_cast<int64_t>(row_bytes / (codes.bits / 8u))}},
      {part_name(kScale), description.compute, meta, true},
      {part_name(kZero), description.compute, meta, true}};
  for (std::size_t part = kShape; part < kPartCount; ++part) {
    const std::string bytes = describing_bytes(description, false, part);
    const bool text = part == kPacking || part == kComputeDtype || part == kUnpackViewDtype;
    sdk::PartLayout described{part_name(part), sdk::kUInt8, {}};
    if (text) described.shape = {static_cast<int64_t>(bytes.size())};
    if (part == kShape) {
      described.dtype = sdk::kInt64;
      described.shape = {2};
    } else if (part == kNbits && description.scheme.nbits == 1.58) {
      described.dtype = sdk::kFloat32;
    } else if (part == kNbits || part == kGroupSize || part == kAxis) {
      described.dtype = sdk::kInt32;
    }
    described.optional = part >= kNeededParts;
    parts.push_back(std::move(described));
  }
  return parts;
}

void HqqQuantizer::check_writable(const precis_param& param) const {
  plugins::weight_type(param.dtype);
}

uint64_t HqqQuantizer::workspace(const precis_param& param) const {
  const kernels::HqqGrid grid = description_of(param).grid();
  return task_count(grid) * sizeof(double) + 2 * grid.groups() * sizeof(float);
}

sdk::StoredWeight HqqQuantizer::describe(const sdk::StoredModule& module) const {
  std::vector<std::string> bytes(kPartCount);
  for (std::size_t part = kShape; part < kPartCount; ++part) {
    const std::string_view name = part_name(part);
    if (part < kNeededParts || module.find(name) != nullptr) bytes[part] = module.bytes(name);
  }
  try {
    const Description description = read_description(bytes, module.at(part_name(kScale)).dtype);
    return {description.compute, {description.rows, description.columns}};
  } catch (const PluginError& error) {
    throw PluginError(error.status(), "'" + module.name() + "': " + error.what());
  }
}

void HqqQuantizer::encode(const precis_call& call, const precis_param& param,
                          const precis_tensor& weight, const sdk::Parts& parts) const {
  const Description description = description_of(param);
  const Fit fit(description, param, weight, call.workspace);
  const kernels::Isa isa = kernels::current_isa();
  for_tasks(call, fit, 0, [&](uint64_t, uint64_t begin, uint64_t end) {
    kernels::hqq_solver(isa).start(fit.type, fit.values, fit.grid, fit.levels,
                                   description.scheme.round_zero, begin, end, fit.scales,
                                   fit.zeros);
  });
  if (description.scheme.optimize) optimize(call, fit);
  void* packed = sdk::data<void>(*parts[kCodes]);
  const sdk::Matrix words{fit.grid.packed_rows(), fit.grid.columns * fit.grid.pieces()};
  sdk::for_rows(call, words, 1, [&](sdk::RowRange rows) {
    kernels::hqq_kernels(isa).pack(fit.type, fit.values, fit.grid, fit.levels, fit.scales,
                                   fit.zeros, rows.begin, rows.end, packed);
  });
  write_meta(fit, *parts[kScale], *parts[kZero]);
  for (std::size_t part = kShape; part < kPartCount; ++part) {
    const std::string bytes = describing_bytes(description, offloads_meta(), part);
    std::memcpy(sdk::data<char>(*parts[part]), bytes.data(), bytes.size());
  }
}

bool HqqQuantizer::offloads_meta() const {
  return config_.quant_config.is_object() &&
         sdk::truthy(config_.quant_config.value("offload_meta", sdk::Json(false)));
}

void HqqQuantizer::dequantize(const precis_call& call, const precis_param& param,
                              const sdk::ConstParts& parts, int64_t row_begin,
                              precis_tensor& weight) const {
  decode(call, param, parts, sdk::rows_of(param, row_begin, weight), weight);
}

void HqqQuantizer::decode(const precis_call&, const precis_param& param,
                          const sdk::ConstParts& parts, sdk::RowRange rows,
                          const precis_tensor& out) const {
  const kernels::HqqWeight weight = stored_weight(param, parts);
  const uint64_t columns = sdk::matrix(param).columns;
  kernels::hqq_kernels(kernels::current_isa())
      .dequantize(weight, rows.begin * columns, rows.end * columns,
                  plugins::weight_type(out.view.dtype), sdk::data<void>(out));
}

void HqqQuantizer::check(const precis_param&,
                         const std::vector<const precis_tensor_info*>& parts) const {
  if (parts.size() < kNeededParts)
    throw PluginError(PRECIS_DATA_LOSS,
                      "'" + std::string(part_name(parts.size())) + "' is missing");
  for (const std::size_t part : {kScale, kZero}) {
    if (sdk::is_weight_dtype(parts[part]->dtype)) continue;
    throw PluginError(PRECIS_DATA_LOSS,
                      "'" + std::string(part_name(part)) + "' has the wrong dtype");
  }
}

}  // namespace precis::hqq
