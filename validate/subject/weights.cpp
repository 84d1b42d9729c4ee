#include "validate/subject/weights.h"

#include <fmt/format.h>
#include <precis/numbers.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "core/abi/views.h"
#include "validate/subject/older_host.h"

namespace precis::validate {
namespace {

uint64_t element_count(const std::vector<int64_t>& shape) {
  uint64_t count = 1;
  for (const int64_t size : shape) count *= static_cast<uint64_t>(size);
  return count;
}

// Guarded memory for one tensor, and the tensor over it.
struct Placed {
  GuardedMemory memory;
  std::unique_ptr<AbiTensor> tensor;
};

Placed place(const PartSpec& spec, std::span<const std::byte> content, uint64_t bytes, Guard guard,
             std::byte fill, bool read_only) {
  Placed placed{GuardedMemory(bytes, guard, fill), nullptr};
  if (!content.empty()) std::memcpy(placed.memory.bytes().data(), content.data(), content.size());
  if (read_only) placed.memory.make_read_only();
  placed.tensor = std::make_unique<AbiTensor>(placed.memory.bytes().data(), bytes, spec.dtype,
                                              spec.shape, spec.encoding, read_only);
  return placed;
}

// The weight's numbers as `options` want them laid out.
struct WeightTensor {
  WeightTensor(const Weight& weight, const EncodeOptions& options)
      : shape(weight.param.shape), strides(contiguous_strides(shape)) {
    const uint64_t size = weight.element_bytes();
    const auto columns = static_cast<int64_t>(weight.param.row_elements());
    const auto rows = static_cast<uint64_t>(weight.param.rows());
    const auto step = static_cast<uint64_t>(columns + options.row_gap);
    // The gap behind the last row is nobody's.
    const uint64_t elements = rows == 0 ? 0 : (rows - 1) * step + static_cast<uint64_t>(columns);
    memory = GuardedMemory(options.byte_offset + elements * size, options.guard, std::byte{0x7f},
                           size, options.misaligned);
    std::byte* first = memory.bytes().data() + options.byte_offset;
    for (uint64_t row = 0; row < rows; ++row) {
      const std::span<const float> all(weight.values);
      store_numbers(
          weight.param.dtype,
          all.subspan(row * static_cast<uint64_t>(columns), static_cast<uint64_t>(columns)),
          first + row * step * size);
    }
    memory.make_read_only();
    if (!strides.empty()) strides.front() = static_cast<int64_t>(step);
    tensor.struct_size = sizeof tensor;
    tensor.flags = PRECIS_TENSOR_READ_ONLY;
    tensor.view = {memory.bytes().data(),      kCpuDevice,   static_cast<int32_t>(shape.size()),
                   to_abi(weight.param.dtype), shape.data(), strides.data(),
                   options.byte_offset};
    tensor.nbytes = elements * size;
  }

  std::vector<int64_t> shape, strides;
  GuardedMemory memory;
  precis_tensor tensor{};
};

}  // namespace

std::string Weight::text() const {
  return fmt::format("{} [{}]", dtype_name(param.dtype), fmt::join(param.shape, ", "));
}

std::vector<float> normal_numbers(std::size_t count, uint32_t seed, float scale) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.04F);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random) * scale;
  return values;
}

void store_numbers(DType dtype, std::span<const float> values, std::byte* out) {
  const uint64_t size = dtype_bits(dtype) / 8;
  for (std::size_t i = 0; i < values.size(); ++i)
    precis_store(to_abi(dtype), values[i], out + i * size);
}

std::vector<float> load_numbers(DType dtype, std::span<const std::byte> bytes) {
  const uint64_t size = dtype_bits(dtype) / 8;
  std::vector<float> values(bytes.size() / size);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = precis_load(to_abi(dtype), bytes.data() + i * size);
  return values;
}

Param linear_param(DType dtype, std::vector<int64_t> shape) {
  Param param;
  param.name = "layer.weight";
  param.module_kind = "Linear";
  param.dtype = dtype;
  param.shape = std::move(shape);
  return param;
}

Result<PartPlan> plan_of(const Instance& instance, const Param& param) {
  const HostParam abi(param);
  return ask_for_plan([&](const precis_call* call, precis_plan* out) {
    return instance.quantize().plan(instance.handle(), call, kCpuDevice, abi.get(), out);
  });
}

Result<Weight> planned_weight(const Instance& instance, Param param, std::vector<float> values) {
  Weight weight{std::move(param), std::move(values), {}, nullptr};
  if (instance.method().flags & PRECIS_METHOD_USES_IMPORTANCE) {
    auto importance = std::make_shared<std::vector<float>>(weight.param.row_elements());
    for (std::size_t i = 0; i < importance->size(); ++i)
      (*importance)[i] = 1 + static_cast<float>(i % 7) / 4;
    weight.param.importance = std::move(importance);
  }
  PRECIS_ASSIGN(weight.plan, plan_of(instance, weight.param));
  std::vector<std::byte> stored(weight.values.size() * weight.element_bytes());
  store_numbers(weight.param.dtype, weight.values, stored.data());
  weight.values = load_numbers(weight.param.dtype, stored);
  return weight;
}

std::optional<Weight> fitting_weight(const Instance& instance, DType dtype) {
  const std::vector<int64_t> shapes[] = {
      {128, 256}, {128, 512}, {256, 256}, {64, 1024}, {512, 512}};
  for (const auto& shape : shapes) {
    auto weight = planned_weight(instance, linear_param(dtype, shape),
                                 normal_numbers(element_count(shape), 1));
    if (weight.ok()) return *std::move(weight);
  }
  return std::nullopt;
}

std::optional<Weight> fitting_weight(const Instance& instance) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    if (auto weight = fitting_weight(instance, dtype)) return weight;
  }
  return std::nullopt;
}

Encoded encode(const Instance& instance, const Weight& weight, const EncodeOptions& options) {
  const WeightTensor source(weight, options);
  std::vector<Placed> placed;
  std::vector<precis_tensor*> pointers;
  for (const PartSpec& part : weight.plan.parts) {
    placed.push_back(place(part, {}, part.nbytes, options.guard, options.output_fill, false));
    pointers.push_back(placed.back().tensor->get());
  }
  pointers.resize(pointers.size() - std::min<std::size_t>(options.leave_out, pointers.size()));
  const GuardedMemory workspace(weight.plan.workspace_bytes, options.guard, options.workspace_fill);
  RecordedCall own;
  RecordedCall& call = options.call == nullptr ? own : *options.call;
  call.use_workspace(workspace.bytes());
  const HostParam param(weight.param);
  Encoded encoded;
  encoded.status = instance.quantize().quantize(instance.handle(), call.abi(), param.get(),
                                                &source.tensor, pointers.data(), pointers.size());
  encoded.outcome = call.finish(encoded.status);
  encoded.intact = workspace.intact();
  for (const Placed& part : placed) {
    encoded.intact = encoded.intact && part.memory.intact();
    encoded.parts.emplace_back(part.memory.bytes().begin(), part.memory.bytes().end());
  }
  return encoded;
}

Result<std::vector<std::vector<std::byte>>> encoded_parts(const Instance& instance,
                                                          const Weight& weight) {
  if (weight.stored != nullptr) return *weight.stored;
  Encoded encoded = encode(instance, weight);
  PRECIS_TRY(std::move(encoded.outcome));
  return std::move(encoded.parts);
}

Decoded decode(const Instance& instance, const Weight& weight,
               std::span<const std::vector<std::byte>> parts, const DecodeOptions& options) {
  std::vector<Placed> placed;
  std::vector<const precis_tensor*> pointers;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    placed.push_back(place(weight.plan.parts[i], parts[i], parts[i].size(), options.parts_guard,
                           std::byte{0}, true));
    pointers.push_back(placed.back().tensor->get());
  }
  std::vector<int64_t> shape = weight.param.shape;
  if (!shape.empty())
    shape.front() = options.rows < 0 ? shape.front() - options.row_begin : options.rows;
  const uint64_t bytes = element_count(shape) * dtype_bits(options.dtype) / 8;
  const PartSpec out_spec{"", options.dtype, shape, bytes, ""};
  const Placed out = place(out_spec, {}, bytes, options.guard, std::byte{0x33}, false);
  const RecordedCall call;
  const HostParam param(weight.param);
  Decoded decoded;
  decoded.status =
      instance.quantize().dequantize(instance.handle(), call.abi(), param.get(), pointers.data(),
                                     pointers.size(), options.row_begin, out.tensor->get());
  decoded.outcome = call.finish(decoded.status);
  decoded.intact = out.memory.intact();
  decoded.bytes.assign(out.memory.bytes().begin(), out.memory.bytes().end());
  return decoded;
}

Result<std::vector<float>> decoded_numbers(const Instance& instance, const Weight& weight,
                                           std::span<const std::vector<std::byte>> parts) {
  Decoded decoded = decode(instance, weight, parts);
  PRECIS_TRY(std::move(decoded.outcome));
  return load_numbers(DType::f32, decoded.bytes);
}

double relative_error(std::span<const float> a, std::span<const float> b) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    norm += double{b[i]} * b[i];
  }
  return norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
}

}  // namespace precis::validate
