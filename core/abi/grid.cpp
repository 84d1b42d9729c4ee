#include "core/abi/grid.h"

#include "core/abi/call.h"
#include "core/abi/plugin_call.h"
#include "core/abi/views.h"

namespace precis {
namespace {

const precis_grid_v1* table_of(const Quantizer& quantizer) {
  return static_cast<const precis_grid_v1*>(quantizer.extension(PRECIS_GRID_1));
}

PluginCall during(const Quantizer& quantizer, const char* doing, const Param& param) {
  return {quantizer.plugin_id().c_str(), doing, param.name.c_str()};
}

}  // namespace

bool Grid::available(const Quantizer& quantizer) {
  return table_of(quantizer) != nullptr;
}

Result<PartPlan> Grid::plan(const Quantizer& quantizer, const Param& param) {
  const AbiParam abi_param(param);
  return ask_for_plan([&](const precis_call* call, precis_plan* out) {
    return in_plugin(during(quantizer, "planning the grid of", param), call, [&] {
      return table_of(quantizer)->plan(quantizer.handle(), call, kCpuDevice, abi_param.get(), out);
    });
  });
}

Status Grid::read(const Quantizer& quantizer, const Param& param, std::span<const PartSpec> specs,
                  std::span<const std::span<const std::byte>> parts,
                  std::span<const PartSpec> grid_specs, std::span<const std::span<std::byte>> grid,
                  std::span<std::byte> workspace) {
  const AbiParam abi_param(param);
  const AbiTensors stored(specs, parts), tensors(grid_specs, grid);
  const Call call(workspace);
  return call.finish(in_plugin(during(quantizer, "reading the grid of", param), call.abi(),
                               [&] {
                                 return table_of(quantizer)->read(
                                     quantizer.handle(), call.abi(), abi_param.get(),
                                     stored.const_pointers(), stored.count(), tensors.pointers(),
                                     tensors.count());
                               }),
                     "");
}

Status Grid::write(const Quantizer& quantizer, const Param& param,
                   std::span<const std::byte> weight, std::span<const PartSpec> grid_specs,
                   std::span<const std::span<const std::byte>> grid,
                   std::span<const PartSpec> specs, std::span<const std::span<std::byte>> parts,
                   std::span<std::byte> workspace, const std::atomic<bool>* cancel) {
  const AbiParam abi_param(param);
  AbiTensor abi_weight(weight.data(), weight.size(), param.dtype, param.shape, "", true);
  const AbiTensors tensors(grid_specs, grid), made(specs, parts);
  const Call call(workspace, cancel);
  return call.finish(in_plugin(during(quantizer, "writing on a grid", param), call.abi(),
                               [&] {
                                 return table_of(quantizer)->write(
                                     quantizer.handle(), call.abi(), abi_param.get(),
                                     abi_weight.get(), tensors.const_pointers(), tensors.count(),
                                     made.pointers(), made.count());
                               }),
                     "");
}

}  // namespace precis
