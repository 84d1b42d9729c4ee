#include "validate/subject/grid_calls.h"

#include "validate/subject/older_host.h"

namespace precis::validate {
namespace {

// Tensors that a call is to fill.
struct Outputs {
  Outputs(const std::vector<PartSpec>& specs, const GridOptions& options) {
    std::vector<std::span<std::byte>> spans;
    for (const PartSpec& spec : specs)
      spans.push_back(memory.emplace_back(spec.nbytes, options.guard, options.output_fill).bytes());
    tensors = std::make_unique<AbiTensors>(specs, spans);
  }

  std::vector<GuardedMemory> memory;
  std::unique_ptr<AbiTensors> tensors;
};

// Tensors that a call reads, and nothing behind them.
struct Inputs {
  Inputs(const std::vector<PartSpec>& specs, const std::vector<std::vector<std::byte>>& bytes) {
    std::vector<std::span<const std::byte>> spans;
    for (const auto& content : bytes) {
      GuardedMemory& placed = memory.emplace_back(content.size(), Guard::behind, std::byte{0});
      std::copy(content.begin(), content.end(), placed.bytes().begin());
      placed.make_read_only();
      spans.emplace_back(placed.bytes());
    }
    tensors = std::make_unique<AbiTensors>(specs, spans);
  }

  std::vector<GuardedMemory> memory;
  std::unique_ptr<AbiTensors> tensors;
};

GridResult result_of(const RecordedCall& call, precis_status status, const Outputs& outputs) {
  GridResult result;
  result.outcome = call.finish(status);
  result.report = call.check_report(status);
  for (const GuardedMemory& memory : outputs.memory) {
    result.intact = result.intact && memory.intact();
    result.outputs.emplace_back(memory.bytes().begin(), memory.bytes().end());
  }
  return result;
}

}  // namespace

GridTensors grid_of(const Param& param, int64_t down, int64_t across, bool zeros) {
  GridTensors grid;
  const auto add = [&](const char* name, DType dtype, std::vector<int64_t> shape) {
    uint64_t bytes = 4;
    for (const int64_t size : shape) bytes *= static_cast<uint64_t>(size);
    grid.plan.parts.push_back({name, dtype, std::move(shape), bytes, ""});
    grid.bytes.emplace_back(bytes);
  };
  add("scales", DType::f32, {down, across});
  add("row_tiles", DType::i32, {param.rows()});
  add("column_tiles", DType::i32, {static_cast<int64_t>(param.row_elements())});
  if (zeros) add("zeros", DType::i32, {down, across});
  return grid;
}

Result<PartPlan> plan_of_grid(const Instance& instance, const Param& param) {
  const HostParam abi(param);
  return ask_for_plan([&](const precis_call* call, precis_plan* out) {
    return instance.grid()->plan(instance.handle(), call, kCpuDevice, abi.get(), out);
  });
}

GridResult read_grid(const Instance& instance, const Weight& weight,
                     const std::vector<std::vector<std::byte>>& parts, const PartPlan& plan,
                     const GridOptions& options) {
  const Inputs stored(weight.plan.parts, parts);
  const Outputs grid(plan.parts, options);
  const HostParam param(weight.param);
  const RecordedCall call;
  const precis_status status = instance.grid()->read(
      instance.handle(), call.abi(), param.get(), stored.tensors->const_pointers(),
      stored.tensors->count(), grid.tensors->pointers(), grid.tensors->count());
  return result_of(call, status, grid);
}

GridResult write_grid(const Instance& instance, const Weight& weight, const GridTensors& grid,
                      const GridOptions& options) {
  const Inputs scales(grid.plan.parts, grid.bytes);
  const Outputs parts(weight.plan.parts, options);
  std::vector<std::byte> numbers(weight.values.size() * weight.element_bytes());
  store_numbers(weight.param.dtype, weight.values, numbers.data());
  AbiTensor values(numbers.data(), numbers.size(), weight.param.dtype, weight.param.shape, "",
                   true);
  const GuardedMemory workspace(weight.plan.workspace_bytes, options.guard, std::byte{0x5a});
  const HostParam param(weight.param);
  RecordedCall call;
  call.use_workspace(workspace.bytes());
  const precis_status status = instance.grid()->write(
      instance.handle(), call.abi(), param.get(), values.get(), scales.tensors->const_pointers(),
      scales.tensors->count(), parts.tensors->pointers(), parts.tensors->count());
  GridResult result = result_of(call, status, parts);
  result.intact = result.intact && workspace.intact();
  return result;
}

}  // namespace precis::validate
